"""Work on many things at once, but not on all."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from itertools import islice
from typing import Any, Final, TypeVar

T = TypeVar("T")
R = TypeVar("R")

AT_ONCE: Final = 16
"""Reads of small objects that keep a store busy without crowding out the workers."""

_BATCH: Final = 100


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
        await _give_up(running)


async def in_turn(items: AsyncIterable[T], work: Callable[[T], Awaitable[R]]) -> AsyncIterator[R]:
    """Work on items as `in_parallel` does, and yield the results in the order of the items."""
    running: deque[asyncio.Future[R]] = deque()
    try:
        async for item in items:
            running.append(asyncio.ensure_future(work(item)))
            if len(running) >= AT_ONCE:
                yield await running.popleft()
        while running:
            yield await running.popleft()
    finally:
        await _give_up(running)


async def merged(streams: Iterable[AsyncIterator[T]]) -> AsyncGenerator[T, None]:
    """Drain streams, `AT_ONCE` at a time, and yield what comes as it comes; of each, a batch is in memory."""
    waiting, running = iter(streams), dict[asyncio.Future[list[T]], AsyncIterator[T]]()

    def drain(stream: AsyncIterator[T]) -> None:
        running[asyncio.ensure_future(_batch(stream))] = stream

    try:
        for stream in islice(waiting, AT_ONCE):
            drain(stream)
        while running:
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                stream, batch = running.pop(each), each.result()
                for following in [stream] if len(batch) == _BATCH else islice(waiting, 1):
                    drain(following)
                for item in batch:
                    yield item
    finally:
        await _give_up(running)


async def _batch(stream: AsyncIterator[T]) -> list[T]:
    batch: list[T] = []
    async for item in stream:
        batch.append(item)
        if len(batch) == _BATCH:
            break
    return batch


async def _finished(running: set[asyncio.Future[R]]) -> AsyncIterator[R]:
    done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    for each in done:
        running.remove(each)
        yield each.result()


async def _give_up(running: Iterable[asyncio.Future[Any]]) -> None:
    for each in running:
        each.cancel()
    await asyncio.gather(*running, return_exceptions=True)
