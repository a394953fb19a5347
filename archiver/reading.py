"""Read the archive: list references, resolve a name, and hand a bundle out only once its digest is right."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import BinaryIO

from archiver.archive import read_whole
from archiver.core.keys import BLOBS, REFERENCES, day_in, digest_in, is_digest, ref_prefix
from archiver.core.outcome import Dead
from archiver.core.reference import MAX_BYTES, NotAReference, Reference, read_reference
from archiver.errors import DigestMismatch, KeyMissing, NotArchived, ObjectUnusable, StoreUnavailable
from archiver.pipeline import validate
from archiver.ports import ObjectStore
from contracts import PreparedEvent


@dataclass(frozen=True, slots=True)
class Entry:
    """One reference under its key."""

    key: str
    reference: Reference


@dataclass(frozen=True, slots=True)
class Stray:
    """An object among the references that is none, and why."""

    key: str
    why: str


async def references(
    store: ObjectStore, *, repo: str | None = None, agent: str | None = None, since: datetime | None = None
) -> AsyncIterator[Entry | Stray]:
    """List references in the order of their keys: by repo, agent, day and event.

    `since` compares with the event's `occurred_at`. Without `repo`, `agent` is looked for in every repo.

    Raises:
        StoreUnavailable: the store failed.
    """
    first_day = since.astimezone(UTC).date().isoformat() if since else ""
    async for listed in store.list(ref_prefix(repo, agent)):
        if day_in(listed.key) < first_day:
            continue
        try:
            entry = Entry(listed.key, read_reference(await read_whole(store, listed.key, MAX_BYTES)))
        except KeyMissing:
            continue  # deleted since it was listed
        except (NotAReference, ObjectUnusable) as error:
            yield Stray(listed.key, str(error))
            continue
        event = event_of(entry.reference)
        if isinstance(event, Dead):
            yield Stray(listed.key, f"its event is none: {event.detail}")
        elif (agent is None or event.agent == agent) and (since is None or event.occurred_at >= since):
            yield entry


def event_of(reference: Reference) -> PreparedEvent | Dead:
    """Check the event in a record as one that comes from the bus, and return it typed, or what is wrong with it."""
    try:
        payload = json.dumps(reference.event).encode()
    except RecursionError:
        payload = b""
    return validate(payload, source="")


async def resolve(store: ObjectStore, name: str) -> tuple[str, str]:
    """Resolve an event key, a reference key or a blob key to (blob key, SHA-256 of the bundle).

    An event key alone costs a listing of the references; a reference key costs one read.

    Raises:
        NotArchived: nothing answers to the name; says what a name looks like.
        StoreUnavailable: the store failed.
    """
    if name.startswith(BLOBS) and (digest := digest_in(name)):
        return name, digest
    try:
        if name.startswith(REFERENCES):
            reference = await _reference(store, name)
        elif is_digest(name):
            reference = await _reference(store, await _ref_key_of(store, name))
        else:
            raise NotArchived(name, "expected an event key (64 hex), a key under refs/v1/ or one under blobs/v1/")
    except KeyMissing:
        raise NotArchived(name, "archiver ls shows what is") from None
    return reference.bundle.key, reference.bundle.sha256


@asynccontextmanager
async def checked_bundle(store: ObjectStore, blob_key: str, sha256_hex: str) -> AsyncIterator[BinaryIO]:
    """Fetch a bundle to a temporary file and check its digest before anybody sees a byte of it.

    Raises:
        DigestMismatch: the blob is damaged.
        NotArchived: the blob is not there.
        StoreUnavailable: the store failed.
    """
    # In memory up to 8 MiB, in a file without a name beyond.
    with tempfile.SpooledTemporaryFile(max_size=8 << 20) as file:
        digest = sha256()
        try:
            async for chunk in store.read(blob_key):
                digest.update(chunk)
                file.write(chunk)
        except KeyMissing:
            raise NotArchived(blob_key, "its blob is missing from the bucket; restore it from a copy") from None
        if digest.hexdigest() != sha256_hex:
            raise DigestMismatch(blob_key, sha256_hex, digest.hexdigest())
        file.seek(0)
        yield file  # type: ignore[misc] # a SpooledTemporaryFile is a BinaryIO in all but name


def copy_out(source: BinaryIO, target: BinaryIO) -> None:
    """Copy a checked bundle to where it is wanted, in bounded memory."""
    shutil.copyfileobj(source, target, 1 << 20)


async def _reference(store: ObjectStore, key: str) -> Reference:
    try:
        return read_reference(await read_whole(store, key, MAX_BYTES))
    except NotAReference as error:
        raise StoreUnavailable(f"read {key}", f"{error}; restore the object, or remove it") from error


async def _ref_key_of(store: ObjectStore, event_key: str) -> str:
    async for listed in store.list(REFERENCES):
        if listed.key.endswith(f"/{event_key}.json"):
            return listed.key
    raise KeyMissing(event_key)
