"""The reference record: what ties one event to its blob. Written once, never changed.

It holds the event verbatim, so that the archive can be read, replayed and rebuilt from the bucket alone. It
holds no endpoint, no credentials and no presigned link: those belong to its readers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from archiver.core.keys import IDENTITY, ZSTD, blob_keys
from contracts import event_key
from contracts.toolkit import COUNT, DIGEST, TEXT, InvalidRecord, Limits, RecordSchema, record_of

SCHEMA: Final = "kaizen.archive.ref"
VERSION: Final = "1"
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False)  # `json.dumps` would make one each time
_OPENING: Final = json.dumps({"schema": SCHEMA, "version": VERSION})[:-1].encode()
MAX_BYTES: Final = 4 << 20
"""A larger object is not a reference: an event has at most 64 KiB, and grows up to six times where it is escaped."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where the event came from: provenance, not identity. `sequence` is 0 where there was no bus."""

    subject: str
    stream: str
    sequence: int
    msg_id: str
    received_at: str
    deliveries: int
    payload_sha256: str


@dataclass(frozen=True, slots=True)
class StoredBundle:
    """Where the bundle is and what it is. `bytes` and `sha256` are of the uncompressed bundle.

    `size_matches`: `bytes` is what the event declared.
    """

    bucket: str
    key: str
    version_id: str
    sha256: str
    bytes: int
    stored_bytes: int
    codec: str
    content_type: str
    declared_bytes: int
    size_matches: bool
    obtained_from: str


@dataclass(frozen=True, slots=True)
class Reference:
    """One archived event. `event_sha256` is its identity; `archived_at` is RFC 3339 in UTC."""

    event_sha256: str
    source: Source
    event: Mapping[str, Any]
    bundle: StoredBundle
    archived_at: str
    archiver: Mapping[str, str]

    @property
    def is_sound(self) -> bool:
        """Whether the record agrees with itself: `event_sha256` is its event's key, `bundle.key` a name of its digest.

        One that does not was damaged in transit or in the store, and proves nothing about any event.
        """
        try:
            return event_key(self.event) == self.event_sha256 and self.bundle.key in blob_keys(self.bundle.sha256)
        except (ValueError, TypeError, RecursionError):  # the event is not even one that has a key
            return False

    def to_json(self) -> bytes:
        """Serialise. On one line: indenting takes Python's slow encoder, ten times the time of all else here."""
        record = {
            "schema": SCHEMA,
            "version": VERSION,
            "event_sha256": self.event_sha256,
            "source": _fields(self.source),
            "event": self.event,
            "bundle": _fields(self.bundle),
            "archived_at": self.archived_at,
            "archiver": self.archiver,
        }
        return (_ENCODER.encode(record) + "\n").encode()


def _fields(record: Source | StoredBundle) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__slots__}  # dataclasses.asdict copies deeply


class NotAReference(ValueError):
    """The bytes are not a reference record of this version; the message gives the reason."""


def is_remnant(raw: bytes) -> bool:
    """Return whether bytes that are no reference may be the rest of one, or are empty."""
    return not raw or raw.startswith(_OPENING)


def read_reference(raw: bytes) -> Reference:
    """Read a reference record strictly; keys that a later version added are ignored.

    Raises:
        NotAReference: not strict JSON, or it breaks the schema of a record of this version.
    """
    try:
        record = _RECORD.read(raw)
    except InvalidRecord as error:
        raise NotAReference(f"not a {SCHEMA} record: {error}") from None
    return Reference(
        event_sha256=record["event_sha256"],
        source=Source(**{name: _exact(record["source"][name]) for name in Source.__slots__}),
        event=record["event"],
        bundle=StoredBundle(**{name: _exact(record["bundle"][name]) for name in StoredBundle.__slots__}),
        archived_at=record["archived_at"],
        archiver=record["archiver"],
    )


def _exact(value: Any) -> Any:
    return int(value) if isinstance(value, float) else value  # 12.0 is an integer in JSON Schema


_RECORD: Final = RecordSchema(
    record_of(
        schema={"const": SCHEMA},
        version={"const": VERSION},
        event_sha256=DIGEST,
        source=record_of(
            subject=TEXT,
            stream=TEXT,
            sequence=COUNT,
            msg_id=TEXT,
            received_at=TEXT,
            deliveries=COUNT,
            payload_sha256=TEXT,
        ),
        event={"type": "object"},
        bundle=record_of(
            bucket=TEXT,
            key=TEXT,
            version_id=TEXT,
            sha256=DIGEST,
            bytes=COUNT,
            stored_bytes=COUNT,
            codec={"enum": [IDENTITY, ZSTD]},
            content_type=TEXT,
            declared_bytes=COUNT,
            size_matches={"type": "boolean"},
            obtained_from=TEXT,
        ),
        archived_at={"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,}Z$"},
        archiver={"type": "object", "additionalProperties": TEXT},
    ),
    Limits(payload_bytes=MAX_BYTES, depth=32),
)
