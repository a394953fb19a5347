"""Plain values that pass between the pipeline and the world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

MAX_BUNDLE_BYTES: Final = 2 << 30
"""What ARCHIVER_MAX_BUNDLE_BYTES is unless it is set: no larger bundle is read, written or unpacked."""


@dataclass(frozen=True, slots=True)
class Message:
    """One delivery of one message: the bytes, and the bus's metadata.

    `received_at` is when the stream took it, aware, in UTC; `deliveries` counts from 1.
    """

    subject: str
    payload: bytes
    stream: str
    sequence: int
    deliveries: int
    received_at: datetime
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much is waiting: never delivered, and delivered but not yet answered (delayed retries included)."""

    undelivered: int
    unanswered: int


@dataclass(frozen=True, slots=True)
class Stored:
    """The store's answer to a write: `version_id` where the bucket keeps versions, else None."""

    version_id: str | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """One listed object: its key, its size in bytes and when it was written (aware, in UTC, by the store's clock)."""

    key: str
    size_bytes: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class Folder:
    """What is directly in a folder: objects, and the folders below it as prefixes that end with a slash, ascending."""

    objects: Sequence[Listed] = ()
    folders: Sequence[str] = ()
