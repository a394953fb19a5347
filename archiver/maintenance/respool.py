"""Bundles out of the archive, back into a spool: where an archiver finds them when their events come once more."""

from __future__ import annotations

import asyncio

from archiver.bundles.spool import SpoolSource
from archiver.core.errors import BundleMissing, BundleRefused
from archiver.maintenance.reading import Entry, write_checked
from archiver.ports import BlobStore
from archiver.worker.archive import digest_of
from contracts import PreparedEvent
from contracts.toolkit import Spool, spool_name


async def respool(store: BlobStore, entry: Entry, spool: Spool, max_bytes: int) -> None:
    """Put the bundle of an archived event into a spool, unpacked, durable and whole, unless it is there already.

    Another file under its name is replaced. `max_bytes` is how large a bundle may be, there and here.

    Raises:
        DigestMismatch: the blob is damaged; nothing is put there.
        NotArchived: the blob is missing.
        StoreUnavailable: the store failed, or the spool cannot be read.
        BadInput: the spool cannot be written.
    """
    event, bundle = entry.event, entry.reference.bundle
    if await _is_there(SpoolSource(spool.directory, max_bytes), event, bundle.sha256):
        return
    with spool.draft() as draft:
        await write_checked(store, entry.blob_key, bundle.sha256, min(bundle.bytes, max_bytes), draft.file)
        await asyncio.to_thread(spool.keep, draft, spool_name(event))


async def _is_there(spool: SpoolSource, event: PreparedEvent, digest: str) -> bool:
    try:
        async with spool.open(event) as bundle:
            return await digest_of(bundle) == digest
    except (BundleMissing, BundleRefused):
        return False
