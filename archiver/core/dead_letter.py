"""A dead letter, read back: what `announcement.dead_letter` wrote. Any publisher can write one: do not trust it."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from contracts.toolkit import MalformedPayload, parse_payload

if TYPE_CHECKING:
    from archiver.core.values import Message

_TEXTS = ("reason", "detail", "subject", "stream", "failed_at", "worker", "msg_id", "payload_sha256")
_NUMBERS = ("sequence", "deliveries", "payload_bytes")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message that can never be archived as it is.

    `subject`, `stream` and `sequence` are where it lay, `msg_id` its Nats-Msg-Id. `payload` is the copy that
    was kept, at most 256 KiB; `payload_bytes` and `payload_sha256` are of the original. It may hold secrets,
    which can be the very reason why it is here. `replay` is the id of the run that replayed it, or ''.
    """

    reason: str
    detail: str
    subject: str
    stream: str
    sequence: int
    deliveries: int
    failed_at: str
    worker: str
    msg_id: str
    payload_bytes: int
    payload_sha256: str
    payload: bytes
    replay: str = ""

    def is_payload(self, data: bytes) -> bool:
        """Return whether these are the bytes of the original, all of them."""
        return len(data) == self.payload_bytes and sha256(data).hexdigest() == self.payload_sha256

    @property
    def redrive_id(self) -> str:
        """The Nats-Msg-Id under which the original is published again.

        Not the original's own: within the stream's duplicate window JetStream would confirm that one without storing
        anything, and the event would be lost together with its dead letter. This id is made of the dead message's
        place and content, so redriving the same dead letter twice within the window stores it once. The digest is part
        of it because a recreated stream counts from 1 again.
        """
        return f"redrive:{self.stream}:{self.sequence}:{self.payload_sha256[:16]}"

    def is_about(self, stream: str, sequence: int, payload: bytes) -> bool:
        """Return whether this is the dead letter of that message."""
        return (self.stream, self.sequence) == (stream, sequence) and self.is_payload(payload)

    @property
    def names(self) -> tuple[str, str]:
        """Repo and agent as the payload has them, '' where it has none; not to be trusted."""
        try:
            event = parse_payload(self.payload)
        except MalformedPayload:
            return "", ""
        told = event if isinstance(event, dict) else {}
        repo, agent = (told.get(name) for name in ("repo", "agent"))
        return (repo if isinstance(repo, str) else ""), (agent if isinstance(agent, str) else "")

    def as_record(self) -> dict[str, Any]:
        """List everything but the payload, by name."""
        return {name: getattr(self, name) for name in (*_TEXTS, *_NUMBERS, "replay")}


class NotADeadLetter(ValueError):
    """The bytes are not a dead letter of this version; the message is the reason."""


def read_dead_letter(raw: bytes) -> DeadLetter:
    """Read a dead letter; keys that a later version added are passed over.

    Raises:
        NotADeadLetter: not JSON, another schema or version, a field is missing or of another type.
    """
    try:
        record = json.loads(raw)
        if (record["schema"], record["version"]) != ("kaizen.archive.failed", "1"):
            raise NotADeadLetter(f"schema {record['schema']!r} version {record['version']!r}")
        letter = DeadLetter(
            **{name: _typed(record, name, str) for name in _TEXTS},
            **{name: _typed(record, name, int) for name in _NUMBERS},
            payload=base64.b64decode(_typed(record, "payload_b64", str), validate=True),
            replay=_typed({"replay": "", **record}, "replay", str),  # earlier versions wrote none
        )
        if not 0 < letter.sequence < 2**63:
            raise NotADeadLetter(f"sequence is {letter.sequence}, expected one of a stream")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise NotADeadLetter(f"not a dead letter: {type(error).__name__}: {error}") from None
    return letter


def is_dead_letter_of(message: Message, raw: bytes) -> bool:
    """Return whether the bytes are a dead letter of this message."""
    try:
        return read_dead_letter(raw).is_about(message.stream, message.sequence, message.payload)
    except NotADeadLetter:
        return False


def _typed(record: dict[str, Any], name: str, kind: type) -> Any:
    value = record[name]
    if type(value) is not kind:
        raise TypeError(f"{name} is {value!r:.80}, expected {kind.__name__}")
    return value
