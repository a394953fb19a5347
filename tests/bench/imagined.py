"""An archive of any size that is not there: keys in an SQLite file, what they hold computed when it is read."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from archiver.core.errors import KeyMissing
from archiver.core.keys import blob_key, ref_key
from archiver.core.reference import Reference, Source, StoredBundle
from archiver.core.values import Folder, Listed
from contracts import PreparedEvent
from contracts.toolkit import format_rfc3339
from tests.support.builders import NOON, PREPARED, prepared

REPOS = 200
OURS, OF_OURS = "the-repo", 500
"""One repo that has as many references in a large archive as in a small one."""
_AFTER = "\U0010ffff"


def repo_of(number: int) -> str:
    """Return the repo of the event that came as `number`."""
    return OURS if number < OF_OURS else f"repo-{number % REPOS}"


def bundle_of(number: int, different: int) -> bytes:
    """Return the bundle of an event; only so many are different."""
    return f"# Coach\n\nBundle {number % different}\n".encode()


def event_of(number: int, repo: str) -> PreparedEvent:
    """Return the event that came as `number`; ten of a repo and agent are of one day."""
    moment = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=number // REPOS // 20, seconds=number % 86_400)
    agent = ("coach", "reviewer")[number // REPOS % 2]
    return prepared(repo=repo, agent=agent, occurred_at=format_rfc3339(moment), bundle={"bytes": 20})


def record_of(event: PreparedEvent, bundle: bytes) -> bytes:
    """Return the reference of an event to its bundle."""
    digest, size = sha256(bundle).hexdigest(), len(bundle)
    stored = StoredBundle(
        bucket="archive",
        key=blob_key(digest, "md"),
        version_id="",
        sha256=digest,
        bytes=size,
        stored_bytes=size,
        codec="identity",
        content_type="text/markdown; charset=utf-8",
        declared_bytes=event.bundle.bytes,
        size_matches=size == event.bundle.bytes,
        obtained_from="spool",
    )
    noon = format_rfc3339(NOON)
    source = Source(PREPARED, "KAIZEN_SCHEDULE", 7, event.key, noon, 1, "")
    return Reference(event.key, source, event.payload, stored, noon, {"version": "0", "worker": "w"}).to_json()


class ImaginedStore:
    """The reading side of an BlobStore: as many references as were imagined, each with a blob of its own."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path)

    @classmethod
    def of(cls, count: int, path: Path) -> ImaginedStore:
        self = cls(path)
        self._db.execute("CREATE TABLE objects (key TEXT PRIMARY KEY, number INTEGER) WITHOUT ROWID")
        self._db.executemany("INSERT INTO objects VALUES (?, ?)", self._imagined(count))
        self._db.commit()
        return self

    @staticmethod
    def _imagined(count: int) -> Iterator[tuple[str, int]]:
        for number in range(count):
            yield ref_key(event_of(number, repo_of(number))), number
            yield blob_key(sha256(bundle_of(number, count)).hexdigest(), "md"), -1 - number

    async def list(self, prefix: str, after: str = "") -> AsyncIterator[Listed]:
        last, end = max(prefix, after), prefix + _AFTER
        while page := self._db.execute(
            "SELECT key, number FROM objects WHERE key > ? AND key < ? ORDER BY key LIMIT 1000", (last, end)
        ).fetchall():
            for key, number in page:
                yield Listed(key, abs(number), NOON)
            last = page[-1][0]

    async def folder(self, prefix: str) -> Folder:
        found, last = list[str](), prefix
        while row := self._db.execute(
            "SELECT key FROM objects WHERE key > ? AND key < ? ORDER BY key LIMIT 1", (last, prefix + _AFTER)
        ).fetchone():
            found.append(prefix + row[0][len(prefix) :].partition("/")[0] + "/")
            last = found[-1] + _AFTER
        return Folder((), found)

    async def read(self, key: str) -> AsyncIterator[bytes]:
        row = self._db.execute("SELECT number FROM objects WHERE key = ?", (key,)).fetchone()
        if row is None:
            raise KeyMissing(key)
        number, huge = row[0], 1 << 62
        if number < 0:
            yield bundle_of(-1 - number, huge)
        else:
            yield record_of(event_of(number, repo_of(number)), bundle_of(number, huge))
