"""What we publish keeps our own contract, and a repeat says the same."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.core.announcement import archived_event, archived_id, dead_letter, dead_letter_id
from archiver.core.keys import blob_key, ref_key
from archiver.core.outcome import Dead, DeadReason
from archiver.core.reference import Reference, read_reference
from contracts import PreparedEvent, check, load_contract
from contracts.fixtures.corpus import Case, cases
from tests.support.builders import BUNDLE, NOON, House, event, message, prepared

VALID = list(cases("kaizen.schedule.prepared@1", "valid", "warnings"))
PREFIXES = pytest.mark.parametrize("prefix", ["", "team/a/"])
LARGEST_PUBLISH_BYTES = 1 << 20  # nats-server's default max_payload
RAW = st.binary(max_size=400) | st.integers(0, 900_000).map(lambda size: b"\x00" * size)


def archived(payload: bytes, prefix: str = "") -> tuple[Reference, bytes]:
    """Archive an event in memory; return its reference and the follow-up event that was announced."""
    this, house = PreparedEvent.from_checked(json.loads(payload)), House(prefix=prefix)
    house.bundles.leave(this)
    house.process(message(payload))
    reference = house.reference(ref_key(this))
    return reference, archived_event(reference, ref_key(this), prefix=prefix)


@PREFIXES
@pytest.mark.parametrize("case", VALID, ids=lambda case: case.name)
def test_the_follow_up_of_every_valid_event_keeps_its_contract(case: Case, prefix: str) -> None:
    _, raw = archived(case.raw, prefix)

    result = check(raw, contract=load_contract("kaizen.schedule.archived@1"), profile="emitter")

    assert result.passes(), [str(each) for each in result.violations]


@PREFIXES
def test_the_follow_up_says_where_the_bundle_is_and_which_event_it_belongs_to(prefix: str) -> None:
    payload = event(occurred_at="2026-06-17T09:00:12Z", cadence="monthly", bundle={"format": "json"})
    this = PreparedEvent.from_checked(payload)
    digest = sha256(BUNDLE).hexdigest()

    said = json.loads(archived(json.dumps(payload).encode(), prefix)[1])

    assert said == {
        "event": "kaizen.schedule.archived",
        "version": "1",
        "occurred_at": "2026-06-17T12:00:00.000Z",
        "repo": "kaizen-agentic",
        "agent": "coach",
        "cadence": "monthly",
        "source_event": {
            "sha256": this.key,
            "stream": "KAIZEN_SCHEDULE",
            "sequence": 7,
            "occurred_at": "2026-06-17T09:00:12Z",
        },
        "archive": {
            "bucket": "archive",
            "key": prefix + blob_key(digest, "json"),
            "version_id": "",
            "ref_key": prefix + ref_key(this),
            "sha256": digest,
            "bytes": len(BUNDLE),
            "codec": "identity",
            "format": "json",
            "obtained_from": "spool",
        },
    }


def test_the_follow_up_is_the_same_whenever_it_is_built() -> None:
    reference, raw = archived(json.dumps(event()).encode())
    read_again = read_reference(reference.to_json())

    assert archived_event(read_again, ref_key(prepared()), prefix="") == raw


def test_its_message_is_named_by_the_event_so_that_a_repeat_is_stored_once() -> None:
    assert archived_id(prepared().key) == f"archived:{prepared().key}"
    assert archived_id(prepared().key) != archived_id(prepared(agent="reviewer").key)


@given(RAW, st.sampled_from(DeadReason), st.text(st.characters(codec="utf-8")))
def test_a_dead_letter_keeps_the_payload_for_a_redrive(raw: bytes, reason: DeadReason, detail: str) -> None:
    letter = json.loads(dead_letter(message(raw), Dead(reason, detail), failed_at=NOON, worker="w"))

    kept = base64.b64decode(letter["payload_b64"])
    assert raw.startswith(kept)
    assert len(kept) == min(len(raw), 256 * 1024)
    assert letter["payload_bytes"] == len(raw)
    assert letter["payload_sha256"] == sha256(raw).hexdigest()
    assert (letter["reason"], letter["detail"]) == (str(reason), detail[:4096])


def test_a_dead_letter_says_where_the_message_came_from() -> None:
    buried = message(b"{", sequence=41, deliveries=3, headers={"Nats-Msg-Id": "an id"})

    letter = json.loads(dead_letter(buried, Dead(DeadReason.NOT_JSON, "cut"), failed_at=NOON, worker="w"))

    assert letter == {
        "schema": "kaizen.archive.failed",
        "version": "1",
        "reason": "not_json",
        "detail": "cut",
        "subject": "kaizen.schedule.prepared",
        "stream": "KAIZEN_SCHEDULE",
        "sequence": 41,
        "deliveries": 3,
        "failed_at": "2026-06-17T12:00:00Z",
        "worker": "w",
        "msg_id": "an id",
        "replay": "",
        "payload_bytes": 1,
        "payload_sha256": sha256(b"{").hexdigest(),
        "payload_b64": "ew==",
    }


def test_the_worst_dead_letter_can_still_be_published() -> None:
    worst = message(b"\xff" * (8 << 20), headers={"Nats-Msg-Id": "\x01" * 65_000})  # 64 KiB is the server's limit

    letter = dead_letter(worst, Dead(DeadReason.NOT_JSON, "\x01" * 100_000), failed_at=NOON, worker="w" * 255)

    assert len(letter) < LARGEST_PUBLISH_BYTES


def test_a_redelivery_has_the_same_dead_letter_id_and_no_other_message_has_it() -> None:
    first = message(sequence=41)

    assert dead_letter_id(replace(first, deliveries=9, headers={"a": "b"})) == dead_letter_id(first)
    others = [{"sequence": 42}, {"stream": "OTHER"}, {"payload": b"{"}, {"received_at": NOON + timedelta(seconds=1)}]
    for changes in others:  # the last two: a stream that was made anew, and counts from 1 again
        assert dead_letter_id(replace(first, **changes)) != dead_letter_id(first)
