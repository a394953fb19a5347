"""Both S3 drivers, for tests that neither may fail."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from archiver.adapters.obstore_s3 import ObstoreStore
from archiver.adapters.s3 import Boto3Store
from tests.store_calls import create, keys, read, replace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from archiver.core.s3_access import S3Access
    from archiver.ports import ObjectStore

SECRET = "do-not-show-me"
DRIVERS = [Boto3Store, ObstoreStore]
every_driver = pytest.mark.parametrize("driver", DRIVERS)


@asynccontextmanager
async def opened(driver: Callable[[S3Access], ObjectStore], access: S3Access) -> AsyncIterator[ObjectStore]:
    store = driver(access)
    try:
        yield store
    finally:
        await store.close()


async def refused_at_every_call(store: ObjectStore, error: type[Exception], match: str) -> list[str]:
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
