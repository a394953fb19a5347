"""Once archived, a bundle is deleted from its source: after the follow-up event, and only the archived copy."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from archiver.core.errors import SourceUnavailable, StoreUnavailable
from archiver.core.keys import blob_key, ref_key
from archiver.core.outcome import Ack, Cause, Retry
from contracts.toolkit import BUNDLE_SOURCE, spool_name
from tests.support.builders import BUNDLE, House, event, message, prepared

EVENT = prepared()
NAME = spool_name(EVENT)
ARCHIVED = "announce kaizen.schedule.archived"
REFUSED = SourceUnavailable("spool", "release the bundle", "Read-only file system")


def upper_repo(raw: bytes) -> bytes:
    return raw.replace(b'"repo": "k', b'"repo": "K')


@pytest.fixture
def house() -> House:
    return House(release=True)


def test_a_bundle_is_released_once_its_event_is_announced(house: House) -> None:
    outcome = house.process(message(event()))

    assert house.journal[-2:] == [ARCHIVED, "release bundle"]
    assert house.bundles.bundles == {}
    assert isinstance(outcome, Ack)
    assert outcome.not_released == ""


@pytest.mark.parametrize("call", ["create blobs", "read blobs", "create refs", ARCHIVED])
def test_a_bundle_stays_where_it_is_until_its_event_is_archived_and_announced(house: House, call: str) -> None:
    house.fail(call, StoreUnavailable("do it", "503"))

    assert isinstance(house.process(message(event())), Retry)

    assert "release bundle" not in house.journal
    assert house.bundles.bundles == {NAME: BUNDLE}


def test_a_source_that_does_not_let_go_costs_the_event_nothing_and_is_told(house: House) -> None:
    house.fail("release bundle", REFUSED)

    outcome = house.process(message(event()))

    assert isinstance(outcome, Ack)
    assert "Read-only file system" in outcome.not_released


def test_told_to_keep_them_the_pipeline_releases_nothing() -> None:
    house = House(release=False)

    for deliveries in (1, 2):
        assert isinstance(house.process(message(event(), deliveries=deliveries)), Ack)

    assert house.bundles.bundles == {NAME: BUNDLE}


def test_a_redelivery_releases_what_an_earlier_delivery_archived(house: House) -> None:
    house.process(message(event()))
    house.bundles.bundles[NAME] = BUNDLE

    outcome = house.process(message(event(), deliveries=2))

    assert isinstance(outcome, Ack)
    assert outcome.repeated
    assert house.bundles.bundles == {}
    assert "create blobs" not in house.journal


def test_a_redelivery_leaves_a_bundle_that_is_another_than_the_one_archived(house: House) -> None:
    house.process(message(event()))
    house.bundles.bundles[NAME] = b"# Another\n"

    outcome = house.process(message(event(), deliveries=2))

    assert isinstance(outcome, Ack)
    assert "another bundle" in outcome.not_released
    assert house.bundles.bundles == {NAME: b"# Another\n"}


def test_an_event_published_again_after_its_bundle_was_released_is_archived_still(house: House) -> None:
    house.process(message(event()))

    outcome = house.process(message(event(), sequence=8))

    assert isinstance(outcome, Ack)
    assert outcome.repeated
    assert house.journal[-2:] == [ARCHIVED, "open bundle"], "there is nothing left to release"


def test_the_source_is_told_where_the_message_says_that_the_bundle_is(house: House) -> None:
    house.process(message(event(), headers={BUNDLE_SOURCE: "object_store"}))

    assert house.bundles.said == ["object_store"]


def blobs(house: House) -> list[str]:
    return [key for key in house.store.objects if key.startswith("blobs/")]


def test_a_blob_deleted_while_its_reference_is_written_is_stored_again_first() -> None:
    house = House(release=True)

    def collect(call: str, data: bytes) -> bytes:
        if call == "create refs":  # as `archiver gc` would, which saw no reference to it
            for key in blobs(house):
                del house.store.objects[key]
        return data

    house.store.keeps = collect
    assert isinstance(house.process(message(event())), Retry)
    assert (ARCHIVED in house.journal, blobs(house)) == (False, [])

    assert isinstance(house.process(message(event(), deliveries=2)), Ack)
    assert len(blobs(house)) == 1
    assert house.bundles.bundles == {}


def test_an_event_whose_blob_and_bundle_are_both_gone_is_not_taken_for_archived() -> None:
    house = House(release=True)
    house.process(message(event()))
    for key in blobs(house):
        del house.store.objects[key]

    for deliveries in (1, 2):
        outcome = house.process(message(event(), deliveries=deliveries))
        assert isinstance(outcome, Retry)
        assert outcome.cause is Cause.BUNDLE_NOT_THERE


def refs(house: House) -> list[bytes]:
    return [body for key, body in house.store.objects.items() if key.startswith("refs/")]


@pytest.mark.parametrize(
    "instead",
    [lambda _: b"", lambda raw: raw[:-20], lambda raw: raw.replace(b'"subject"', b'"suBject"'), upper_repo],
    ids=["empty", "cut", "a key changed", "a value changed"],
)
def test_a_reference_that_was_not_kept_as_sent_is_found_out_and_written_again(
    instead: Callable[[bytes], bytes],
) -> None:
    house, right = House(), House()
    right.process(message(event()))
    house.store.keeps = lambda call, data: instead(data) if call == "create refs" else data

    assert isinstance(house.process(message(event())), Ack)

    assert refs(house) == refs(right)


def test_a_reference_that_is_never_kept_as_sent_is_not_announced(house: House) -> None:
    house.store.keeps = lambda call, data: b"damage" if call.endswith("refs") else data

    outcome = house.process(message(event()))

    assert isinstance(outcome, Retry)
    assert outcome.cause is Cause.OBJECT_DAMAGED
    assert ARCHIVED not in house.journal


DAMAGES = pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda raw: raw[:-20],
        lambda raw: raw.replace(b'"coach"', b'"coaci"'),
        lambda raw: raw.replace(b'"version": "1", "occurred_at"', b'"version": "0", "occurred_at"'),
        lambda raw: raw.replace(b'"sha256": "', b'"sha256": "0'),
    ],
    ids=["empty", "cut", "an agent changed", "a version changed", "a digest changed"],
)


@DAMAGES
def test_a_damaged_reference_left_by_a_dead_worker_is_rewritten(
    damage: Callable[[bytes], bytes],
) -> None:
    house = House()
    house.process(message(event()))
    [right] = refs(house)
    house.store.objects[ref_key(EVENT)] = damage(right)
    assert refs(house) != [right]

    assert isinstance(house.process(message(event(), deliveries=2)), Ack)

    [found] = refs(house)
    assert found == right.replace(b'"deliveries": 1', b'"deliveries": 2'), "the clock stands still"


@DAMAGES
def test_a_damaged_reference_without_its_bundle_waits_for_an_operator(
    damage: Callable[[bytes], bytes],
) -> None:
    house = House()
    house.process(message(event()))
    house.store.objects[ref_key(EVENT)] = damaged = damage(house.store.objects[ref_key(EVENT)])
    house.bundles.bundles.clear()
    house.clock.forward(1e6)

    outcome = house.process(message(event(), deliveries=2))

    assert isinstance(outcome, Retry)
    assert outcome.cause is Cause.OBJECT_DAMAGED
    assert refs(house) == [damaged]


class TestAStoreWithoutCreateOnlyWrites:
    """The probe found that a second create overwrites, or that none is taken: look first, then write."""

    def test_an_event_is_archived_in_the_same_order(self) -> None:
        house = House(create_only=False)

        assert isinstance(house.process(message(event())), Ack)

        assert house.journal == [
            *("open bundle", "read blobs", "replace blobs", "read blobs", "close bundle"),
            *("read refs", "replace refs", "read refs", "look for blobs", ARCHIVED),
        ]

    def test_a_blob_that_is_there_is_not_written_again(self) -> None:
        house = House(create_only=False)
        house.process(message(event()))
        del house.store.objects[ref_key(EVENT)]

        house.process(message(event()))

        assert "replace blobs" not in house.journal

    def test_the_first_reference_stays(self) -> None:
        house = House(create_only=False)
        house.process(message(event()))
        first = house.store.objects[ref_key(EVENT)]
        house.clock.forward(60)

        house.process(message(event(), sequence=8))

        assert house.store.objects[ref_key(EVENT)] == first
        assert "replace refs" not in house.journal

    @DAMAGES
    def test_a_damaged_reference_is_written_again(self, damage: Callable[[bytes], bytes]) -> None:
        house = House(create_only=False)
        house.process(message(event()))
        [right] = refs(house)
        house.store.objects[ref_key(EVENT)] = damage(right)

        assert isinstance(house.process(message(event())), Ack)

        assert refs(house) == [right]

    def test_a_damaged_blob_is_mended(self) -> None:
        house = House(create_only=False)
        house.process(message(event()))
        [key] = [key for key in house.store.objects if key.startswith("blobs/")]
        house.store.objects[key] = b"damage"
        del house.store.objects[ref_key(EVENT)]

        assert isinstance(house.process(message(event())), Ack)

        assert house.store.objects[key] == BUNDLE
        assert key == blob_key(key.rpartition("/")[2].partition(".")[0], "md")
