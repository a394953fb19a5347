"""Try a moment longer before a message is handed back: most of what fails once works the next time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from archiver.core.errors import BusUnavailable, ObjectUnusable, StoreRefuses, StoreUnavailable

T = TypeVar("T")

_LONGEST_WAITS_S = (0.2, 0.4)


async def patiently(operation: Callable[[], Awaitable[T]]) -> T:
    """Call `operation` up to three times, with waits of up to 0.2 s and 0.4 s between, drawn at random.

    Only where trying again may help: not after a refusal that somebody has to lift first.

    Raises:
        What the last call raised.
    """
    for longest_s in _LONGEST_WAITS_S:
        try:
            return await operation()
        except (StoreRefuses, ObjectUnusable):
            raise
        except (StoreUnavailable, BusUnavailable):
            await asyncio.sleep(random.uniform(0, longest_s))  # noqa: S311 - spreads load, hides nothing
    return await operation()
