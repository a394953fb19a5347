"""A spool in which nothing expected is found is more likely the wrong directory than a spool of lost bundles."""

from __future__ import annotations

import pytest

from archiver.core.bundle_wait import bundle_wait
from archiver.core.outcome import Ack, Dead, DeadReason, Outcome, Retry
from archiver.worker.source_watch import SourceWatch
from contracts import PreparedEvent
from tests.support.builders import House, message, prepared

EVENTS = [prepared(occurred_at=f"2026-06-18T09:00:{number:02}Z") for number in range(20)]
OTHER = prepared()


@pytest.fixture
def house() -> House:
    """A house whose spool is empty, and whose consumer has twenty events outstanding."""
    house = House()
    house.bundles.bundles.clear()
    house.outstanding = 20
    return house


def last_look(event: PreparedEvent, deadline_s: float = 900.0) -> int:
    return next(look for look in range(1, 10_000) if bundle_wait(event.key, look, deadline_s).is_over)


def at_the_deadline(house: House, event: PreparedEvent) -> Outcome:
    return house.process(message(event.payload, deliveries=last_look(event)))


def test_where_no_bundle_is_found_nothing_is_dead_lettered_and_readiness_is_lost(house: House) -> None:
    outcomes = [at_the_deadline(house, event) for event in EVENTS]

    assert all(isinstance(outcome, Retry) for outcome in outcomes)
    assert "is the volume mounted" in house.health.problems["spool"]


def test_a_worker_that_starts_over_an_empty_spool_is_not_ready_after_two_looks(house: House) -> None:
    for event in EVENTS[:2]:
        assert house.health.ready
        house.process(message(event.payload))

    assert not house.health.ready


def test_one_event_that_is_looked_for_again_and_again_is_no_reason_to_be_unready(house: House) -> None:
    for deliveries in range(1, 10):
        house.process(message(EVENTS[0].payload, deliveries=deliveries))

    assert house.health.ready


def test_the_first_found_bundle_restores_readiness_and_lost_ones_become_dead(house: House) -> None:
    at_the_deadline(house, EVENTS[0])
    house.bundles.leave(OTHER)

    assert isinstance(house.process(message(OTHER.payload)), Ack)

    assert house.health.ready
    outcome = at_the_deadline(house, EVENTS[0])
    assert isinstance(outcome, Dead)
    assert outcome.reason is DeadReason.BUNDLE_MISSING


def test_a_spool_that_worked_and_is_gone_since_loses_no_event(house: House) -> None:
    house.bundles.leave(OTHER)
    house.process(message(OTHER.payload))
    house.seconds += 901

    assert isinstance(at_the_deadline(house, EVENTS[0]), Retry)
    assert not house.health.ready


def test_an_operator_can_say_that_the_spool_is_right(house: House) -> None:
    house.watch.accepts_empty = True

    assert all(isinstance(at_the_deadline(house, event), Dead) for event in EVENTS)
    assert house.health.ready


class TestTheOnlyEventThereIs:
    """Nothing can tell whether its bundle or the mount is lost, and it must not wait indefinitely."""

    def test_it_is_dead_lettered_at_its_deadline(self, house: House) -> None:
        house.outstanding = 1

        assert isinstance(at_the_deadline(house, EVENTS[0]), Dead)
        assert isinstance(at_the_deadline(house, EVENTS[0]), Dead), "also where its dead letter was not confirmed"

    def test_the_next_one_waits_since_two_lost_bundles_in_a_row_are_suspicious(self, house: House) -> None:
        house.outstanding = 1
        at_the_deadline(house, EVENTS[0])

        assert isinstance(at_the_deadline(house, EVENTS[1]), Retry)
        assert not house.health.ready

    def test_it_waits_while_the_bus_cannot_say_that_it_is_the_only_one(self, house: House) -> None:
        house.outstanding = 2

        assert isinstance(at_the_deadline(house, EVENTS[0]), Retry)


def test_every_way_to_find_a_bundle_counts_as_found(house: House) -> None:
    watch: SourceWatch = house.watch
    for event in EVENTS[:2]:
        house.process(message(event.payload))
    assert not house.health.ready

    watch.found()

    assert house.health.ready
