"""Work on many things at once, but not on all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import Final, TypeVar

T = TypeVar("T")
R = TypeVar("R")

AT_ONCE: Final = 16
"""Reads of small objects that keep a store busy without crowding out the workers."""


async def in_parallel(items: AsyncIterable[T], work: Callable[[T], Awaitable[R]]) -> AsyncIterator[R]:
    """Work on items, `AT_ONCE` at a time, and yield each result as it comes.

    Items are taken as they are needed. At the first error, and where the caller stops early, the rest is given up.
    """
    running: set[asyncio.Future[R]] = set()
    try:
        async for item in items:
            running.add(asyncio.ensure_future(work(item)))
            while len(running) >= AT_ONCE:
                async for result in _finished(running):
                    yield result
        while running:
            async for result in _finished(running):
                yield result
    finally:
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _finished(running: set[asyncio.Future[R]]) -> AsyncIterator[R]:
    done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    for each in done:
        running.remove(each)
        yield each.result()
