"""The publisher's ledger: what was published, and what has to become of it.

It names events, blobs and references by its own reading of `archiver/core/keys.py`, not by its code: an oracle that
asks the archiver where things are would believe whatever it says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256
from typing import Any
from urllib.parse import quote

import rfc8785

from tests.support.builders import event, payload_bytes


@dataclass(frozen=True)
class Entry:
    """One event as it went over the wire, and its bundle; `reason` is that of its dead letter, if one is expected."""

    payload: bytes
    bundle: bytes = b""
    reason: str | None = None

    @cached_property
    def fields(self) -> dict[str, Any]:
        return json.loads(self.payload)

    @cached_property
    def name(self) -> str:
        """What the ledger knows it by: its key; the digest of its bytes where it has to be a dead letter, since
        a poison may differ from a good event in nothing that the key sees."""
        return sha256(self.payload).hexdigest() if self.reason else self.key

    @cached_property
    def key(self) -> str:
        """The event's key; of what is no event, the digest of its bytes."""
        try:
            return sha256(rfc8785.dumps(self.fields)).hexdigest()
        except (ValueError, RecursionError):
            return sha256(self.payload).hexdigest()

    @cached_property
    def digest(self) -> str:
        return sha256(self.bundle).hexdigest()

    @property
    def ending(self) -> str:
        return {"markdown": "md", "json": "json"}[self.fields["bundle"]["format"]]

    @property
    def spool_name(self) -> str:
        return f"{self.key}.{self.ending}"

    @property
    def blob_key(self) -> str:
        return f"blobs/v1/sha256/{self.digest[:2]}/{self.digest}.{self.ending}"

    @property
    def blob_keys(self) -> tuple[str, str]:
        """Where the bundle may be: as it is, or compressed."""
        return self.blob_key, f"{self.blob_key}.zst"

    @property
    def ref_key(self) -> str:
        repo, agent = (quote(self.fields[name], safe="").replace(".", "%2E") for name in ("repo", "agent"))
        day = datetime.fromisoformat(self.fields["occurred_at"]).astimezone(UTC).date()
        return f"refs/v1/repo={repo}/agent={agent}/date={day}/{self.key}.json"


@dataclass
class Ledger:
    """The entries by name; an event published twice is one entry. `strays` are blobs that may be left over.

    A stray is a content that was under a bundle's name before the one that counts: half-written, or replaced.
    """

    entries: dict[str, Entry] = field(default_factory=dict)
    strays: set[str] = field(default_factory=set)

    def note(self, *entries: Entry) -> None:
        self.entries |= {each.name: each for each in entries}

    def may_be_left(self, *bundles: bytes) -> None:
        self.strays |= {sha256(each).hexdigest() for each in bundles}

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries.values())

    def __len__(self) -> int:
        return len(self.entries)


def entries(count: int, *, first: int = 0) -> list[Entry]:
    """Make `count` events, each with a bundle of its own, but every tenth, which has its predecessor's."""
    return [_entry(number) for number in range(first, first + count)]


def dead(payload: bytes | dict[str, Any], reason: str, *, bundle: bytes = b"") -> Entry:
    """Make an entry that has to end as a dead letter."""
    return Entry(payload if isinstance(payload, bytes) else payload_bytes(payload), bundle, reason)


def alive(bundle: bytes, **changes: Any) -> Entry:
    """Make an entry that has to be archived; `changes` are those of `tests.support.builders.event`."""
    return Entry(payload_bytes(event(bundle={"bytes": len(bundle)}, **changes)), bundle)


def _entry(number: int) -> Entry:
    at = datetime.fromtimestamp(1_781_690_000 + number, UTC)
    shared = number - 1 if number % 10 == 9 else number
    return alive(f"# Coach\n\nrun {shared}\n".encode(), occurred_at=at.strftime("%Y-%m-%dT%H:%M:%SZ"))
