"""ObjectStore in a dict: dry runs and tests."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from archiver.core.errors import KeyMissing, KeyTaken, StoreUnavailable
from archiver.core.values import Folder, Listed, Stored

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from archiver.ports import Body, Clock

_CHUNK_BYTES = 1024 * 1024


class MemoryStore:
    """A bucket that lasts as long as the object; `objects` and `metadata` are for inspection by tests.

    `metadata` holds what was written with each key, and the content type under `content-type`; `modified_at` the
    time of each write by `clock`, without one by the machine's.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.objects: dict[str, bytes] = {}
        self.metadata: dict[str, dict[str, str]] = {}
        self.modified_at: dict[str, datetime] = {}
        self._now = clock.now if clock else lambda: datetime.now(UTC)

    async def check(self) -> None:
        """Do nothing: this bucket is always there."""

    async def create(
        self, key: str, body: Body, *, sha256: str, content_type: str, metadata: Mapping[str, str]
    ) -> Stored:
        """Store under a new key; see `BlobStore.create`."""
        if key in self.objects:
            raise KeyTaken(key)
        return await self.replace(key, body, sha256=sha256, content_type=content_type, metadata=metadata)

    async def replace(
        self, key: str, body: Body, *, sha256: str, content_type: str, metadata: Mapping[str, str]
    ) -> Stored:
        """Store the object; see `BlobStore.replace`."""
        if isinstance(body, bytes):
            data = body
        else:
            body.seek(0)
            data = body.read()
        found = hashlib.sha256(data).hexdigest()
        if found != sha256:
            raise StoreUnavailable(f"store {key}", f"400 BadDigest: expected {sha256}, received {found}")
        self.objects[key] = data
        self.metadata[key] = {**metadata, "content-type": content_type}
        self.modified_at[key] = self._now()
        return Stored()

    async def read(self, key: str) -> AsyncIterator[bytes]:
        """Stream an object; see `BlobStore.read`."""
        if key not in self.objects:
            raise KeyMissing(key)
        data = self.objects[key]
        for start in range(0, len(data), _CHUNK_BYTES):
            yield data[start : start + _CHUNK_BYTES]

    async def holds(self, key: str) -> bool:
        """See `BlobStore.holds`."""
        return key in self.objects

    async def list(self, prefix: str, after: str = "") -> AsyncIterator[Listed]:
        """List keys in order; see `BlobStore.list`."""
        found = [  # taken at once, as a page of S3 is: what is deleted meanwhile is still listed
            self._listed(key) for key in sorted(self.objects) if key.startswith(prefix) and key > after
        ]
        for listed in found:
            yield listed

    async def folder(self, prefix: str) -> Folder:
        """See `BlobStore.folder`."""
        objects, folders = list[Listed](), dict[str, None]()
        for key in sorted(self.objects):
            if key.startswith(prefix):
                name, slash, _ = key[len(prefix) :].partition("/")
                if slash:
                    folders[f"{prefix}{name}/"] = None
                else:
                    objects.append(self._listed(key))
        return Folder(objects, [*folders])

    async def delete(self, key: str) -> None:
        """Remove an object; see `BlobStore.delete`."""
        for part in (self.objects, self.metadata, self.modified_at):
            part.pop(key, None)

    async def close(self) -> None:
        """Keep everything: a test may still read it."""

    def _listed(self, key: str) -> Listed:
        # A test may have put an object there behind our back: it is new.
        return Listed(key, len(self.objects[key]), self.modified_at.get(key) or self._now())
