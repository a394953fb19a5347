"""Retry transient failures briefly: most of what fails once works the next time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import TypeVar, cast

from archiver.core.errors import BusUnavailable, ObjectUnusable, StoreRefuses, StoreUnavailable
from archiver.core.values import Folder, Listed, Stored
from archiver.ports import Announcer, BlobStore, Body

T = TypeVar("T")

_LONGEST_WAITS_S = (0.2, 0.4)


class _Attempts:
    """Counts the failures of one call and waits after each, up to 0.2 s, then up to 0.4 s, drawn at random."""

    def __init__(self) -> None:
        self._waits = iter(_LONGEST_WAITS_S)

    async def failed(self, error: StoreUnavailable | BusUnavailable) -> None:
        """Wait before the next attempt.

        Raises:
            `error`: it was the third, or somebody has to act before the call can succeed.
        """
        longest_s = next(self._waits, None)
        if longest_s is None or isinstance(error, (StoreRefuses, ObjectUnusable)):
            raise error
        await asyncio.sleep(random.uniform(0, longest_s))  # noqa: S311 - spreads load, hides nothing


async def retry(operation: Callable[[], Awaitable[T]]) -> T:
    """Call `operation` up to three times; a refusal ends it at once.

    Raises:
        What the last call raised.
    """
    attempts = _Attempts()
    while True:
        try:
            return await operation()
        except (StoreUnavailable, BusUnavailable) as error:
            await attempts.failed(error)


@dataclass(frozen=True, slots=True)
class RetryingStore:
    """A BlobStore whose calls are made up to three times; a refusal ends a call at once.

    `check` is made once: its caller decides when to probe again. `delete` is sent once: of two, one that seemed to
    fail could arrive after the object was written again.
    """

    store: BlobStore

    async def check(self) -> None:
        """See `ports.BlobStore.check`; one attempt."""
        await self.store.check()

    async def create(
        self, key: str, body: Body, *, sha256: str, content_type: str, metadata: Mapping[str, str]
    ) -> Stored:
        """See `ports.BlobStore.create`. `KeyTaken` may be the answer to an earlier attempt of the same call."""
        create = partial(self.store.create, sha256=sha256, content_type=content_type, metadata=metadata)
        return await retry(lambda: create(key, body))

    async def replace(
        self, key: str, body: Body, *, sha256: str, content_type: str, metadata: Mapping[str, str]
    ) -> Stored:
        """See `ports.BlobStore.replace`."""
        replace = partial(self.store.replace, sha256=sha256, content_type=content_type, metadata=metadata)
        return await retry(lambda: replace(key, body))

    async def read(self, key: str) -> AsyncIterator[bytes]:
        """See `ports.BlobStore.read`. After a failure in the middle, the object is read again and goes on there.

        Raises:
            StoreUnavailable: also where the object read again differs in what was yielded last. That chunk alone
                is compared: a caller that needs certainty hashes what arrives.
        """
        attempts, size, last = _Attempts(), 0, b""
        while True:
            try:
                # Every store's `read` is a generator, which has to be closed where its reader stops early.
                chunks = cast("AsyncGenerator[bytes, None]", self.store.read(key))
                async with aclosing(_from(size, last, chunks, key)) as rest:
                    async for chunk in rest:
                        size, last = size + len(chunk), chunk
                        yield chunk
            except StoreUnavailable as error:
                await attempts.failed(error)
            else:
                return

    async def holds(self, key: str) -> bool:
        """See `ports.BlobStore.holds`."""
        return await retry(lambda: self.store.holds(key))

    async def list(self, prefix: str, after: str = "") -> AsyncIterator[Listed]:
        """See `ports.BlobStore.list`. A failed page alone is listed again, up to three times each."""
        attempts = _Attempts()
        while True:
            try:
                listing = cast("AsyncGenerator[Listed, None]", self.store.list(prefix, after))
                async with aclosing(listing) as entries:
                    async for listed in entries:
                        after, attempts = listed.key, _Attempts()
                        yield listed
            except StoreUnavailable as error:
                await attempts.failed(error)
            else:
                return

    async def folder(self, prefix: str) -> Folder:
        """See `ports.BlobStore.folder`."""
        return await retry(lambda: self.store.folder(prefix))

    async def delete(self, key: str) -> None:
        """See `ports.BlobStore.delete`; one attempt."""
        await self.store.delete(key)

    async def close(self) -> None:
        """See `ports.BlobStore.close`."""
        await self.store.close()


@dataclass(frozen=True, slots=True)
class RetryingAnnouncer:
    """An Announcer that publishes up to three times; the message's id makes a repeat harmless."""

    announcer: Announcer

    async def announce(
        self,
        subject: str,
        payload: bytes,
        *,
        message_id: str,
        headers: Mapping[str, str] | None = None,
        is_ours: Callable[[bytes], bool] | None = None,
    ) -> None:
        """See `ports.Announcer.announce`."""
        announce = partial(self.announcer.announce, message_id=message_id, headers=headers, is_ours=is_ours)
        await retry(lambda: announce(subject, payload))


async def _from(start: int, last: bytes, chunks: AsyncGenerator[bytes, None], key: str) -> AsyncGenerator[bytes, None]:
    """Yield what follows the first `start` bytes, the end of which has to be `last`."""
    position, known_from = 0, start - len(last)
    async with aclosing(chunks):
        async for chunk in chunks:
            begin, position = position, position + len(chunk)
            if begin >= start:
                yield chunk
                continue
            low, high = max(begin, known_from), min(position, start)
            if low < high and chunk[low - begin : high - begin] != last[low - known_from : high - known_from]:
                raise StoreUnavailable(f"read {key}", "the bytes read again differ from those read before")
            if position > start:
                yield chunk[start - begin :]
    if position < start:
        raise StoreUnavailable(f"read {key}", f"{position} bytes when read again, at least {start} before")
