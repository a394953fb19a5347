"""The order is the promise: what happens to one message, call by call, in memory."""

from __future__ import annotations

import asyncio
import io
import json
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.core.bundle_wait import bundle_wait
from archiver.core.errors import (
    BucketMissing,
    BundleRefused,
    BundleUnreadable,
    BundleUnsettled,
    BusUnavailable,
    DigestMismatch,
    SourceUnavailable,
    StoreUnavailable,
)
from archiver.core.keys import blob_key, conflict_key, ref_key
from archiver.core.outcome import Ack, Cause, Dead, DeadReason, Retry
from archiver.core.reference import Source
from archiver.ports import Bundle, Message
from contracts import PreparedEvent, check, load_contract
from tests.support.builders import BUNDLE, House, message, payload_bytes, prepared

DEADLINE_S = House().deadline_s
EVENT = prepared()
REFERENCE = ref_key(EVENT)
BLOB = blob_key(sha256(BUNDLE).hexdigest(), "md")
ARCHIVED = "announce kaizen.schedule.archived"
WHOLE_ORDER = ["open bundle", "create blobs", "read blobs", "close bundle"]
WHOLE_ORDER += ["create refs", "read refs", "look for blobs", ARCHIVED]

STORE_ERRORS = [StoreUnavailable("do it", "503 SlowDown"), BucketMissing("archive", "http://store")]
REFUSED = BundleRefused("spool/x.md", "it is a symbolic link")
NOT_CONFIRMED = BusUnavailable("store an event", "no answer in time")


@pytest.fixture
def house() -> House:
    return House()


def arrival(deliveries: int = 1, event: PreparedEvent = EVENT) -> Message:
    return message(event.payload, deliveries=deliveries)


def test_read_back_comes_before_the_reference_and_that_before_the_announcement(house: House) -> None:
    outcome = house.process(arrival())

    assert house.journal == WHOLE_ORDER
    assert outcome == Ack(EVENT.key, REFERENCE, BLOB, len(BUNDLE))
    assert house.store.objects[BLOB] == BUNDLE
    assert house.reference(REFERENCE).bundle.sha256 == sha256(BUNDLE).hexdigest()
    assert [subject for subject, _, _ in house.announcer.said] == ["kaizen.schedule.archived"]


# Which call fails, at which delivery it is made, with what: all that the ports may raise there.
FAILURES = [
    ("read refs", 2, STORE_ERRORS[0], Retry),
    ("read refs", 2, STORE_ERRORS[1], Retry),
    ("open bundle", 1, STORE_ERRORS[0], Retry),
    ("open bundle", 1, REFUSED, Dead),
    ("create blobs", 1, STORE_ERRORS[0], Retry),
    ("create blobs", 1, STORE_ERRORS[1], Retry),
    ("read blobs", 1, STORE_ERRORS[0], Retry),
    ("read blobs", 1, STORE_ERRORS[1], Retry),
    ("close bundle", 1, REFUSED, Dead),
    ("close bundle", 1, STORE_ERRORS[0], Retry),
    ("create refs", 1, STORE_ERRORS[0], Retry),
    ("create refs", 1, STORE_ERRORS[1], Retry),
    (ARCHIVED, 1, NOT_CONFIRMED, Retry),
]


@pytest.mark.parametrize(
    ("call", "deliveries", "error", "kind"), FAILURES, ids=[f"{each[0]}: {type(each[2]).__name__}" for each in FAILURES]
)
def test_after_a_failed_step_nothing_more_happens_and_the_outcome_says_why(
    house: House, call: str, deliveries: int, error: Exception, kind: type
) -> None:
    house.fail(call, error)

    outcome = house.process(arrival(deliveries))

    assert house.journal[-1] == call
    assert isinstance(outcome, kind)
    assert str(error) in (outcome.why if isinstance(outcome, Retry) else outcome.detail)
    if isinstance(outcome, Dead):
        assert outcome.reason is DeadReason.BUNDLE_REFUSED


@pytest.mark.parametrize("call", [*WHOLE_ORDER[:4], "create refs", ARCHIVED])
def test_after_any_failure_a_redelivery_ends_with_one_reference_and_its_announcement(house: House, call: str) -> None:
    house.fail(call, NOT_CONFIRMED if call == ARCHIVED else STORE_ERRORS[0])
    house.process(arrival())
    house.recover()

    outcome = house.process(arrival(2))

    assert isinstance(outcome, Ack)
    assert [key for key in house.store.objects if key.startswith("refs/")] == [REFERENCE]
    assert house.store.objects[BLOB] == BUNDLE
    assert len(house.announcer.said) == 1


@pytest.mark.parametrize("call", ["open bundle", "create blobs", "read blobs", "create refs", ARCHIVED])
def test_trouble_of_store_or_bus_never_kills_an_event_however_long_it_lasts(house: House, call: str) -> None:
    house.fail(call, NOT_CONFIRMED if call == ARCHIVED else STORE_ERRORS[0])
    house.clock.forward(365 * 24 * 3600)

    assert isinstance(house.process(arrival(deliveries=1_000_000)), Retry)


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_retry_waits_longer_with_each_delivery_and_never_more_than_five_minutes(
    deliveries: int, chance: float
) -> None:
    house = House(chance)
    house.fail("open bundle", STORE_ERRORS[0])
    whole = min(5 * 2 ** min(deliveries - 1, 30), 300)

    outcome = house.process(arrival(deliveries))

    assert isinstance(outcome, Retry)
    assert whole / 2 <= outcome.after_s <= whole


def test_a_redelivery_of_an_archived_event_only_announces_it_again(house: House) -> None:
    house.process(arrival())
    before = dict(house.store.objects)

    outcome = house.process(arrival(2))

    assert house.journal == ["read refs", "look for blobs", ARCHIVED]
    assert outcome == Ack(EVENT.key, REFERENCE, BLOB, len(BUNDLE), repeated=True)
    assert house.store.objects == before
    assert house.announcer.said[0] == house.announcer.said[1], "same event, same message id"


def test_an_event_published_twice_has_one_reference_which_stays_the_first(house: House) -> None:
    house.process(arrival())
    first = house.store.objects[REFERENCE]
    house.clock.forward(3600)

    outcome = house.process(message(EVENT.payload, sequence=99))

    assert isinstance(outcome, Ack)
    assert house.store.objects == {BLOB: BUNDLE, REFERENCE: first}
    assert house.announcer.said[0] == house.announcer.said[1]


def test_a_blob_that_is_there_already_and_right_is_shared(house: House) -> None:
    house.process(arrival())
    other = prepared(cadence="daily")
    house.bundles.leave(other)

    outcome = house.process(arrival(event=other))

    assert house.journal == WHOLE_ORDER
    assert isinstance(outcome, Ack)
    assert sorted(house.store.objects) == sorted([BLOB, REFERENCE, ref_key(other)])


def test_a_blob_that_is_there_already_and_wrong_is_written_again_and_read_again(house: House) -> None:
    house.store.objects[BLOB] = b"damage"

    outcome = house.process(arrival())

    repair = ["open bundle", "create blobs", "read blobs", "replace blobs", "read blobs", "close bundle"]
    assert house.journal == [*repair, "create refs", "read refs", "look for blobs", ARCHIVED]
    assert isinstance(outcome, Ack)
    assert house.store.objects[BLOB] == BUNDLE


@pytest.mark.parametrize("held", [b"", b"truncat", BUNDLE + b"x", BUNDLE[:-1] + b"?"], ids=repr)
def test_a_store_that_says_200_and_holds_wrong_bytes_is_caught_and_mended(house: House, held: bytes) -> None:
    house.store.keeps = lambda call, data: held if call == "create blobs" else data

    assert isinstance(house.process(arrival()), Ack)
    assert house.store.objects[BLOB] == BUNDLE


def test_a_store_that_goes_on_holding_wrong_bytes_gets_no_reference(house: House) -> None:
    house.store.keeps = lambda call, data: b"damage" if call.endswith("blobs") else data

    outcome = house.process(arrival())

    wrong = str(DigestMismatch(BLOB, sha256(BUNDLE).hexdigest(), sha256(b"damage").hexdigest()))
    assert outcome == Retry(45, Cause.OBJECT_DAMAGED, wrong)
    assert house.journal[-2:] == ["replace blobs", "read blobs"]
    assert REFERENCE not in house.store.objects
    assert house.announcer.said == []


@pytest.mark.parametrize("call", ["replace blobs", "read blobs"])
def test_a_repair_that_fails_is_tried_again_later(house: House, call: str) -> None:
    house.store.objects[BLOB] = b"damage"
    house.fail(call, STORE_ERRORS[0])

    assert isinstance(house.process(arrival()), Retry)
    assert house.journal[-1] == call
    assert REFERENCE not in house.store.objects


def looks_until_the_deadline(deadline_s: float, key: str = EVENT.key) -> int:
    """Return the number of the delivery at which the deadline has been reached."""
    return next(look for look in range(1, 10_000) if bundle_wait(key, look, deadline_s).is_over)


LAST = looks_until_the_deadline(DEADLINE_S)


@pytest.mark.parametrize(("deliveries", "dead"), [(1, False), (LAST - 1, False), (LAST, True), (LAST + 1000, True)])
def test_a_late_bundle_is_looked_for_until_its_deadline(house: House, deliveries: int, dead: bool) -> None:  # noqa: FBT001
    house.bundles.bundles.clear()

    outcome = house.process(arrival(deliveries))

    assert "open bundle" in house.journal
    if dead:
        assert isinstance(outcome, Dead)
        assert outcome.reason is DeadReason.BUNDLE_MISSING
        assert f"looked for {deliveries} times in {DEADLINE_S:.0f} s" in outcome.detail
    else:
        assert isinstance(outcome, Retry)
        assert outcome.cause is Cause.BUNDLE_NOT_THERE
        assert outcome.after_s <= 60


def test_time_in_which_no_worker_looked_does_not_count_towards_the_deadline(house: House) -> None:
    house.bundles.bundles.clear()
    house.clock.forward(365 * 24 * 3600)

    outcome = house.process(arrival())

    assert isinstance(outcome, Retry), "at its first delivery, however old the event is"
    assert outcome.after_s <= 2, "two seconds doubling, not the longer waits of a failing store"


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (BundleUnreadable("spool/x.md", "Permission denied"), Cause.BUNDLE_UNREADABLE),
        (BundleUnsettled("spool/x.md"), Cause.BUNDLE_CHANGED),
    ],
    ids=["unreadable", "changing"],
)
@pytest.mark.parametrize("call", ["open bundle", "close bundle"])
def test_an_unreadable_bundle_has_its_own_cause_and_dead_letter_after_the_deadline(
    house: House, error: Exception, cause: Cause, call: str
) -> None:
    house.fail(call, error)

    first, last = house.process(arrival()), house.process(arrival(LAST))

    assert isinstance(first, Retry)
    assert (first.cause, first.why, first.part) == (cause, str(error), "bundle")
    assert isinstance(last, Dead)
    assert last.reason is DeadReason.BUNDLE_UNREADABLE
    assert str(error) in last.detail
    assert house.health.ready


def test_an_event_that_is_archived_needs_no_readable_bundle(house: House) -> None:
    house.process(arrival())
    house.fail("open bundle", BundleUnreadable("spool/x.md", "Permission denied"))

    outcome = house.process(message(EVENT.payload, sequence=99))

    assert isinstance(outcome, Ack)
    assert outcome.repeated


def test_a_spool_that_fails_as_a_whole_is_named_and_blames_no_event(house: House) -> None:
    house.fail("open bundle", SourceUnavailable("spool", "open the directory /spool", "No such file or directory"))

    outcome = house.process(arrival(deliveries=1_000_000))

    assert isinstance(outcome, Retry)
    assert (outcome.cause, outcome.part) == (Cause.SOURCE_UNAVAILABLE, "spool")


def test_the_deadline_does_not_depend_on_what_the_emitter_says(house: House) -> None:
    house.bundles.bundles.clear()
    for occurred_at in ("1999-01-01T00:00:00Z", "2999-01-01T00:00:00Z"):
        event = prepared(occurred_at=occurred_at)
        house.watch.found()
        last = looks_until_the_deadline(DEADLINE_S, event.key)
        assert isinstance(house.process(arrival(last - 1, event=event)), Retry)
        assert isinstance(house.process(arrival(last, event=event)), Dead)


def test_a_bundle_that_is_gone_does_no_harm_once_its_event_is_archived(house: House) -> None:
    house.process(arrival())
    house.bundles.bundles.clear()
    house.clock.forward(1e6)

    outcome = house.process(message(EVENT.payload, sequence=99))

    assert house.journal == ["open bundle", "read refs", "look for blobs", ARCHIVED]
    assert outcome == Ack(EVENT.key, REFERENCE, BLOB, len(BUNDLE), repeated=True)


def test_a_second_bundle_for_an_archived_event_is_kept_and_changes_nothing(house: House) -> None:
    house.process(arrival())
    first, second = house.store.objects[REFERENCE], b"# Coach\n\nanother text\n"
    digest = sha256(second).hexdigest()
    house.bundles.leave(EVENT, second)

    outcome = house.process(message(EVENT.payload, sequence=99))

    conflict = conflict_key(EVENT.key, digest)
    assert outcome == Ack(EVENT.key, REFERENCE, BLOB, len(BUNDLE))
    assert house.store.objects[REFERENCE] == first
    assert house.store.objects[blob_key(digest, "md")] == second
    assert house.reference(conflict).source.sequence == 99
    assert {event["archive"]["sha256"] for _, event, _ in house.announcer.said} == {sha256(BUNDLE).hexdigest()}

    repeated = house.process(message(EVENT.payload, sequence=100))
    assert isinstance(repeated, Ack)
    assert house.reference(conflict).source.sequence == 99


@pytest.mark.parametrize(("declared", "matches"), [(len(BUNDLE), True), (1, False), (10**9, False)])
def test_a_bundle_of_another_size_than_declared_is_archived_and_says_so(
    house: House,
    declared: int,
    matches: bool,  # noqa: FBT001
) -> None:
    sized = prepared(bundle={"bytes": declared})
    house.bundles.leave(sized)

    outcome = house.process(arrival(event=sized))

    assert isinstance(outcome, Ack)
    kept = house.reference(ref_key(sized)).bundle
    assert (kept.bytes, kept.declared_bytes, kept.size_matches) == (len(BUNDLE), declared, matches)


def test_an_event_that_was_put_by_hand_before_is_announced_as_the_contract_asks(house: House) -> None:
    by_hand = Source(
        subject="kaizen.schedule.prepared",
        stream="",
        sequence=0,
        msg_id="",
        received_at="2026-06-17T11:00:00.000Z",
        deliveries=0,
        payload_sha256="00" * 32,
    )

    async def put() -> None:
        stored = await house.archive.store_bundle(EVENT, Bundle(io.BytesIO(BUNDLE), len(BUNDLE), "file"))
        await house.archive.write_reference(EVENT, by_hand, stored)

    asyncio.run(put())
    first = house.store.objects[REFERENCE]

    for arriving in (message(EVENT.payload, sequence=4), message(EVENT.payload, sequence=4, deliveries=2)):
        assert isinstance(house.process(arriving), Ack)

    assert house.store.objects[REFERENCE] == first
    assert house.announcer.said[0] == house.announcer.said[1]
    said = payload_bytes(house.announcer.said[0][1])
    assert check(said, contract=load_contract("kaizen.schedule.archived@1")).passes()
    assert json.loads(said)["source_event"]["sequence"] == 4
