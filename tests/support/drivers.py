"""Every S3 driver, for tests that none may fail."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest

from archiver.stores.s3.boto3_store import Boto3Store
from archiver.stores.s3.direct import DirectStore
from tests.support.store_calls import create, keys, read, replace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from archiver.ports import BlobStore
    from archiver.stores.s3.access import S3Access

SECRET = "do-not-show-me"
DRIVERS = [Boto3Store, DirectStore]
every_driver = pytest.mark.parametrize("driver", DRIVERS)


@asynccontextmanager
async def opened(driver: Callable[[S3Access], BlobStore], access: S3Access) -> AsyncIterator[BlobStore]:
    store = driver(access)
    try:
        yield store
    finally:
        await store.close()


class Afresh:
    """A DirectStore for each call: its connections belong to one event loop, and the suite has one for each step."""

    def __init__(self, access: S3Access) -> None:
        self._access = access

    def __getattr__(self, name: str) -> Callable[..., object]:
        if name in {"read", "list"}:
            return partial(self._each, name)
        return partial(self._call, name)

    async def _call(self, name: str, *arguments: object, **more: object) -> object:
        async with opened(DirectStore, self._access) as store:
            return await getattr(store, name)(*arguments, **more)

    async def _each(self, name: str, *arguments: object) -> AsyncIterator[object]:
        async with opened(DirectStore, self._access) as store:
            async for each in getattr(store, name)(*arguments):
                yield each


async def refused_at_every_call(store: BlobStore, error: type[Exception], match: str) -> list[str]:
    calls = [
        store.check(),
        create(store, "blobs/a.md", b"x"),
        replace(store, "blobs/a.md", b"x"),
        read(store, "blobs/a.md"),
        keys(store, "blobs/"),
        store.folder("blobs/"),
        store.delete("blobs/a.md"),
    ]
    said = []
    for call in calls:
        with pytest.raises(error, match=match) as caught:
            await call
        said.append(str(caught.value))
    return said
