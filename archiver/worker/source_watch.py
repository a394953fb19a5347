"""Decide whether a missing bundle is lost, or whether the place where bundles are left is not the right one.

A spool that is not mounted is an empty directory: every bundle is missing, and after the deadline every event would be
dead-lettered. So an event is dead-lettered as `bundle_missing` only where the sources are seen to work: an expected
bundle was found recently. Where nothing expected is found, the worker is not ready and its events wait; the first
bundle that is found ends this. An operator can accept empty sources with ARCHIVER_EMPTY_SOURCES=accept.

One event alone is the exception. In a spool that works and is empty, because everything in it has been archived,
nothing distinguishes a lost bundle from a lost mount, and the event must not wait indefinitely. If it is the only event
that the consumer has outstanding, it is dead-lettered after its deadline; `archiver dead redrive` undoes that. The next
event that finds nothing waits: two in a row with nothing found between them are no longer one lost bundle.

What was found is known to this process only, which is the safe side: a worker that has just started, or that shares
the consumer with others, waits until it has found a bundle itself. The wait itself is counted in deliveries
(`core/bundle_wait.py`), which all workers share.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from archiver.core.errors import BusUnavailable
from archiver.worker.health import Health

_RECENTLY_S: Final = 60.0  # at least: deadlines may be set to seconds
_NOTHING_FOUND: Final = (
    "none of the bundles that were looked for is there; is the volume mounted, and is it the right one?"
    " No event is dead-lettered for it. If it is right, set ARCHIVER_EMPTY_SOURCES=accept"
)


@dataclass(slots=True)
class SourceWatch:
    """Notes which expected bundles were found.

    `part` is the name of the sources in health; `deadline_s` is the bundle deadline, in seconds; `outstanding` returns
    how many messages of the consumer are delivered and not yet answered; `accepts_empty` is the operator's word.
    """

    part: str
    health: Health
    deadline_s: float
    outstanding: Callable[[], Awaitable[int]]
    accepts_empty: bool = False
    now_s: Callable[[], float] = time.monotonic
    _found_at_s: float | None = None
    _missed: set[str] = field(default_factory=set)
    _given_up: str = ""

    def found(self, source: str = "") -> None:
        """Note that an expected bundle is there, whether or not it can be read; `source` is where, if it was read."""
        self._found_at_s = self.now_s()
        self._missed.clear()
        self._given_up = ""
        self.health.fine(source)
        self.health.fine(self.part)

    def missed(self, event_key: str) -> None:
        """Note that an expected bundle is in no source."""
        if self.accepts_empty or self._found_at_s is not None:
            return
        if len(self._missed) < 2:
            self._missed.add(event_key)
        if len(self._missed) > 1:
            self.health.wrong(self.part, _NOTHING_FOUND)

    async def may_give_up(self, event_key: str) -> bool:
        """Return whether an event whose bundle is missing at its deadline may be dead-lettered."""
        if self.accepts_empty or self._works():
            return True
        if self._given_up in {"", event_key} and await self._is_alone():
            self._given_up = event_key
            return True
        self.health.wrong(self.part, _NOTHING_FOUND)
        return False

    def _works(self) -> bool:
        recently_s = max(self.deadline_s, _RECENTLY_S)
        return self._found_at_s is not None and self.now_s() - self._found_at_s <= recently_s

    async def _is_alone(self) -> bool:
        try:
            return await self.outstanding() <= 1
        except BusUnavailable:
            return False
