"""Delete what nothing refers to: old orphan blobs, old leftovers of probes, copies of an interrupted run.

A blob that is an orphan now may have a reference in a moment: a redelivery finds the blob of its bundle there,
reads it back, and writes its reference. S3 can neither lock it nor delete it on condition, so each side looks
after it has acted:

    gc:      (a) copy the blob aside  (b) delete it  (c) read the records that are new  (d) put back what they need
    worker:  (1) read the blob back   (2) write the record                             (3) see that the blob is there

Suppose that gc deletes a blob which the worker has read back at (1). If (2) comes before (c), gc sees the record and
puts the blob back. If (2) comes after (c), then so does (3), hence after (b): the worker finds nothing, does not
acknowledge, and is given the event again, whose bundle it still has. (c) lists folder by folder and takes its time;
a record that comes meanwhile comes after (b), whether it is seen or not. No clock and no lock is needed, only a store
whose reads and listings show every write that was answered, as S3, MinIO and SeaweedFS promise. The age of a blob
saves work, not data: what is being archived just now is left alone.

Copies are named by the run, and others delete them only when they are old, so that two runs at once do not lose
each other's, if neither takes longer than that age. A run that ends between (b) and (d) leaves its copies; the next
one, and `archiver verify --repair`, put back what is needed from them. A record that cannot be read may refer to
anything, so beside one nothing is deleted. A damaged blob is not deleted either: its copy would undo a repair.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import astuple, dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256

from archiver.core.capabilities import PROBES
from archiver.core.errors import DigestMismatch, KeyMissing, KeyTaken, NotArchived, ObjectUnusable, StoreUnavailable
from archiver.core.keys import BLOBS, CONFLICTS, REFERENCES, TRASH, blob_in_trash, digest_in, trash_key
from archiver.core.reference import MAX_BYTES, NotAReference, read_reference
from archiver.core.values import MAX_BUNDLE_BYTES
from archiver.maintenance.reading import checked_blob
from archiver.maintenance.temp_tables import Table, TempTables
from archiver.ports import BlobStore
from archiver.stores.listing import in_any_order
from archiver.stores.parallel import in_parallel
from archiver.stores.retrying import retry
from archiver.worker.archive import read_whole
from contracts import KitError


@dataclass(frozen=True, slots=True)
class Garbage:
    """One object and what became of it: `what` is its kind (orphan, probe, copy), `why` the reason why it stays.

    `is_in_doubt`: the store did not answer whether it was deleted; the copy of such a blob is kept.
    """

    what: str
    key: str
    size_bytes: int
    why: str = ""
    is_in_doubt: bool = False


class RecordUnreadable(KitError):
    """Nothing can be deleted: what a record refers to is unknown."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(key, why)
        self.key, self.why = key, why

    def __str__(self) -> str:
        return (
            f"nothing was deleted: {self.key} cannot be read ({self.why}), and any blob may be the one it refers to\n"
            f"  archiver verify lists all such records; restore them, or move what is no record elsewhere"
        )


@dataclass
class Collection:
    """One run over an archive; `run` names its copies and is used by no other.

    `listed` counts objects, `chosen` the records to read, `records` those that were read. The listing goes to a
    temporary file, so that an archive of any size takes the same memory.
    """

    store: BlobStore
    run: str
    older_than: timedelta
    max_bundle_bytes: int = MAX_BUNDLE_BYTES
    listed: int = 0
    chosen: int = 0
    records: int = 0

    def __post_init__(self) -> None:
        tables = TempTables()
        self._new, self._read, self._needed = (Table(tables, name) for name in ("new", "read", "needed"))
        self._missed, self._leftovers, self._gone = (Table(tables, name) for name in ("missed", "leftovers", "gone"))

    async def store_time(self) -> datetime:
        """Ask the store for its time, by writing an object and deleting it: both rights are needed anyway.

        Raises:
            StoreUnavailable: refused, or nothing is known.
        """
        key, body = f"{PROBES}gc-{self.run}", b"when is it?\n"
        digest = sha256(body).hexdigest()
        await self.store.replace(key, body, sha256=digest, content_type="text/plain", metadata={})
        times = [listed.modified_at async for listed in self.store.list(key)]
        await retry(lambda: self.store.delete(key))  # no other writer uses this key
        if not times:
            raise StoreUnavailable(f"list {key}", "it was written, and is not listed")
        return times[0]

    async def scan(self, now: datetime) -> None:
        """Find what may go, by the store's time `now`; deletes nothing.

        Raises:
            RecordUnreadable: what that record refers to is unknown.
            StoreUnavailable: the store failed.
            BadInput: there is no room for the temporary file.
        """
        await self._read_records()
        for what, prefix in (("orphan", BLOBS), ("probe", PROBES), ("copy", TRASH)):
            async for listed in in_any_order(self.store, prefix):
                self.listed += 1
                digest = digest_in(listed.key) or ""
                is_needed = digest in self._needed
                if what == "copy" and is_needed:
                    self._missed[listed.key] = None
                if what == "orphan" and (is_needed or not digest):
                    continue
                if now - listed.modified_at >= self.older_than:
                    self._leftovers[listed.key] = astuple(Garbage(what, listed.key, listed.size_bytes))

    def leftovers(self) -> Iterator[Garbage]:
        """Return what `scan` found, in the order of the keys."""
        return (Garbage(*told) for _, told in self._leftovers.items())

    async def delete(self) -> AsyncIterator[Garbage]:
        """Delete what `scan` found, in the order of the argument above; yields what became of each.

        Raises:
            RecordUnreadable, StoreUnavailable, BadInput: the run is over; the next one puts back what is needed.
        """
        for copy in self._missed:
            await self._put_back(copy)
        for each in self.leftovers():
            if each.what != "orphan":
                yield await self._delete_once(each)
        for each in self.leftovers():
            if each.what == "orphan":
                self._gone[each.key] = astuple(await self._set_aside(each))  # (a) and (b)
        await self._read_records()  # (c)
        for key, told in self._gone.items():
            each, aside = Garbage(*told), Garbage("copy", trash_key(self.run, key), told[2])
            is_needed = (digest_in(key) or "") in self._needed
            if is_needed:
                await self._put_back(aside.key)  # (d)
            yield replace(each, why="put back: it is referred to since") if is_needed and not each.why else each
            if not each.is_in_doubt and (left := await self._delete_once(aside)).why:
                yield left

    async def _set_aside(self, orphan: Garbage) -> Garbage:
        try:
            await self._copy(orphan.key, trash_key(self.run, orphan.key))
        except NotArchived:
            return orphan  # somebody else deleted it
        except KeyTaken:
            pass  # our own lost answer: no other run uses this name
        except DigestMismatch:
            return replace(orphan, why="it is damaged; inspect it, then delete it by hand")
        return await self._delete_once(orphan)

    async def _delete_once(self, each: Garbage) -> Garbage:
        """Delete in one attempt: of two, one that seemed to fail could yet arrive after the blob is written again."""
        try:
            await self.store.delete(each.key)
        except StoreUnavailable as error:
            return replace(each, why=str(error), is_in_doubt=True)
        return each

    async def _read_records(self) -> None:
        """Read the references and conflict records that are new, and note which bundles they refer to."""
        for prefix in (REFERENCES, CONFLICTS):
            async for listed in in_any_order(self.store, prefix):
                self.listed += 1
                written = listed.modified_at.isoformat()
                if self._read.get(listed.key) != written:
                    self._new[listed.key] = self._read[listed.key] = written
        self.chosen += len(self._new)
        async for digests in in_parallel(self._new_records(), self._digests_in):
            self.records += 1
            for digest in digests:
                self._needed[digest] = None

    async def _new_records(self) -> AsyncIterator[str]:
        for key in self._new:
            self._new.discard(key)
            yield key

    async def _digests_in(self, key: str) -> set[str]:
        try:
            bundle = read_reference(await read_whole(self.store, key, MAX_BYTES)).bundle
        except KeyMissing:
            return set()
        except (NotAReference, ObjectUnusable) as error:
            raise RecordUnreadable(key, str(error)) from None
        # Both, since in a damaged record they may differ, and either may be the true one.
        return {bundle.sha256, digest_in(bundle.key) or bundle.sha256}

    async def _put_back(self, copy: str) -> None:
        with suppress(NotArchived, KeyTaken, DigestMismatch):  # another run, or the worker, was quicker
            await self._copy(copy, blob_in_trash(copy))

    async def _copy(self, source: str, target: str) -> None:
        """Copy a blob to a new key, if it still has the digest in its name."""
        digest = digest_in(source) or ""
        async with checked_blob(self.store, source, digest, self.max_bundle_bytes) as blob:
            await self.store.create(target, blob.file, **blob.about(source))
