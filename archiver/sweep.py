"""Delete what nothing refers to: old orphan blobs, old leftovers of probes, copies of an interrupted run.

A blob that is an orphan now may have a reference in a moment: a redelivery finds the blob of its bundle there,
reads it back, and writes its reference. S3 can neither lock it nor delete it on condition, so each side looks
after it has acted:

    gc:      (a) copy the blob aside  (b) delete it  (c) read the records that are new  (d) put back what they need
    worker:  (1) read the blob back   (2) write the record                             (3) see that the blob is there

Say that gc deletes a blob which the worker has read back at (1). If (2) comes before (c), gc sees the record and
puts the blob back. If (2) comes after (c), then so does (3), hence after (b): the worker finds nothing, does not
acknowledge, and is given the event again, whose bundle it still has. No clock and no lock is needed, only a store
whose reads and listings show every write that was answered, as S3, MinIO and SeaweedFS promise. The age of a blob
saves work, not data: what is being archived just now is left alone.

Copies are named by the run, and others delete them only when they are old, so that two runs at once do not lose
each other's, if neither takes longer than that age. A run that ends between (b) and (d) leaves its copies; the next
one, and `archiver verify --repair`, put back what is needed from them. A record that cannot be read may refer to
anything, so beside one nothing is deleted. A damaged blob is not deleted either: its copy would undo a repair.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256

from archiver.archive import read_whole
from archiver.core.capabilities import PROBES
from archiver.core.keys import BLOBS, CONFLICTS, REFERENCES, TRASH, blob_in_trash, digest_in, trash_key
from archiver.core.reference import MAX_BYTES, NotAReference, read_reference
from archiver.errors import DigestMismatch, KeyMissing, KeyTaken, NotArchived, ObjectUnusable, StoreUnavailable
from archiver.parallel import in_parallel
from archiver.patience import patiently
from archiver.ports import ObjectStore
from archiver.reading import checked_bundle
from contracts import KitError


@dataclass(frozen=True, slots=True)
class Swept:
    """What became of one object: `what` is it (orphan, probe, copy), and `why` is it still there, or ''.

    `is_in_doubt` where the store did not say whether it was deleted; the copy of such a blob is kept.
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
class Sweep:
    """One run over an archive; `run` names its copies and is used by no other.

    In memory is what was listed, about 1 KiB for each object.
    """

    store: ObjectStore
    run: str
    older_than: timedelta
    _read: set[tuple[str, datetime]] = field(default_factory=set)
    _needed: set[str] = field(default_factory=set)
    _missed: list[str] = field(default_factory=list)

    async def store_time(self) -> datetime:
        """Ask the store for its time, by writing an object and deleting it: both rights are needed anyway.

        Raises:
            StoreUnavailable: refused, or nothing is known.
        """
        key, body = f"{PROBES}gc-{self.run}", b"when is it?\n"
        digest = sha256(body).hexdigest()
        await patiently(lambda: self.store.replace(key, body, sha256=digest, content_type="text/plain", metadata={}))
        times = [listed.modified_at async for listed in self.store.list(key)]
        await patiently(lambda: self.store.delete(key))
        if not times:
            raise StoreUnavailable(f"list {key}", "it was written, and is not listed")
        return times[0]

    async def leftovers(self, now: datetime) -> list[Swept]:
        """List what may go, by the store's time `now`; deletes nothing.

        Raises:
            RecordUnreadable: what that record refers to is unknown.
            StoreUnavailable: the store failed.
        """
        await self._read_records()
        found = []
        for what, prefix in (("orphan", BLOBS), ("probe", PROBES), ("copy", TRASH)):
            async for listed in self.store.list(prefix):
                digest = digest_in(listed.key)
                if what == "copy" and digest in self._needed:
                    self._missed.append(listed.key)
                if what == "orphan" and (digest is None or digest in self._needed):
                    continue
                if now - listed.modified_at >= self.older_than:
                    found.append(Swept(what, listed.key, listed.size_bytes))
        return found

    async def delete(self, leftovers: list[Swept]) -> AsyncIterator[Swept]:
        """Delete what `leftovers` listed, in the order of the argument above; yields what became of each.

        Raises:
            RecordUnreadable, StoreUnavailable: the run is over; the next one puts back what is needed.
        """
        for copy in self._missed:
            await self._put_back(copy)
        for each in leftovers:
            if each.what != "orphan":
                yield await self._gone(each)
        gone = [await self._set_aside(each) for each in leftovers if each.what == "orphan"]  # (a) and (b)
        await self._read_records()  # (c)
        for each in gone:
            aside = Swept("copy", trash_key(self.run, each.key), each.size_bytes)
            is_needed = digest_in(each.key) in self._needed
            if is_needed:
                await self._put_back(aside.key)  # (d)
            yield replace(each, why="put back: it is referred to since") if is_needed and not each.why else each
            if not each.is_in_doubt and (left := await self._gone(aside)).why:
                yield left

    async def _set_aside(self, orphan: Swept) -> Swept:
        try:
            await self._copy(orphan.key, trash_key(self.run, orphan.key))
        except NotArchived:
            return orphan  # somebody else deleted it
        except KeyTaken:
            pass  # our own lost answer: no other run uses this name
        except DigestMismatch:
            return replace(orphan, why="it is damaged; look at it, then delete it by hand")
        return await self._gone(orphan)

    async def _gone(self, each: Swept) -> Swept:
        """Delete in one attempt: of two, one that seemed to fail could yet arrive after the blob is written again."""
        try:
            await self.store.delete(each.key)
        except StoreUnavailable as error:
            return replace(each, why=str(error), is_in_doubt=True)
        return each

    async def _read_records(self) -> None:
        """Read the references and conflict records that are new, and note which bundles they refer to."""
        async for digests in in_parallel(self._new_records(), self._digests_in):
            self._needed |= digests

    async def _new_records(self) -> AsyncIterator[str]:
        for prefix in (REFERENCES, CONFLICTS):
            async for listed in self.store.list(prefix):
                if (listed.key, listed.modified_at) not in self._read:
                    self._read.add((listed.key, listed.modified_at))
                    yield listed.key

    async def _digests_in(self, key: str) -> set[str]:
        try:
            bundle = read_reference(await patiently(lambda: read_whole(self.store, key, MAX_BYTES))).bundle
        except KeyMissing:
            return set()
        except (NotAReference, ObjectUnusable) as error:
            raise RecordUnreadable(key, str(error)) from None
        # Both, since in a damaged record they may differ, and either may be the true one.
        return {str(bundle.sha256), digest_in(str(bundle.key)) or ""}

    async def _put_back(self, copy: str) -> None:
        with suppress(NotArchived, KeyTaken, DigestMismatch):  # another run, or the worker, was quicker
            await self._copy(copy, blob_in_trash(copy))

    async def _copy(self, source: str, target: str) -> None:
        """Copy a blob to a new key; only what its name says, since a worker may by now have written that again."""
        digest = digest_in(source) or ""

        async def copy() -> None:
            async with checked_bundle(self.store, source, digest) as file:
                await self.store.create(
                    target,
                    file,
                    sha256=digest,
                    content_type="application/json" if source.endswith(".json") else "text/markdown; charset=utf-8",
                    metadata={"content-sha256": digest, "codec": "identity"},
                )

        await patiently(copy)
