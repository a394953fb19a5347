"""Repair what can be repaired with certainty and without loss. Nothing is deleted.

- A blob that is missing or damaged is written again from the copy that an interrupted `archiver gc` left, or from
  where emitters leave bundles, if that has the digest which is the blob's name; then it is read back. Other bytes
  under that name are wrong by definition.
- A record that is not where its event belongs is copied there, if nothing is there yet.
- An older version in a versioned bucket is left to the operator. So is a record that contradicts itself: which of its
  fields was changed is unknown.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256

from archiver.core.errors import BundleMissing, BundleRefused, DigestMismatch, KeyTaken, NotArchived
from archiver.core.keys import TRASH, blob_in_trash, codec_in
from archiver.core.reference import StoredBundle
from archiver.core.values import MAX_BUNDLE_BYTES
from archiver.maintenance.reading import checked_blob
from archiver.ports import BlobStore, BundleSource
from archiver.stores.compression import Packed, packed
from archiver.worker.archive import digest_of
from contracts import PreparedEvent


@dataclass
class Repairer:
    """Writes what is missing into `store`; `bundles` is where emitters leave bundles, or None."""

    store: BlobStore
    bundles: BundleSource | None
    max_bundle_bytes: int = MAX_BUNDLE_BYTES
    _copies: dict[str, str] = field(default_factory=dict)

    async def find_copies(self) -> None:
        """List what an interrupted gc set aside."""
        async for listed in self.store.list(TRASH):
            self._copies[blob_in_trash(listed.key)] = listed.key

    async def write_blob(self, bundle: StoredBundle, event: PreparedEvent | None) -> str:
        """Write a blob again; returns where its bytes were found, or ''. The caller reads it back.

        Raises:
            StoreUnavailable: the store or the source failed.
        """
        if copy := self._copies.get(bundle.key):
            try:
                async with checked_blob(self.store, copy, bundle.sha256, self.max_bundle_bytes) as blob:
                    await self._replace(bundle, blob)
            except (DigestMismatch, NotArchived):
                pass
            else:
                return copy
        if self.bundles is None or event is None:
            return ""
        try:
            async with self.bundles.open(event) as opened:
                if await digest_of(opened) != bundle.sha256:
                    return ""
                codec = codec_in(bundle.key)
                async with packed(opened.file, opened.size_bytes, bundle.sha256, codec) as blob:
                    await self._replace(bundle, blob)
        except (BundleMissing, BundleRefused):
            return ""
        return opened.obtained_from

    async def copy_record(self, raw: bytes, key: str) -> bool:
        """Write a record where it belongs; False if something is there by now."""
        digest = sha256(raw).hexdigest()
        try:
            await self.store.create(key, raw, sha256=digest, content_type="application/json", metadata={})
        except KeyTaken:
            return False
        return True

    async def _replace(self, bundle: StoredBundle, blob: Packed) -> None:
        await self.store.replace(bundle.key, blob.file, **blob.about(bundle.key))
