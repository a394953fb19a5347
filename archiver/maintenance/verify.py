"""Look an archive over: every record says what is true, every blob is what its name says and is referred to.

A record is a reference or the record of a conflict. What is there is listed once; then each record is read, and
each blob when the first record that refers to it is read, so that a blob is read once and never held. What was
listed is noted in a temporary file, so that an archive of any size takes the same memory.

What appears or goes while this runs is no damage: blobs are written before their references and listed before
them, so a young blob that nothing refers to is told apart, and an object that was deleted since is passed over.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from heapq import heappush, heappushpop

from archiver.core.capabilities import PROBES
from archiver.core.damage import Damage
from archiver.core.errors import KeyMissing, ObjectUnusable
from archiver.core.keys import (
    BLOBS,
    CONFLICTS,
    IDENTITY,
    REFERENCES,
    TRASH,
    blob_key,
    blob_keys,
    codec_in,
    conflict_key,
    day_in,
    digest_in,
    ref_key,
)
from archiver.core.outcome import Dead
from archiver.core.reference import MAX_BYTES, NotAReference, Reference, StoredBundle, read_reference
from archiver.maintenance.reading import event_of
from archiver.maintenance.repair import Mender
from archiver.maintenance.temp_tables import Table, TempTables
from archiver.ports import BlobStore
from archiver.stores.listing import in_any_order, whole
from archiver.stores.parallel import in_parallel
from archiver.worker.archive import ReadBack, read_back, read_whole
from contracts import PreparedEvent


@dataclass(frozen=True, slots=True)
class Selection:
    """Which references to look at, and their blobs only; nothing given means all that is in the archive.

    `since` compares with the event's `occurred_at`; `sample` is how many, drawn at random by `seed`.
    """

    since: datetime | None = None
    sample: int | None = None
    seed: int = 0

    @property
    def is_everything(self) -> bool:
        """Whether nothing was selected, so that what nobody refers to can be told."""
        return self.since is None and self.sample is None


@dataclass
class Verification:
    """One look over an archive. Records, blobs and bytes are counted as they are read.

    `listed` counts what is there; `chosen` is how many records are to be read, and 0 until all is listed.
    `grace` is how young a blob without a reference may be before it is an orphan.
    """

    store: BlobStore
    now: datetime
    grace: timedelta
    mender: Mender | None = None
    listed: int = 0
    chosen: int = 0
    records: int = 0
    blobs: int = 0
    bytes_read: int = 0
    _reading: dict[str, asyncio.Task[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        scratch = TempTables()
        self._records, self._unclaimed, self._sizes = (Table(scratch, name) for name in ("records", "blobs", "sizes"))

    async def flaws(self, selection: Selection) -> AsyncIterator[Damage]:
        """Yield what is found, as it is found.

        Raises:
            StoreUnavailable: the store failed; what was found until then stands.
            BadInput: there is no room for the temporary file.
        """
        if self.mender:
            await self.mender.look_for_copies()
        if selection.is_everything:
            async for flaw in self._list_everything():
                yield flaw
        else:
            await self._list(selection)
        self.chosen = len(self._records)
        async for found in in_parallel(self._chosen(), lambda key: self._record(key, selection.since)):
            for flaw in found:
                yield flaw
        for key, (size, written) in self._unclaimed.items():
            age = self.now - datetime.fromisoformat(written)
            name = "blob/orphan" if age >= self.grace else "blob/unreferenced-yet"
            found_there = f"{size} bytes, written {written[:19].replace('T', ' ')}Z"
            yield Damage(name, key, found_there, "a reference or a conflict record that refers to it")

    async def _chosen(self) -> AsyncIterator[str]:
        for key in self._records:
            yield key

    async def _list(self, selection: Selection) -> None:
        first_day = selection.since.astimezone(UTC).date().isoformat() if selection.since else ""
        drawn: list[tuple[int, str]] = []  # the sample so far; the largest number, negated, is first
        async for listed in in_any_order(self.store, REFERENCES):
            self.listed += 1
            if day_in(listed.key) < first_day:
                continue
            if selection.sample is None:
                self._records[listed.key] = None
                continue
            # Each key has a number by the seed, and the smallest are the sample: in whatever order they are listed.
            number = -int.from_bytes(sha256(f"{selection.seed} {listed.key}".encode()).digest()[:8])
            if len(drawn) < selection.sample:
                heappush(drawn, (number, listed.key))
            else:
                heappushpop(drawn, (number, listed.key))
        for _, key in drawn:
            self._records[key] = None

    async def _list_everything(self) -> AsyncIterator[Damage]:
        """Note the records and the blobs, and yield what is neither."""
        async for listed in whole(self.store):
            self.listed += 1
            key, size = listed.key, f"{listed.size_bytes} bytes"
            if key.startswith((REFERENCES, CONFLICTS)):
                self._records[key] = None
            elif key.startswith(BLOBS):
                if key in blob_keys(digest_in(key) or ""):
                    self._unclaimed[key] = (listed.size_bytes, listed.modified_at.isoformat())
                else:
                    yield Damage("blob/misnamed", key, size, f"{BLOBS}<2 hex>/<64 hex>.md or .json, or with .zst")
            elif key.startswith(TRASH):
                yield Damage("gc/interrupted", key, size, "nothing: gc deletes its copies at its end")
            elif not key.startswith(PROBES):
                yield Damage("object/unknown", key, size, "blobs/, refs/ and conflicts/ only")

    async def _record(self, key: str, since: datetime | None) -> list[Damage]:
        kind = "reference" if key.startswith(REFERENCES) else "conflict"
        try:
            raw = await read_whole(self.store, key, MAX_BYTES)
            record = read_reference(raw)
        except KeyMissing:
            return []  # deleted since it was listed
        except (NotAReference, ObjectUnusable) as error:
            self.records += 1
            return [Damage(f"{kind}/unreadable", key, str(error), "a kaizen.archive.ref record, version 1")]
        event = event_of(record)
        if since is not None and isinstance(event, PreparedEvent) and event.occurred_at < since:
            return []
        self.records += 1
        if isinstance(event, Dead):
            found = [Damage(f"{kind}/invalid-event", key, event.detail, "an event that keeps its contract")]
            return found + await self._bundle(kind, key, record.bundle, None)
        return await self._identity(kind, key, raw, record, event) + await self._bundle(kind, key, record.bundle, event)

    async def _identity(self, kind: str, key: str, raw: bytes, record: Reference, event: PreparedEvent) -> list[Damage]:
        if record.event_sha256 != event.key:
            said = f"event_sha256 {record.event_sha256}"
            return [Damage(f"{kind}/altered", key, said, f"{event.key}, the key of the event in it")]
        place = ref_key(event) if kind == "reference" else conflict_key(event.key, str(record.bundle.sha256))
        if key == place:
            return []
        flaw = Damage(f"{kind}/misplaced", key, f"the record of event {event.key}", place)
        there = await self._event_at(place)
        if there == event.key:
            return [replace(flaw, id=f"{kind}/duplicate")]
        if self.mender and there is None and await self.mender.copy_record(raw, place):
            return [replace(flaw, repaired=f"copied to {place}")]
        return [flaw]

    async def _event_at(self, key: str) -> str | None:
        try:
            return read_reference(await read_whole(self.store, key, MAX_BYTES)).event_sha256
        except KeyMissing:
            return None
        except (NotAReference, ObjectUnusable):
            return ""

    async def _bundle(self, kind: str, key: str, bundle: StoredBundle, event: PreparedEvent | None) -> list[Damage]:
        said_key, names = str(bundle.key), blob_keys(str(bundle.sha256))
        for name in (said_key, *names):
            self._unclaimed.discard(name)
        wanted = blob_key(str(bundle.sha256), event.bundle.ending, bundle.codec) if event else said_key
        if said_key not in names or said_key != wanted:
            return [Damage(f"{kind}/wrong-bundle", key, f"bundle {said_key}", f"{wanted}, by the digest in it")]
        found: list[Damage] = []
        size = await self._size_of(key, bundle, event, found)
        declared = event.bundle.bytes if event else bundle.declared_bytes
        said = (bundle.bytes, bundle.stored_bytes, bundle.declared_bytes, bundle.size_matches)
        size = bundle.bytes if size < 0 else size
        # zstd does not promise the same frame at each version, so a blob that was written again may have another size.
        stored = size if codec_in(said_key) == IDENTITY else bundle.stored_bytes
        true = (size, stored, declared, size == declared)
        if said != true:
            told = "bytes {}, stored_bytes {}, declared_bytes {}, size_matches {}"
            found.append(Damage(f"{kind}/wrong-bundle", key, told.format(*said), told.format(*true)))
        return found

    async def _size_of(self, key: str, bundle: StoredBundle, event: PreparedEvent | None, found: list[Damage]) -> int:
        """Return the size of a blob that is what its name says, or -1; the first to ask gets what was found."""
        if (size := self._sizes.get(bundle.key)) is not None:
            return int(size)
        if task := self._reading.get(bundle.key):
            return await task
        task = self._reading[bundle.key] = asyncio.create_task(self._blob(key, bundle, event, found))
        try:
            size = self._sizes[bundle.key] = await task
        finally:
            del self._reading[bundle.key]
        return size

    async def _blob(self, key: str, bundle: StoredBundle, event: PreparedEvent | None, found: list[Damage]) -> int:
        self.blobs += 1
        there = await self._read(bundle.key)
        if there.digest == bundle.sha256:
            return there.size_bytes
        flaw = Damage(
            "blob/damaged" if there.is_there else "blob/missing",
            bundle.key,
            there.why or f"{there.size_bytes} bytes, SHA-256 {there.digest}",
            f"{bundle.bytes} bytes, SHA-256 {bundle.sha256}",
            key,
        )
        if self.mender and (source := await self.mender.write_blob(bundle, event)):
            there = await self._read(bundle.key)
            if there.digest == bundle.sha256:
                flaw = replace(flaw, repaired=f"written again from {source}")
        found.append(flaw)
        return there.size_bytes if flaw.repaired else -1

    async def _read(self, key: str) -> ReadBack:
        there = await read_back(self.store, key)
        self.bytes_read += there.stored_bytes
        return there
