"""Verify an archive: every record is true, every blob has the digest in its name and a record that refers to it.

A record is a reference or the record of a conflict. Everything is listed once. Then each record is read, and each blob
with the first record that refers to it, so that a blob is read once and never held. The listing goes to a temporary
file, so that an archive of any size takes the same memory.

What appears or goes meanwhile is no damage. Blobs are written before their references and listed before them, so a
young blob without a reference is only a note, and an object that was deleted since is skipped.
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
    archive_around,
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
from archiver.core.values import MAX_BUNDLE_BYTES
from archiver.maintenance.reading import event_of
from archiver.maintenance.repair import Repairer
from archiver.maintenance.temp_tables import Table, TempTables
from archiver.ports import BlobStore
from archiver.stores.listing import in_any_order, whole
from archiver.stores.parallel import in_parallel
from archiver.worker.archive import ReadBack, read_back, read_whole
from contracts import PreparedEvent


@dataclass(frozen=True, slots=True)
class Selection:
    """Which references to verify, with their blobs only; nothing given means the whole archive.

    `since` compares with the event's `occurred_at`; `sample` is how many, drawn at random by `seed`.
    """

    since: datetime | None = None
    sample: int | None = None
    seed: int = 0

    @property
    def is_everything(self) -> bool:
        """Whether nothing was selected, so that orphans can be found."""
        return self.since is None and self.sample is None


@dataclass
class Verification:
    """One verification of an archive. Records, blobs and bytes are counted as they are read.

    `listed` counts objects; `chosen` is how many records will be read, and 0 until everything is listed.
    A blob without a reference is an orphan once it is older than `grace`. A blob is unpacked up to `max_bundle_bytes`.
    """

    store: BlobStore
    now: datetime
    grace: timedelta
    repairer: Repairer | None = None
    max_bundle_bytes: int = MAX_BUNDLE_BYTES
    listed: int = 0
    chosen: int = 0
    records: int = 0
    blobs: int = 0
    bytes_read: int = 0
    _reading: dict[str, asyncio.Task[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        tables = TempTables()
        self._records, self._unclaimed, self._sizes = (Table(tables, name) for name in ("records", "blobs", "sizes"))
        self._elsewhere = Table(tables, "elsewhere")

    async def damage(self, selection: Selection) -> AsyncIterator[Damage]:
        """Yield what is found, as it is found.

        Raises:
            StoreUnavailable: the store failed; what was found until then stands.
            BadInput: there is no room for the temporary file.
        """
        if self.repairer:
            await self.repairer.find_copies()
        if selection.is_everything:
            async for damage in self._list_everything():
                yield damage
        else:
            await self._list(selection)
        self.chosen = len(self._records)
        async for found in in_parallel(self._chosen(), lambda key: self._record(key, selection.since)):
            for damage in found:
                yield damage
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
            # Each key has a number by the seed, and the smallest are the sample, in any order of the listing.
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
            elif prefix := archive_around(key):
                count, size_bytes = self._elsewhere.get(prefix) or (0, 0)
                self._elsewhere[prefix] = (count + 1, size_bytes + listed.size_bytes)
            elif not key.startswith(PROBES):
                yield Damage("object/unknown", key, size, "blobs/, refs/ and conflicts/ only")

        for prefix, (count, size_bytes) in self._elsewhere.items():
            found = f"{count:,} object{'s' * (count != 1)} under another archive's prefix, {size_bytes:,} bytes"
            yield Damage("object/other-archive", prefix, found, "nothing, or another archive")

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
        place = ref_key(event) if kind == "reference" else conflict_key(event.key, record.bundle.sha256)
        if key == place:
            return []
        damage = Damage(f"{kind}/misplaced", key, f"the record of event {event.key}", place)
        there = await self._event_at(place)
        if there == event.key:
            return [replace(damage, id=f"{kind}/duplicate")]
        if self.repairer and there is None and await self.repairer.copy_record(raw, place):
            return [replace(damage, repaired=f"copied to {place}")]
        return [damage]

    async def _event_at(self, key: str) -> str | None:
        try:
            return read_reference(await read_whole(self.store, key, MAX_BYTES)).event_sha256
        except KeyMissing:
            return None
        except (NotAReference, ObjectUnusable):
            return ""

    async def _bundle(self, kind: str, key: str, bundle: StoredBundle, event: PreparedEvent | None) -> list[Damage]:
        said_key, names = bundle.key, blob_keys(bundle.sha256)
        for name in (said_key, *names):
            self._unclaimed.discard(name)
        wanted = blob_key(bundle.sha256, event.bundle.ending, bundle.codec) if event else said_key
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
        """Return the size of a blob that has the digest in its name, or -1; only the first caller gets the damage."""
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
        damage = Damage(
            "blob/damaged" if there.is_there else "blob/missing",
            bundle.key,
            there.why or f"{there.size_bytes} bytes, SHA-256 {there.digest}",
            f"{bundle.bytes} bytes, SHA-256 {bundle.sha256}",
            key,
        )
        if self.repairer and (source := await self.repairer.write_blob(bundle, event)):
            there = await self._read(bundle.key)
            if there.digest == bundle.sha256:
                damage = replace(damage, repaired=f"written again from {source}")
        found.append(damage)
        return there.size_bytes if damage.repaired else -1

    async def _read(self, key: str) -> ReadBack:
        there = await read_back(self.store, key, self.max_bundle_bytes)
        self.bytes_read += there.stored_bytes
        return there
