"""Look an archive over: every record says what is true, every blob is what its name says and is referred to.

A record is a reference or the record of a conflict. What is there is listed once; then each record is read, and
each blob when the first record that refers to it is read, so that a blob is read once and never held. In memory
is what was listed, about 1 KiB for each object.

What appears or goes while this runs is no damage: blobs are written before their references and listed before
them, so a young blob that nothing refers to is told apart, and an object that was deleted since is passed over.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from random import Random

from archiver.archive import read_whole
from archiver.core.capabilities import PROBES
from archiver.core.flaws import Flaw
from archiver.core.keys import BLOBS, CONFLICTS, REFERENCES, TRASH, blob_key, conflict_key, day_in, digest_in, ref_key
from archiver.core.outcome import Dead
from archiver.core.reference import MAX_BYTES, NotAReference, Reference, StoredBundle, read_reference
from archiver.core.values import Listed
from archiver.errors import KeyMissing, ObjectUnusable
from archiver.parallel import in_parallel
from archiver.patience import patiently
from archiver.ports import ObjectStore
from archiver.reading import event_of
from archiver.repair import Mender
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

    `grace` is how young a blob without a reference may be before it is an orphan.
    """

    store: ObjectStore
    now: datetime
    grace: timedelta
    mender: Mender | None = None
    records: int = 0
    blobs: int = 0
    bytes_read: int = 0
    _unclaimed: dict[str, Listed] = field(default_factory=dict)
    _sizes: dict[str, int | asyncio.Task[int]] = field(default_factory=dict)
    _strange: list[Flaw] = field(default_factory=list)

    async def flaws(self, selection: Selection) -> AsyncIterator[Flaw]:
        """Yield what is found, as it is found.

        Raises:
            StoreUnavailable: the store failed; what was found until then stands.
        """
        if self.mender:
            await self.mender.look_for_copies()
        async for found in in_parallel(self._chosen(selection), lambda one: self._record(one, selection.since)):
            for flaw in found:
                yield flaw
        for flaw in self._strange:
            yield flaw
        for blob in self._unclaimed.values():
            age = self.now - blob.modified_at
            name = "blob/orphan" if age >= self.grace else "blob/unreferenced-yet"
            found_there = f"{blob.size_bytes} bytes, written {blob.modified_at:%Y-%m-%d %H:%M:%S}Z"
            yield Flaw(name, blob.key, found_there, "a reference or a conflict record that refers to it")

    async def _chosen(self, selection: Selection) -> AsyncIterator[Listed]:
        if selection.is_everything:
            async for listed in self._everything():
                yield listed
            return
        random, held = Random(selection.seed), list[Listed]()  # noqa: S311 - a sample, no secret
        seen = 0
        first_day = selection.since.astimezone(UTC).date().isoformat() if selection.since else ""
        async for listed in self.store.list(REFERENCES):
            if day_in(listed.key) < first_day:
                continue
            if selection.sample is None:
                yield listed
                continue
            seen += 1  # a reservoir: each of all the references seen so far is held with the same chance
            place = random.randrange(seen)
            if len(held) < selection.sample:
                held.append(listed)
            elif place < selection.sample:
                held[place] = listed
        for listed in held:
            yield listed

    async def _everything(self) -> AsyncIterator[Listed]:
        """Yield the records; set blobs and strange objects aside. Blobs come first: `b` is before `c` and `r`."""
        async for listed in self.store.list(""):
            key, size = listed.key, f"{listed.size_bytes} bytes"
            if key.startswith((REFERENCES, CONFLICTS)):
                yield listed
            elif key.startswith(BLOBS):
                if key in _names(digest_in(key) or ""):
                    self._unclaimed[key] = listed
                else:
                    name = f"{BLOBS}<2 hex>/<64 hex>.md or .json"
                    self._strange.append(Flaw("blob/misnamed", key, size, name))
            elif key.startswith(TRASH):
                self._strange.append(Flaw("gc/interrupted", key, size, "nothing: gc deletes its copies at its end"))
            elif not key.startswith(PROBES):
                self._strange.append(Flaw("object/unknown", key, size, "blobs/, refs/ and conflicts/ only"))

    async def _record(self, listed: Listed, since: datetime | None) -> list[Flaw]:
        key = listed.key
        kind = "reference" if key.startswith(REFERENCES) else "conflict"
        try:
            raw = await patiently(lambda: read_whole(self.store, key, MAX_BYTES))
            record = read_reference(raw)
        except KeyMissing:
            return []  # deleted since it was listed
        except (NotAReference, ObjectUnusable) as error:
            self.records += 1
            return [Flaw(f"{kind}/unreadable", key, str(error), "a kaizen.archive.ref record, version 1")]
        event = event_of(record)
        if since is not None and isinstance(event, PreparedEvent) and event.occurred_at < since:
            return []
        self.records += 1
        if isinstance(event, Dead):
            found = [Flaw(f"{kind}/invalid-event", key, event.detail, "an event that keeps its contract")]
            return found + await self._bundle(kind, key, record.bundle, None)
        return await self._identity(kind, key, raw, record, event) + await self._bundle(kind, key, record.bundle, event)

    async def _identity(self, kind: str, key: str, raw: bytes, record: Reference, event: PreparedEvent) -> list[Flaw]:
        if record.event_sha256 != event.key:
            said = f"event_sha256 {record.event_sha256}"
            return [Flaw(f"{kind}/altered", key, said, f"{event.key}, the key of the event in it")]
        place = ref_key(event) if kind == "reference" else conflict_key(event.key, str(record.bundle.sha256))
        if key == place:
            return []
        flaw = Flaw(f"{kind}/misplaced", key, f"the record of event {event.key}", place)
        there = await self._event_at(place)
        if there == event.key:
            return [replace(flaw, id=f"{kind}/duplicate")]
        if self.mender and there is None and await self.mender.copy_record(raw, place):
            return [replace(flaw, repaired=f"copied to {place}")]
        return [flaw]

    async def _event_at(self, key: str) -> str | None:
        try:
            return read_reference(await patiently(lambda: read_whole(self.store, key, MAX_BYTES))).event_sha256
        except KeyMissing:
            return None
        except (NotAReference, ObjectUnusable):
            return ""

    async def _bundle(self, kind: str, key: str, bundle: StoredBundle, event: PreparedEvent | None) -> list[Flaw]:
        said_key, names = str(bundle.key), _names(str(bundle.sha256))
        for name in (said_key, *names):
            self._unclaimed.pop(name, None)
        wanted = blob_key(str(bundle.sha256), event.bundle.ending) if event else said_key
        if said_key not in names or said_key != wanted:
            return [Flaw(f"{kind}/wrong-bundle", key, f"bundle {said_key}", f"{wanted}, by the digest in it")]
        found: list[Flaw] = []
        size = await self._size_of(key, bundle, event, found)
        declared = event.bundle.bytes if event else bundle.declared_bytes
        said = (bundle.bytes, bundle.stored_bytes, bundle.declared_bytes, bundle.size_matches)
        size = bundle.bytes if size < 0 else size
        true = (size, size, declared, size == declared)
        if said != true:
            told = "bytes {}, stored_bytes {}, declared_bytes {}, size_matches {}"
            found.append(Flaw(f"{kind}/wrong-bundle", key, told.format(*said), told.format(*true)))
        return found

    async def _size_of(self, key: str, bundle: StoredBundle, event: PreparedEvent | None, found: list[Flaw]) -> int:
        """Return the size of a blob that is what its name says, or -1; the first to ask gets what was found."""
        if bundle.key not in self._sizes:
            task = self._sizes[bundle.key] = asyncio.create_task(self._blob(key, bundle, event, found))
            self._sizes[bundle.key] = await task
        size = self._sizes[bundle.key]
        return await size if isinstance(size, asyncio.Task) else size

    async def _blob(self, key: str, bundle: StoredBundle, event: PreparedEvent | None, found: list[Flaw]) -> int:
        self.blobs += 1
        digest, size = await self._read(bundle.key)
        if digest == bundle.sha256:
            return size
        flaw = Flaw(
            "blob/damaged" if digest else "blob/missing",
            bundle.key,
            f"{size} bytes, SHA-256 {digest}" if digest else "nothing",
            f"{bundle.bytes} bytes, SHA-256 {bundle.sha256}",
            key,
        )
        if self.mender and (source := await self.mender.write_blob(bundle, event)):
            digest, size = await self._read(bundle.key)
            if digest == bundle.sha256:
                flaw = replace(flaw, repaired=f"written again from {source}")
        found.append(flaw)
        return size if flaw.repaired else -1

    async def _read(self, key: str) -> tuple[str, int]:
        """Return digest and size of an object; the digest is '' where there is none."""

        async def read() -> tuple[str, int]:
            digest, size = sha256(), 0
            async for chunk in self.store.read(key):
                digest.update(chunk)
                size += len(chunk)
            return digest.hexdigest(), size

        try:
            digest, size = await patiently(read)
        except KeyMissing:
            return "", 0
        self.bytes_read += size
        return digest, size


def _names(digest: str) -> tuple[str, str]:
    return blob_key(digest, "md"), blob_key(digest, "json")
