"""Replayed messages at the archiver: archived like any other, ignored, or archived apart."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.core.announcement import dead_letter
from archiver.core.dead_letter import read_dead_letter
from archiver.core.errors import StoreUnavailable
from archiver.core.keys import REPLAYS, key_segment, ref_key, replay_prefix
from archiver.core.outcome import Ack, Cause, Dead, DeadReason, Ignored, Outcome, Retry
from archiver.core.replay import run_of
from archiver.worker.replays import Replays, Treatment
from contracts.toolkit import REPLAY
from tests.archiver.core.test_keys import LONGEST_SLUG
from tests.support.builders import BUNDLE, NOON, PREPARED, House, event, message, prepared

RUN = "2026-06-17-rehearsal"
REPLAYED = {REPLAY: RUN, "Nats-Msg-Id": f"{RUN}:0"}
APART = replay_prefix(RUN)
HOSTILE = ["", ".", "..", "a/b", "../../refs/v1", "a\r\nNats-Msg-Id: x", "a" * 4096, "ü", "\udc80", "a b", "a%2Eb"]


def process(
    house: House,
    treatment: Treatment,
    payload: bytes | None = None,
    *,
    headers: Mapping[str, str] = REPLAYED,
    deliveries: int = 1,
) -> Outcome:
    house.journal.clear()
    this = message(payload, headers=headers, deliveries=deliveries)
    return asyncio.run(Replays(house.pipeline, treatment).process(this))


def test_a_replay_is_archived_like_any_other_event_by_default() -> None:
    house = House(release=True)

    assert isinstance(process(house, "archive"), Ack)

    assert ref_key(prepared()) in house.store.objects
    assert house.bundles.bundles == {}
    assert house.reference(ref_key(prepared())).source.msg_id == f"{RUN}:0"


def test_the_event_itself_is_found_archived_after_its_replay_and_the_other_way_round() -> None:
    for first, second in [({}, REPLAYED), (REPLAYED, {})]:
        house = House(release=True)
        process(house, "archive", headers=first)
        again = process(house, "archive", headers=second)

        assert isinstance(again, Ack)
        assert again.repeated
        assert len([key for key in house.store.objects if key.startswith("refs/")]) == 1


def test_a_replay_is_announced_although_its_event_was_announced_just_before() -> None:
    house = House()
    for headers in ({}, REPLAYED, {REPLAY: "another-run"}, REPLAYED):
        process(house, "archive", headers=headers)

    key = prepared().key
    names = [f"archived:{key}", f"archived:{key}:{RUN}", f"archived:{key}:another-run", f"archived:{key}:{RUN}"]
    assert [name for _, _, name in house.announcer.said] == names
    assert house.announcer.headers == [None, {REPLAY: RUN}, {REPLAY: "another-run"}, {REPLAY: RUN}]
    assert {json.dumps(said) for _, said, _ in house.announcer.said} == {json.dumps(house.announcer.said[0][1])}


@pytest.mark.parametrize("payload", [None, b"no event at all"], ids=["an event", "no event"])
def test_where_replays_are_ignored_nothing_is_looked_at_stored_or_said(payload: bytes | None) -> None:
    house = House(release=True)
    house.fail("open bundle", AssertionError())

    assert process(house, "ignore", payload) == Ignored()

    assert house.journal == []
    assert list(house.bundles.bundles.values()) == [BUNDLE]


@pytest.mark.parametrize("treatment", ["ignore", "separate"])
def test_what_is_no_replay_is_archived_whatever_becomes_of_replays(treatment: Treatment) -> None:
    house = House()

    assert isinstance(process(house, treatment, headers={"Kaizen-Bundle-Source": "spool"}), Ack)

    assert {key.partition("/")[0] for key in house.store.objects} == {"blobs", "refs"}


def test_a_replay_that_is_kept_apart_is_an_archive_of_its_own_and_says_so() -> None:
    house = House(prefix="live/", release=True)
    house.archive.store.memory.objects[ref_key(prepared())] = b"the live archive's, whatever it is"  # type: ignore[attr-defined]

    done = process(house, "separate")

    assert isinstance(done, Ack)
    apart = sorted(key for key in house.store.objects if key != ref_key(prepared()))
    assert apart == sorted([APART + done.blob_key, APART + done.ref_key])
    [(_, said, _)] = house.announcer.said
    assert (said["archive"]["key"], said["archive"]["ref_key"]) == tuple(f"live/{key}" for key in apart)
    assert house.reference(APART + done.ref_key).bundle.key == done.blob_key, "it can be moved, and read by its prefix"


def test_the_bundle_is_left_for_the_event_itself_when_its_replay_is_kept_apart() -> None:
    house = House(release=True)

    process(house, "separate")
    assert list(house.bundles.bundles.values()) == [BUNDLE]

    assert isinstance(process(house, "separate", headers={}), Ack)
    assert house.bundles.bundles == {}


def test_a_redelivered_replay_is_looked_up_where_replays_of_its_run_are() -> None:
    house = House()
    process(house, "separate", headers={})
    first = process(house, "separate", deliveries=2)
    assert isinstance(first, Ack)
    assert not first.repeated, "the live archive's is another"

    house.bundles.bundles.clear()
    for headers, is_there in [(REPLAYED, True), ({REPLAY: "another-run"}, False)]:
        again = process(house, "separate", headers=headers, deliveries=2)
        assert isinstance(again, Ack if is_there else Retry)
        assert not isinstance(again, Ack) or again.repeated


def test_a_replay_waits_for_the_store_and_is_given_up_like_any_other_message() -> None:
    house = House(deadline_s=0)
    house.fail("create replays", StoreUnavailable("create", "503"))
    waits = process(house, "separate")
    assert isinstance(waits, Retry)
    assert waits.cause is Cause.STORE_UNAVAILABLE

    house.recover()
    house.bundles.bundles.clear()
    gone = process(house, "separate")
    assert isinstance(gone, Dead)
    assert gone.reason is DeadReason.BUNDLE_MISSING


@pytest.mark.parametrize(("headers", "run"), [(REPLAYED, RUN), ({}, "")], ids=["a replay", "none"])
def test_a_dead_letter_keeps_that_it_was_a_replay(headers: Mapping[str, str], run: str) -> None:
    dead = Dead(DeadReason.NOT_JSON, "why")
    raw = dead_letter(message(b"{", headers=headers), dead, failed_at=NOON, worker="w")

    assert read_dead_letter(raw).replay == run
    assert read_dead_letter(raw).as_record()["replay"] == run


def test_a_dead_letter_of_an_earlier_version_is_read_as_none_of_a_replay() -> None:
    record = json.loads(dead_letter(message(b"{"), Dead(DeadReason.NOT_JSON, ""), failed_at=NOON, worker="w"))
    del record["replay"]

    assert read_dead_letter(json.dumps(record).encode()).replay == ""


@given(
    st.text()
    | st.sampled_from(["", ".", "..", "a/b", "../../refs/v1", "a\r\nNats-Msg-Id: x", "a" * 4096, "ü", "\udc80"])
)
def test_a_run_id_is_anybodys_word_and_can_only_choose_a_folder_among_the_replays(said: str) -> None:
    run = run_of(message(headers={REPLAY: said}))

    assert run is not None
    assert run_of(message(headers={REPLAY: run})) == run, "passed on in a header, it is the same run"
    folder = replay_prefix(run)
    assert folder.startswith(REPLAYS)
    assert folder.removeprefix(REPLAYS) == f"{key_segment(run)}/" == f"{run}/"
    assert len((folder + ref_key(prepared(repo=LONGEST_SLUG, agent=LONGEST_SLUG))).encode()) + 401 <= 1024


@given(st.sets(st.text(), min_size=2, max_size=2))
def test_two_runs_never_share_a_folder(ids: set[str]) -> None:
    runs = {run_of(message(headers={REPLAY: said})) for said in ids}

    assert len(runs) == 2


def test_a_message_without_the_header_is_no_replay() -> None:
    assert run_of(message(event(), headers={"kaizen-origin": PREPARED})) is None
