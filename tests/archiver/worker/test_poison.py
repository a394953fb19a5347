"""What can never be archived is dead with a reason; what only lies in an event's way makes it wait."""

from __future__ import annotations

import pytest

from archiver.core.keys import ref_key
from archiver.core.outcome import Ack, Dead, DeadReason, Retry
from contracts import check, load_contract
from contracts.fixtures.corpus import Case, cases
from tests.support.builders import House, message, payload_bytes, prepared

EVENT = prepared()
REFERENCE = ref_key(EVENT)
CONTRACT = "kaizen.schedule.prepared@1"


@pytest.fixture
def house() -> House:
    return House()


POISON = [
    case
    for case in cases(CONTRACT, "invalid", "wire")
    if not check(case.raw, contract=load_contract(CONTRACT), profile="consumer").passes()
]
REASONS = {"wire": DeadReason.NOT_JSON, "invalid": DeadReason.CONTRACT_BROKEN}


@pytest.mark.parametrize("case", POISON, ids=lambda case: case.name)
def test_poison_is_dead_with_its_reason_and_touches_nothing(house: House, case: Case) -> None:
    outcome = house.process(message(case.raw))

    assert isinstance(outcome, Dead)
    assert outcome.reason is REASONS[case.path.parent.name]
    assert outcome.detail
    assert house.journal == []


def test_the_corpus_holds_poison_of_both_kinds_and_only_unknown_keys_are_none() -> None:
    assert {case.name.partition("/")[0] for case in POISON} == {"invalid", "wire"}
    harmless = {case.name for case in cases(CONTRACT, "invalid", "wire")} - {case.name for case in POISON}
    assert harmless == {"invalid/unknown-key", "invalid/bundle-unknown-key"}


def test_a_dead_letter_says_every_error_and_no_secret(house: House) -> None:
    secret = "AKIA" + "IOSFODNN7EXAMPLQ"
    broken = dict(EVENT.payload) | {"cadence": "fortnightly", "repo": 7, "root": f"/home/{secret}"}

    outcome = house.process(message(payload_bytes(broken)))

    assert isinstance(outcome, Dead)
    assert "fortnightly" in outcome.detail
    assert "/repo" in outcome.detail
    assert secret not in outcome.detail


@pytest.mark.parametrize("change", [{"a_later_field": {"x": [1]}}, {"bundle": {"a_later_field": True}}], ids=str)
def test_an_event_with_fields_of_a_later_version_is_archived_with_them(house: House, change: dict) -> None:
    later = prepared(**change)
    house.bundles.leave(later)

    assert isinstance(house.process(message(later.payload)), Ack)
    assert house.reference(ref_key(later)).event == later.payload


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (b"<html>busy</html>", "not a kaizen.archive.ref record"),
        (b"x" * (5 << 20), "more than 4194304 bytes"),
    ],
    ids=["not a reference", "too large"],
)
def test_an_event_waits_while_something_else_lies_where_its_reference_belongs(
    house: House, found: bytes, why: str
) -> None:
    house.store.objects[REFERENCE] = found

    for deliveries in (1, 2):
        outcome = house.process(message(EVENT.payload, deliveries=deliveries))
        assert isinstance(outcome, Retry)
        assert why in outcome.why
    assert house.store.objects[REFERENCE] == found


def test_an_event_waits_while_another_events_reference_lies_in_its_place(house: House) -> None:
    house.process(message(EVENT.payload))
    other = prepared(cadence="daily")
    house.bundles.leave(other)
    house.process(message(other.payload))
    house.store.objects[REFERENCE] = house.store.objects[ref_key(other)]

    outcome = house.process(message(EVENT.payload, deliveries=2))

    assert isinstance(outcome, Retry)
    assert f"it references event {other.key}" in outcome.why
