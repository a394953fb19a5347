"""Bundles out of the archive, back into a spool: where an archiver finds them when their events come once more."""

from __future__ import annotations

import asyncio

from archiver.bundles.spool import SpoolSource
from archiver.core.errors import BundleMissing, BundleRefused, DigestMismatch
from archiver.core.keys import blob_keys
from archiver.core.reference import Reference
from archiver.maintenance.reading import write_checked
from archiver.ports import BlobStore
from archiver.worker.archive import digest_of
from contracts import PreparedEvent
from contracts.toolkit import Spool, spool_name


async def respool(store: BlobStore, reference: Reference, spool: Spool, max_bytes: int) -> None:
    """Put the bundle of an archived event into a spool, unpacked, durable and whole, unless it is there already.

    Another file under its name is replaced. `max_bytes` is how large a file there is looked at.

    Raises:
        DigestMismatch: the blob is damaged, or the reference does not say which it is; nothing is put there.
        NotArchived: the blob is missing.
        StoreUnavailable: the store failed, or the spool cannot be read.
        BadInput: the spool cannot be written.
    """
    event, bundle = PreparedEvent.from_checked(reference.event), reference.bundle
    if bundle.key not in blob_keys(str(bundle.sha256)):
        raise DigestMismatch(str(bundle.key), str(bundle.sha256), "another by its own name")
    if await _is_there(SpoolSource(spool.directory, max_bytes), event, bundle.sha256):
        return
    with spool.draft() as draft:
        await write_checked(store, bundle.key, bundle.sha256, bundle.bytes, draft.file)
        await asyncio.to_thread(spool.keep, draft, spool_name(event))


async def _is_there(spool: SpoolSource, event: PreparedEvent, digest: str) -> bool:
    try:
        async with spool.open(event) as bundle:
            return await digest_of(bundle) == digest
    except (BundleMissing, BundleRefused):
        return False
