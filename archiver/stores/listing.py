"""List an archive of any size: page by page, many folders at once, and of a failed page that page alone again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Final

from archiver.core.errors import StoreUnavailable
from archiver.core.keys import REPLAYS
from archiver.core.values import Listed
from archiver.ports import BlobStore
from archiver.stores.parallel import AT_ONCE, merged
from archiver.stores.retrying import patiently

_LEAVES: Final = {"blobs": 4, "refs": 5}
"""How many segments a folder of blobs (by two hex digits) or of references (by day) has: nothing is below it."""


async def in_order(store: BlobStore, prefix: str) -> AsyncIterator[Listed]:
    """List keys that start with `prefix`, in the order of `BlobStore.list`; at most a page is in memory.

    Raises:
        StoreUnavailable: a page could not be had, though it was asked for again.
    """
    last, rest = "", store.list(prefix)

    async def go_on() -> Listed | None:
        nonlocal rest
        try:
            return await anext(rest, None)
        except StoreUnavailable:
            rest = store.list(prefix, last)
            raise

    while (listed := await patiently(go_on)) is not None:
        last = listed.key
        yield listed


async def in_any_order(store: BlobStore, prefix: str) -> AsyncGenerator[Listed, None]:
    """List all that is in a folder, many of the folders below it at once; a few pages are in memory.

    Raises:
        StoreUnavailable: a page could not be had, though it was asked for again.
    """
    leaf = _LEAVES.get(prefix.partition("/")[0], 0)
    folders = [prefix]
    while 0 < len(folders) < AT_ONCE and folders[0].count("/") < leaf:
        found = await asyncio.gather(*(patiently(partial(store.folder, each)) for each in folders))
        for each in found:
            for listed in each.objects:
                yield listed
        folders = [folder for each in found for folder in each.folders]
    async with aclosing(merged(in_order(store, each) for each in folders)) as everything:
        async for listed in everything:
            yield listed


async def whole(store: BlobStore) -> AsyncIterator[Listed]:
    """List an archive, each folder at the top before the next, by name: blobs before conflicts and refs.

    Replays that were archived apart are archives of their own, and not in it.

    Raises:
        StoreUnavailable: a page could not be had, though it was asked for again.
    """
    top = await patiently(lambda: store.folder(""))
    for listed in top.objects:
        yield listed
    for folder in top.folders:
        if REPLAYS.startswith(folder):
            continue
        async for listed in in_any_order(store, folder):
            yield listed
