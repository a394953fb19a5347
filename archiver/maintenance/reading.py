"""Read the archive: list references, resolve a name, return a bundle only after its digest was checked."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import BinaryIO

from archiver.core.errors import DigestMismatch, KeyMissing, NotArchived, ObjectUnusable, RecordDamaged
from archiver.core.keys import (
    REFERENCES,
    blob_key,
    codec_in,
    day_in,
    digest_in,
    event_key_in,
    is_blob_key,
    is_digest,
    key_segment,
    ref_key,
    ref_prefix,
)
from archiver.core.outcome import Dead
from archiver.core.reference import MAX_BYTES, NotAReference, Reference, read_reference
from archiver.core.values import MAX_BUNDLE_BYTES
from archiver.ports import BlobStore
from archiver.stores.compression import NotUnpackable, Packed, Unpacker
from archiver.stores.listing import in_any_order
from archiver.stores.parallel import in_turn
from archiver.worker.archive import read_whole
from archiver.worker.pipeline import validate
from contracts import PreparedEvent


@dataclass(frozen=True, slots=True)
class Entry:
    """One sound reference: it is under the `key` of its event, and names a bundle by its digest."""

    key: str
    reference: Reference
    event: PreparedEvent

    @property
    def blob_key(self) -> str:
        """Where its bundle is, built from the digest: a key in a record is not trusted."""
        return _blob_key(self.reference, self.event)


@dataclass(frozen=True, slots=True)
class Stray:
    """An object among the references that is not a sound one, and why."""

    key: str
    why: str


async def references(
    store: BlobStore,
    *,
    repo: str | None = None,
    agent: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> AsyncIterator[Entry | Stray]:
    """List references repo by repo, agent by agent and day by day, as they are read; a few are in memory.

    From `since` on and before `until`, by the event's `occurred_at`. With `repo`, only that repo's references are
    listed; with `agent` alone, all are listed, and only that agent's are read.

    Raises:
        StoreUnavailable: the store failed.
    """
    first_day, last_day = (at.astimezone(UTC).date().isoformat() if at else "" for at in (since, until))
    of_agent = f"/agent={key_segment(agent)}/" if agent else ""

    async def keys() -> AsyncIterator[str]:
        async for listed in store.list(ref_prefix(repo, agent)):
            day = day_in(listed.key)
            if day >= first_day and not (last_day and day > last_day) and of_agent in listed.key:
                yield listed.key

    async def look(key: str) -> Entry | Stray | None:
        found = await entry_at(store, key)
        if found is None or isinstance(found, Stray):
            return found
        at = found.event.occurred_at
        is_in_time = (since is None or at >= since) and (until is None or at < until)
        return found if is_in_time and (agent is None or found.event.agent == agent) else None

    async for found in in_turn(keys(), look):
        if found:
            yield found


async def entry_at(store: BlobStore, key: str) -> Entry | Stray | None:
    """Read what is among the references under a key; None where nothing is.

    Raises:
        StoreUnavailable: the store failed.
    """
    try:
        reference = read_reference(await read_whole(store, key, MAX_BYTES))
    except KeyMissing:
        return None
    except (NotAReference, ObjectUnusable) as error:
        return Stray(key, str(error))
    event = event_of(reference)
    if isinstance(event, Dead):
        return Stray(key, f"its event breaks the contract: {event.detail}")
    if why := _contradiction(key, reference, event):
        return Stray(key, why)
    return Entry(key, reference, event)


def _contradiction(key: str, reference: Reference, event: PreparedEvent) -> str | None:
    if reference.event_sha256 != event.key:
        return f"event_sha256 is {reference.event_sha256}, and the key of the event in it {event.key}"
    if key != ref_key(event):
        return f"the event in it belongs under {ref_key(event)}; archiver verify --repair copies it there"
    blob = _blob_key(reference, event)
    if reference.bundle.key != blob:
        return f"it names the bundle {reference.bundle.key}, expected {blob}, by the digest in it"
    return None


def _blob_key(reference: Reference, event: PreparedEvent) -> str:
    return blob_key(reference.bundle.sha256, event.bundle.ending, reference.bundle.codec)


def event_of(reference: Reference) -> PreparedEvent | Dead:
    """Check the event in a record as one that comes from the bus, and return it typed, or what is wrong with it."""
    try:
        payload = json.dumps(reference.event).encode()
    except RecursionError:
        payload = b""
    return validate(payload, source="")


async def resolve(store: BlobStore, name: str, max_bytes: int = MAX_BUNDLE_BYTES) -> tuple[str, str, int]:
    """Resolve an event key, a reference key or a blob key to blob key, SHA-256 and largest size of the bundle.

    That size is `max_bytes`, or the size in the reference if that is less. An event key costs a listing of all
    references; a reference key costs one read.

    Raises:
        NotArchived: nothing has that name; the message shows which names there are.
        RecordDamaged: its reference is no sound one.
        StoreUnavailable: the store failed.
    """
    if is_blob_key(name):
        return name, digest_in(name) or "", max_bytes
    entry = await find(store, name)
    return entry.blob_key, entry.reference.bundle.sha256, min(entry.reference.bundle.bytes, max_bytes)


async def find(store: BlobStore, name: str) -> Entry:
    """Find the reference of an event, by the event's key or the reference's own.

    Raises:
        NotArchived: nothing has that name; the message shows which names there are.
        RecordDamaged: the object is no sound reference.
        StoreUnavailable: the store failed.
    """
    if event_key_in(name):
        found = await entry_at(store, name)
    elif is_digest(name):
        found = await _entry_of(store, name)
    else:
        raise NotArchived(name, "expected an event key (64 hex), a key under refs/v1/ or one under blobs/v1/")
    if found is None:
        raise NotArchived(name, "archiver ls shows what is")
    if isinstance(found, Stray):
        raise RecordDamaged(found.key, found.why)
    return found


async def _entry_of(store: BlobStore, event_key: str) -> Entry | Stray | None:
    """Find an event's reference among all; a damaged object with the same name does not hide a sound one."""
    stray = None
    async with aclosing(in_any_order(store, REFERENCES)) as everything:
        async for listed in everything:
            if listed.key.endswith(f"/{event_key}.json"):
                found = await entry_at(store, listed.key)
                if isinstance(found, Entry):
                    return found
                stray = stray or found
    return stray


@asynccontextmanager
async def checked_bundle(store: BlobStore, blob_key: str, sha256_hex: str, limit_bytes: int) -> AsyncIterator[BinaryIO]:
    """Fetch a bundle to a temporary file, unpacked, and check its digest before anybody sees a byte of it.

    `limit_bytes` is how large it may be: a small blob can hold more than a disk does.

    Raises:
        DigestMismatch: the blob is damaged, or holds more than that.
        NotArchived: the blob is missing.
        StoreUnavailable: the store failed.
    """
    async with _fetched(store, blob_key, sha256_hex, Unpacker(blob_key, limit_bytes), as_stored=False) as blob:
        yield blob.file


def checked_blob(
    store: BlobStore, blob_key: str, sha256_hex: str, limit_bytes: int
) -> AbstractAsyncContextManager[Packed]:
    """Fetch a blob to a temporary file as it is stored, and check the digest of what it holds; see `checked_bundle`."""
    return _fetched(store, blob_key, sha256_hex, Unpacker(blob_key, limit_bytes), as_stored=True)


async def write_checked(store: BlobStore, blob_key: str, sha256_hex: str, limit_bytes: int, target: BinaryIO) -> None:
    """Write a bundle, unpacked, into an empty file as it arrives; the content counts only once this has returned.

    Raises:
        DigestMismatch, NotArchived, StoreUnavailable: as `checked_bundle`.
    """
    await _write(store, blob_key, sha256_hex, Unpacker(blob_key, limit_bytes), target, as_stored=False)


@asynccontextmanager
async def _fetched(
    store: BlobStore, blob_key: str, sha256_hex: str, unpacker: Unpacker, *, as_stored: bool
) -> AsyncIterator[Packed]:
    # In memory up to 8 MiB, in a file without a name beyond; a BinaryIO in all but name.
    with tempfile.SpooledTemporaryFile(max_size=8 << 20) as spooled:
        file: BinaryIO = spooled  # type: ignore[assignment]
        stored, stored_as = await _write(store, blob_key, sha256_hex, unpacker, file, as_stored=as_stored)
        file.seek(0)
        yield Packed(file, stored, stored_as, codec_in(blob_key), unpacker.size_bytes)


async def _write(
    store: BlobStore, blob_key: str, sha256_hex: str, unpacker: Unpacker, target: BinaryIO, *, as_stored: bool
) -> tuple[int, str]:
    """Write a blob into a file, as it is stored or unpacked; return size and digest of what is stored."""
    digest, digest_as_stored, stored = sha256(), sha256(), 0
    try:
        async for chunk in store.read(blob_key):
            stored += len(chunk)
            digest_as_stored.update(chunk)
            if as_stored:
                target.write(chunk)
            for piece in unpacker.feed(chunk):
                digest.update(piece)
                if not as_stored:
                    target.write(piece)
        unpacker.end()
    except KeyMissing:
        raise NotArchived(blob_key, "its blob is missing from the bucket; restore it from a copy") from None
    except NotUnpackable as error:
        raise DigestMismatch(blob_key, sha256_hex, f"unknown, since {error}") from None
    if digest.hexdigest() != sha256_hex:
        raise DigestMismatch(blob_key, sha256_hex, digest.hexdigest())
    return stored, digest_as_stored.hexdigest()


def copy_out(source: BinaryIO, target: BinaryIO) -> None:
    """Copy a checked bundle to where it is wanted, in bounded memory."""
    shutil.copyfileobj(source, target, 1 << 20)
