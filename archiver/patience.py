"""Try a moment longer before a message is handed back: most of what fails once works the next time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from archiver.errors import BusUnavailable, ObjectUnusable, StoreRefuses, StoreUnavailable

T = TypeVar("T")


async def patiently(operation: Callable[[], Awaitable[T]]) -> T:
    """Call `operation` up to three times, with waits of up to 0.2 s and 0.4 s between, drawn at random.

    Only where trying again may help: not after a refusal that somebody has to lift first.

    Raises:
        What the last call raised.
    """
    async for attempt in AsyncRetrying(
        stop=stop_after_attempt(3),
        wait=wait_random_exponential(multiplier=0.2, max=5),
        retry=retry_if_exception(_passes),
        reraise=True,
    ):
        with attempt:
            return await operation()
    raise AssertionError("the last attempt returns or raises")


def _passes(error: BaseException) -> bool:
    return isinstance(error, StoreUnavailable | BusUnavailable) and not isinstance(error, StoreRefuses | ObjectUnusable)
