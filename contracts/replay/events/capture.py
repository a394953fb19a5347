"""A capture: one event as it was seen somewhere, on one line of JSON, so that it can be sent again elsewhere.

    {"schema": "kaizen.capture/1", "subject": …, "at": …, "origin": …, "headers": {…}, "event": {…}, "scrubbed": […]}

Every source of events writes these lines: a subject, a stream, an archive. `scrubbed` is present only where
something was removed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from contracts.errors import BadInput
from contracts.model.identity import event_key
from contracts.model.rfc3339 import InvalidTimestamp, format_rfc3339, parse_rfc3339
from contracts.model.strict_json import Limits, Malformation, MalformedPayload, parse_payload

LONGEST_LINE_BYTES: Final = 1 << 23
"""The longest line that is read as a capture: eight times the default limit of a NATS server."""
_SCHEMA: Final = "kaizen.capture/1"
_FAMILY: Final = _SCHEMA.partition("/")[0] + "/"
# The contract has its own limits; these only bound what reading costs.
_LIMITS: Final = Limits(payload_bytes=LONGEST_LINE_BYTES, depth=64)


@dataclass(frozen=True, slots=True)
class Capture:
    """One event, and how it was seen.

    `at` is when it was seen, aware, None where that is unknown; `origin` is where, for people, without credentials, as
    `KAIZEN_SCHEDULE #17`; `headers` are those of its message. `scrubbed` names the (pointer, rule) of each text that
    was taken out of the event because the boundary forbids it.
    """

    subject: str
    event: Mapping[str, Any]
    at: datetime | None = None
    origin: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    scrubbed: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> str:
        """The event's identity, 64 hex characters."""
        return event_key(self.event)

    @property
    def payload(self) -> bytes:
        """The event as it goes into a message: JSON without white space, its keys in their order."""
        return json.dumps(self.event, ensure_ascii=False, separators=(",", ":")).encode()

    def to_line(self) -> bytes:
        """Serialise, on one line, the line break included."""
        record: dict[str, Any] = {
            "schema": _SCHEMA,
            "subject": self.subject,
            "at": None if self.at is None else format_rfc3339(self.at, "microseconds"),
            "origin": self.origin,
            "headers": dict(self.headers),
            "event": self.event,
        }
        if self.scrubbed:
            record["scrubbed"] = [{"pointer": at, "rule": rule} for at, rule in self.scrubbed]
        return (json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


@dataclass(frozen=True, slots=True)
class Unusable:
    """Something that was found where events were looked for and is none: where, and the rules that it breaks."""

    where: str
    rules: tuple[str, ...]

    @classmethod
    def because(cls, error: MalformedPayload, where: str) -> Unusable:
        """Return the rules that make bytes unusable as an event."""
        return cls(where, tuple(sorted({each.rule for each in error.malformations})))


Found = Capture | Unusable
"""What a source of events yields."""


def parse_event(raw: bytes) -> dict[str, Any]:
    """Read a payload as far as it can be read without harm; its contract has not been asked.

    Raises:
        MalformedPayload: not a JSON object that every reader reads alike.
    """
    value = parse_payload(raw, _LIMITS)
    if not isinstance(value, dict):
        raise MalformedPayload((Malformation("payload/type", "", f"a {type(value).__name__}"),))
    return value


def parse_capture(line: bytes, *, where: str) -> Capture:
    """Read one line: a capture, or a bare payload, whose subject is the event that it names.

    `where` names the line in errors, and is the origin of an event that has none. Keys of a capture that this version
    does not know are ignored.

    Raises:
        MalformedPayload: not a JSON object that every reader reads alike.
        BadInput: a capture of another version, or malformed; names the line.
    """
    value = parse_event(line)
    schema = value.get("schema")
    if not (isinstance(schema, str) and schema.startswith(_FAMILY)):
        subject = value.get("event")
        return Capture(subject if isinstance(subject, str) else "", value, origin=where)
    if schema != _SCHEMA:
        raise BadInput(f"{where} is a capture of another version: {schema!r}, expected {_SCHEMA!r}\n  record it anew")
    try:
        return _read(value, where)
    except (KeyError, TypeError, AttributeError, InvalidTimestamp) as error:
        raise BadInput(
            f"{where} is not a capture: {type(error).__name__}: {error}\n"
            '  expected {"schema", "subject", "at", "origin", "headers", "event"}, as contracts record writes them'
        ) from None


def _read(value: Mapping[str, Any], where: str) -> Capture:
    at, headers = value["at"], value["headers"]
    for name, kind in _KINDS.items():
        if not isinstance(value[name], kind):
            raise TypeError(f"{name!r} is a {type(value[name]).__name__}, expected a {kind.__name__}")
    if not all(isinstance(text, str) for text in headers.values()):
        raise TypeError("a header is not a text")
    return Capture(
        subject=value["subject"],
        event=value["event"],
        at=None if at is None else parse_rfc3339(at),
        origin=value["origin"] or where,
        headers=headers,
        scrubbed=tuple((_text(each["pointer"]), _text(each["rule"])) for each in value.get("scrubbed", ())),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"what was scrubbed is named by a {type(value).__name__}, expected a str")
    return value


_KINDS: Final = {"subject": str, "origin": str, "headers": dict, "event": dict}
