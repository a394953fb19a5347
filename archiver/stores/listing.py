"""List an archive of any size: page by page, and many folders at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Final

from archiver.core.keys import REPLAYS
from archiver.core.values import Listed
from archiver.ports import BlobStore
from archiver.stores.parallel import AT_ONCE, merged

_LEAVES: Final = {"blobs": 4, "refs": 5}
"""How many segments a folder of blobs (by two hex digits) or of references (by day) has: nothing is below it."""


async def in_any_order(store: BlobStore, prefix: str) -> AsyncGenerator[Listed, None]:
    """List all that is in a folder, many of the folders below it at once; a few pages are in memory.

    Raises:
        StoreUnavailable: the store failed.
    """
    leaf = _LEAVES.get(prefix.partition("/")[0], 0)
    folders = [prefix]
    while 0 < len(folders) < AT_ONCE and folders[0].count("/") < leaf:
        found = await asyncio.gather(*(store.folder(each) for each in folders))
        for each in found:
            for listed in each.objects:
                yield listed
        folders = [folder for each in found for folder in each.folders]
    async with aclosing(merged(store.list(each) for each in folders)) as everything:
        async for listed in everything:
            yield listed


async def whole(store: BlobStore) -> AsyncIterator[Listed]:
    """List an archive, each folder at the top before the next, by name: blobs before conflicts and refs.

    Replays that were archived apart are separate archives, and not in it.

    Raises:
        StoreUnavailable: the store failed.
    """
    top = await store.folder("")
    for listed in top.objects:
        yield listed
    for folder in top.folders:
        if REPLAYS.startswith(folder):
            continue
        async for listed in in_any_order(store, folder):
            yield listed
