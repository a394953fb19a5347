"""A dead letter, read back: what the worker wrote is understood, and what anybody else wrote does no harm."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from archiver.core.announcement import dead_letter
from archiver.core.dead_letter import NotADeadLetter, read_dead_letter
from archiver.core.outcome import Dead, DeadReason
from tests.support.builders import NOON, PREPARED, event, message, payload_bytes

PAYLOAD = payload_bytes(event(repo="alpha", agent="coach"))


def written(payload: bytes = PAYLOAD, **changes: Any) -> bytes:
    """Write a letter as the worker does, then change some of its fields; None takes one out."""
    dead = Dead(DeadReason.CONTRACT_BROKEN, "cadence/enum: …")
    told = message(payload, sequence=7, deliveries=2, headers={"Nats-Msg-Id": "first"})
    record = json.loads(dead_letter(told, dead, failed_at=NOON, worker="w1")) | changes
    return json.dumps({name: value for name, value in record.items() if value is not None}).encode()


def test_what_the_worker_wrote_is_read() -> None:
    letter = read_dead_letter(written())

    assert (letter.reason, letter.detail, letter.worker) == ("contract_broken", "cadence/enum: …", "w1")
    assert (letter.subject, letter.stream, letter.sequence) == (PREPARED, "KAIZEN_SCHEDULE", 7)
    assert (letter.deliveries, letter.msg_id, letter.failed_at) == (2, "first", "2026-06-17T12:00:00Z")
    assert letter.payload == PAYLOAD
    assert letter.is_payload(letter.payload)
    assert letter.names == ("alpha", "coach")


def test_keys_of_a_later_version_are_passed_over() -> None:
    assert read_dead_letter(written(headers={"a": "b"})) == read_dead_letter(written())


def test_the_record_of_a_letter_holds_all_but_its_payload() -> None:
    record = read_dead_letter(written()).as_record()

    assert record.keys() | {"schema", "version", "payload_b64"} == json.loads(written()).keys()


@pytest.mark.parametrize(
    "other", [PAYLOAD[:-1], PAYLOAD + b" ", PAYLOAD.replace(b"alpha", b"alphb"), b""], ids=["cut", "more", "else", "no"]
)
def test_other_bytes_are_not_the_original(other: bytes) -> None:
    assert not read_dead_letter(written()).is_payload(other)


def test_a_copy_that_was_cut_is_not_the_original() -> None:
    letter = read_dead_letter(written(b"x" * (300 * 1024)))

    assert len(letter.payload) == 256 * 1024
    assert not letter.is_payload(letter.payload)


def test_the_message_id_of_a_redrive_is_of_the_dead_message_and_not_its_own() -> None:
    letter = read_dead_letter(written())

    assert letter.redrive_id != letter.msg_id
    assert letter.redrive_id == read_dead_letter(written(reason="bundle_missing", failed_at="")).redrive_id
    assert letter.redrive_id != replace(letter, sequence=8).redrive_id
    assert letter.redrive_id != replace(letter, stream="OTHER").redrive_id
    assert letter.redrive_id != replace(letter, payload_sha256="0" * 64).redrive_id, "of a stream that was made anew"


@pytest.mark.parametrize(
    "payload", [b"\xff", b"[]", b"7", b'{"repo": 7, "agent": null}', b'{"repo": "a", "repo": "b"}'], ids=repr
)
def test_whose_event_it_was_is_not_guessed(payload: bytes) -> None:
    assert read_dead_letter(written(payload)).names == ("", "")


@pytest.mark.parametrize("raw", [b"", b"\xff", b"[]", b"7", b"[" * 100_000], ids=lambda raw: repr(raw[:4]))
def test_bytes_of_another_kind_are_no_letter(raw: bytes) -> None:
    with pytest.raises(NotADeadLetter):
        read_dead_letter(raw)


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": "kaizen.archive.ref"},
        {"version": "2"},
        {"reason": None},
        {"subject": 7},
        {"sequence": "7"},
        {"sequence": True},
        {"sequence": 0},
        {"sequence": -1},
        {"sequence": 2**63},
        {"payload_bytes": 1.5},
        {"payload_b64": "*"},
        {"payload_b64": "ü"},
    ],
    ids=str,
)
def test_a_record_with_a_field_that_no_worker_writes_is_no_letter(changes: dict[str, Any]) -> None:
    with pytest.raises(NotADeadLetter):
        read_dead_letter(written(**changes))
