"""The reference record: what ties one event to its blob. Written once, never changed.

It holds the event verbatim, so that the archive can be read, replayed and rebuilt from the bucket alone. It
holds no endpoint, no credentials and no presigned link: those belong to whoever reads it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from archiver.core.keys import blob_keys
from contracts import event_key

SCHEMA: Final = "kaizen.archive.ref"
VERSION: Final = "1"
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False)  # `json.dumps` would make one each time
_OPENING: Final = json.dumps({"schema": SCHEMA, "version": VERSION})[:-1].encode()
MAX_BYTES: Final = 4 << 20
"""A larger object is not one of ours: an event has at most 64 KiB, and grows up to six times where it is escaped."""


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

    `size_matches` says whether `bytes` is what the event declared.
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
        """Whether the record holds together: its event has the key that it says, its blob a name of its digest.

        One that does not was damaged on its way or where it lies, and says nothing about any event.
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
    """The bytes are not a reference record of this version; the message says why."""


def is_remnant(raw: bytes) -> bool:
    """Say whether bytes that are no reference may once have been one of this version, or never were anything."""
    return not raw or raw.startswith(_OPENING)


def read_reference(raw: bytes) -> Reference:
    """Read a reference record; keys that a later version added are passed over.

    Raises:
        NotAReference: not JSON, another schema or version, or a field is missing.
    """
    try:
        record = json.loads(raw)
        if (record["schema"], record["version"]) != (SCHEMA, VERSION):
            raise NotAReference(f"schema {record['schema']!r} version {record['version']!r}")
        return Reference(
            event_sha256=record["event_sha256"],
            source=Source(**{name: record["source"][name] for name in Source.__slots__}),
            event=record["event"],
            bundle=StoredBundle(**{name: record["bundle"][name] for name in StoredBundle.__slots__}),
            archived_at=record["archived_at"],
            archiver=record["archiver"],
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise NotAReference(f"not a {SCHEMA} record: {type(error).__name__}: {error}") from None
