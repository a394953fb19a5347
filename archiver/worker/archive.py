"""Write into the archive: a bundle as a blob that was read back, an event as a reference to it.

Steps (3) to (6) of the order in `pipeline.py`, for a caller that has an event and its bundle.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from io import BytesIO
from typing import Any

from archiver.core.errors import (
    DigestMismatch,
    KeyMissing,
    KeyTaken,
    ObjectUnusable,
    ReferenceDamaged,
    StoreUnavailable,
)
from archiver.core.keys import IDENTITY, blob_key, conflict_key, content_type, ref_key
from archiver.core.reference import (
    MAX_BYTES,
    NotAReference,
    Reference,
    Source,
    StoredBundle,
    is_remnant,
    read_reference,
)
from archiver.core.values import Stored
from archiver.ports import BlobStore, Bundle, Clock
from archiver.stores.compression import NotUnpackable, Unpacker, packed
from contracts import PreparedEvent
from contracts.toolkit import format_rfc3339

_CHUNK_BYTES = 1 << 18
_LARGE_BYTES = 1 << 20
_LARGE_UPLOADS = 4  # at once: they keep a store busy; more would only have each other wait for their answers
_LARGE_READS = 2  # they outrun the uploads, and each may hold 3 MiB in the driver's buffers


@dataclass(frozen=True, slots=True)
class Identity:
    """Who archives where: written into references. `prefix` ends with a slash, or is ''."""

    bucket: str
    prefix: str
    worker: str
    version: str


@dataclass(frozen=True, slots=True)
class Archive:
    """The archive in one bucket, for writing. How often a call is tried is the store's affair: see `RetryingStore`."""

    store: BlobStore
    clock: Clock
    identity: Identity
    create_only: bool = True
    """Whether the store keeps the first of two writes that both ask for a new key, as a probe of it has shown."""
    compress: bool = False
    """Whether a bundle is compressed where that saves a tenth."""
    _uploads: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_LARGE_UPLOADS))
    _reads: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_LARGE_READS))

    async def store_bundle(self, event: PreparedEvent, bundle: Bundle) -> StoredBundle:
        """Store a bundle under its digest, read it back and hash again: steps (3) to (5).

        Raises:
            StoreUnavailable: the outcome is unknown; repeat the call.
            BundleRefused: the store takes no object of this size.
            DigestMismatch: what reads back is wrong, also after it was written once more.
        """
        digest, size = await _hash(bundle)  # (3)
        async with packed(bundle.file, size, digest, None if self.compress else IDENTITY) as blob:
            key = blob_key(digest, event.bundle.ending, blob.codec)

            async def write(put: Callable[..., Awaitable[Stored]]) -> str | None:
                async with _turn(self._uploads, size):
                    blob.file.seek(0)
                    return (await put(key, blob.file, **blob.about(key))).version_id

            version_id = None
            if self.create_only:
                with suppress(
                    KeyTaken
                ):  # our own lost answer, the same bundle of another event, or damage: (5) decides
                    version_id = await write(self.store.create)  # (4)
            found = await self._read_back(key, size)  # (5)
            if found.digest != digest:
                # Safe to overwrite: the key is the digest, so anything else under it is wrong.
                version_id = await write(self.store.replace)
                found = await self._read_back(key, size)
                if found.digest != digest:
                    raise DigestMismatch(key, digest, found.digest or "that of nothing")
        return StoredBundle(
            bucket=self.identity.bucket,
            key=key,
            version_id=version_id or "",
            sha256=digest,
            bytes=size,
            stored_bytes=found.stored_bytes,
            codec=blob.codec,
            content_type=content_type(key),
            declared_bytes=event.bundle.bytes,
            size_matches=size == event.bundle.bytes,
            obtained_from=bundle.obtained_from,
        )

    async def write_reference(self, event: PreparedEvent, source: Source, stored: StoredBundle) -> Reference:
        """Write the reference, or return the one that is there: step (6). The first sound one is never replaced.

        A second, different bundle for the same event is kept as a blob and recorded as a conflict.

        Raises:
            StoreUnavailable: nothing is known, or the blob has gone; store the bundle again, then call this again.
        """
        reference = Reference(
            event_sha256=event.key,
            source=source,
            event=event.payload,
            bundle=stored,
            archived_at=format_rfc3339(self.clock.now()),
            archiver={"version": self.identity.version, "worker": self.identity.worker},
        )
        first = await self._keep(ref_key(event), reference)
        if first.bundle.sha256 != stored.sha256:
            await self._keep(conflict_key(event.key, stored.sha256), reference)
        # `archiver gc` may have deleted a blob that nothing referred to yet: the argument is in maintenance/gc.py.
        if not await self.holds(stored.key):
            raise StoreUnavailable(f"keep {stored.key}", "it was deleted while its reference was written")
        return first

    async def holds(self, key: str) -> bool:
        """Return whether the object exists."""
        return await self.store.holds(key)

    async def find(self, event: PreparedEvent) -> Reference | None:
        """Look an event's reference up; None where there is none.

        Raises:
            StoreUnavailable: the store failed.
            ReferenceDamaged: the reference is corrupt; archive the event again.
            ObjectUnusable: the object is something else, or another event's reference: an operator has to act,
                and until then the event waits.
        """
        key = ref_key(event)
        try:
            return _understood(await self._raw(key), key, event.key)
        except KeyMissing:
            return None

    async def _keep(self, key: str, record: Reference) -> Reference:
        """Write a record under its key unless a sound one is there; return the one that was read back."""
        raw = record.to_json()
        is_ours = await self._create(key, raw)
        found = await self._standing(key, record, raw, is_ours=is_ours)
        if found is None:
            # Safe to overwrite: nobody can use the object. Where two workers do so, either record is right.
            await self.store.replace(key, raw, **_about(raw))
            found = await self._standing(key, record, raw, is_ours=True)
            if found is None:
                raise ReferenceDamaged(f"read {key}", "it is not what was written, twice")
        return found

    async def _standing(self, key: str, record: Reference, raw: bytes, *, is_ours: bool) -> Reference | None:
        """Read back what is under a record's key; None where it has to be written again."""
        try:
            found_raw = await self._raw(key)
        except KeyMissing:
            raise StoreUnavailable(f"read {key}", "it was in use when written, and gone when read") from None
        if found_raw == raw:
            return record
        try:
            found = _understood(found_raw, key, record.event_sha256)
        except ObjectUnusable as error:
            if is_ours or isinstance(error, ReferenceDamaged):
                return None
            raise
        # Where create-only is not honoured, another worker's may have replaced this one.
        return found if not is_ours or found.archiver != record.archiver else None

    async def _create(self, key: str, raw: bytes) -> bool:
        put = self.store.create if self.create_only else self.store.replace
        if not self.create_only and await self._digest_of(key):
            return False
        try:
            await put(key, raw, **_about(raw))
        except KeyTaken:
            return False
        return True

    async def _raw(self, key: str) -> bytes:
        return await read_whole(self.store, key, MAX_BYTES)

    async def _read_back(self, key: str, size: int) -> ReadBack:
        async with _turn(self._reads, size):
            return await read_back(self.store, key, size)

    async def _digest_of(self, key: str) -> str:
        return (await read_back(self.store, key)).digest


def _understood(raw: bytes, key: str, event_key: str) -> Reference:
    """Read the object under the key of an event's record."""
    try:
        record = read_reference(raw)
    except NotAReference as error:
        kind = ReferenceDamaged if is_remnant(raw) else ObjectUnusable
        raise kind(f"read {key}", f"{error}; restore the object, or remove it") from error
    if not record.is_sound:
        raise ReferenceDamaged(f"read {key}", "it is damaged: its parts contradict each other")
    if record.event_sha256 != event_key:
        raise ObjectUnusable(f"read {key}", f"it references event {record.event_sha256}")
    return record


def _turn(turns: asyncio.Semaphore, size: int) -> AbstractAsyncContextManager[None]:
    """Wait for a turn, where the bundle is large."""
    return turns if size > _LARGE_BYTES else nullcontext()


def _about(raw: bytes) -> dict[str, Any]:
    return {"sha256": sha256(raw).hexdigest(), "content_type": "application/json", "metadata": {}}


@dataclass(frozen=True, slots=True)
class ReadBack:
    """What is under a key: the digest and size of its unpacked bytes, and how many are stored.

    `digest` is '' where there is no object, or where it cannot be unpacked: `why` is the reason.
    """

    digest: str = ""
    size_bytes: int = 0
    stored_bytes: int = 0
    is_there: bool = True
    why: str = ""


async def read_back(store: BlobStore, key: str, limit_bytes: int | None = None) -> ReadBack:
    """Read an object to its end and hash what it holds, in bounded memory; `limit_bytes` bounds what it may hold.

    Raises:
        StoreUnavailable: the store failed.
    """
    digest, unpacker, stored = sha256(), Unpacker(key, limit_bytes), 0
    try:
        async for chunk in store.read(key):
            stored += len(chunk)
            for piece in unpacker.feed(chunk):
                digest.update(piece)
        unpacker.end()
    except KeyMissing:
        return ReadBack(is_there=False, why="nothing")
    except NotUnpackable as error:
        return ReadBack(stored_bytes=stored, why=str(error))
    return ReadBack(digest.hexdigest(), unpacker.size_bytes, stored)


async def read_whole(store: BlobStore, key: str, limit_bytes: int) -> bytes:
    """Read a small object.

    Raises:
        KeyMissing: nothing there.
        StoreUnavailable: the store failed.
        ObjectUnusable: the object is larger than `limit_bytes`.
    """
    chunks, size = [], 0
    async for chunk in store.read(key):
        chunks.append(chunk)
        size += len(chunk)
        if size > limit_bytes:
            raise ObjectUnusable(f"read {key}", f"more than {limit_bytes} bytes, which no archiver wrote")
    return b"".join(chunks)


async def digest_of(bundle: Bundle) -> str:
    """Return the SHA-256 of an opened bundle, in hex."""
    digest, _ = await _hash(bundle)
    return digest


async def _hash(bundle: Bundle) -> tuple[str, int]:
    if isinstance(bundle.file, BytesIO):  # in memory: a thread would cost more than the work
        return _hash_now(bundle)
    return await asyncio.to_thread(_hash_now, bundle)


def _hash_now(bundle: Bundle) -> tuple[str, int]:
    """Hash what the bundle had when it was opened; one that still grows is refused when it is closed."""
    bundle.file.seek(0)
    digest, size = sha256(), 0
    while chunk := bundle.file.read(min(_CHUNK_BYTES, bundle.size_bytes - size)):
        digest.update(chunk)
        size += len(chunk)
    return digest.hexdigest(), size
