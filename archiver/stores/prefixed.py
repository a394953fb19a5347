"""A folder of a store, as a separate store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

from archiver.core.values import Folder, Listed, Stored
from archiver.ports import BlobStore, Body


@dataclass(frozen=True, slots=True)
class PrefixedStore:
    """What is in `store` under `prefix`, which ends with a slash; errors name the keys of the whole store."""

    store: BlobStore
    prefix: str

    async def check(self) -> None:
        """See `ports.BlobStore.check`."""
        await self.store.check()

    async def create(self, key: str, body: Body, **about: Any) -> Stored:
        """See `ports.BlobStore.create`."""
        return await self.store.create(self.prefix + key, body, **about)

    async def replace(self, key: str, body: Body, **about: Any) -> Stored:
        """See `ports.BlobStore.replace`."""
        return await self.store.replace(self.prefix + key, body, **about)

    def read(self, key: str) -> AsyncIterator[bytes]:
        """See `ports.BlobStore.read`."""
        return self.store.read(self.prefix + key)

    async def holds(self, key: str) -> bool:
        """See `ports.BlobStore.holds`."""
        return await self.store.holds(self.prefix + key)

    async def list(self, prefix: str, after: str = "") -> AsyncIterator[Listed]:
        """See `ports.BlobStore.list`."""
        async for each in self.store.list(self.prefix + prefix, self.prefix + after if after else ""):
            yield replace(each, key=each.key.removeprefix(self.prefix))

    async def folder(self, prefix: str) -> Folder:
        """See `ports.BlobStore.folder`."""
        found = await self.store.folder(self.prefix + prefix)
        return Folder(
            [replace(each, key=each.key.removeprefix(self.prefix)) for each in found.objects],
            [each.removeprefix(self.prefix) for each in found.folders],
        )

    async def delete(self, key: str) -> None:
        """See `ports.BlobStore.delete`."""
        await self.store.delete(self.prefix + key)

    async def close(self) -> None:
        """See `ports.BlobStore.close`: the whole store's."""
        await self.store.close()
