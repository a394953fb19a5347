"""When each message goes out: at its moment, counted from one start, so that delays never add up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable


class Pacer:
    """Waits for moments in seconds from the first one it is asked for. A message that is late goes at once."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock, self._sleep = clock, sleep
        self._start: float | None = None
        self._last: float | None = None
        self.longest_gap_s = 0.0
        """The longest time between two messages that went out one after the other."""

    async def until(self, due_s: float) -> None:
        """Wait until a message that is due then may go out."""
        now = self._clock()
        if self._start is None:
            self._start = now - due_s  # an interrupted run goes on where it stopped
        while (early_s := self._start + due_s - now) > 0:
            await self._sleep(early_s)
            now = self._clock()

    def went_out(self) -> None:
        """Note that a message went out now."""
        now = self._clock()
        if self._last is not None and now - self._last > self.longest_gap_s:
            self.longest_gap_s = now - self._last
        self._last = now
