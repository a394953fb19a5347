"""ObjectStore in a dict: dry runs and tests."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from archiver.core.values import Listed, Stored
from archiver.errors import KeyMissing, KeyTaken, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from archiver.ports import Body

_CHUNK_BYTES = 1024 * 1024


class MemoryStore:
    """A bucket that lasts as long as the object; `objects` and `metadata` are there to be looked at.

    `metadata` holds what was written with each key, and the content type under `content-type`.
    """

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.metadata: dict[str, dict[str, str]] = {}

    async def check(self) -> None:
        """Do nothing: this bucket is always there."""

    async def create(
        self, key: str, body: Body, *, sha256: str, content_type: str, metadata: Mapping[str, str]
    ) -> Stored:
        """Store under a new key; see `ObjectStore.create`."""
        if key in self.objects:
            raise KeyTaken(key)
        return await self.replace(key, body, sha256=sha256, content_type=content_type, metadata=metadata)

    async def replace(
        self, key: str, body: Body, *, sha256: str, content_type: str, metadata: Mapping[str, str]
    ) -> Stored:
        """Store whatever is there; see `ObjectStore.replace`."""
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
        return Stored()

    async def read(self, key: str) -> AsyncIterator[bytes]:
        """Stream an object; see `ObjectStore.read`."""
        if key not in self.objects:
            raise KeyMissing(key)
        data = self.objects[key]
        for start in range(0, len(data), _CHUNK_BYTES):
            yield data[start : start + _CHUNK_BYTES]

    async def list(self, prefix: str) -> AsyncIterator[Listed]:
        """List keys in order; see `ObjectStore.list`."""
        for key in sorted(self.objects):  # code points sort as their UTF-8 bytes do
            if key.startswith(prefix):
                yield Listed(key, len(self.objects[key]))

    async def close(self) -> None:
        """Keep everything: a test may still look at it."""
