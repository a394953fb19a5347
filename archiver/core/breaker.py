"""When to stop taking messages, because the store or the bus lets none of them through.

A message that is fetched in an outage costs it a delivery and a wait, and gains it nothing. So after a few
failures in a row nothing is fetched; a probe asks the store now and then, and once it answers, one message
is tried. That one decides: all slots again, or a longer wait.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from archiver.core.backoff import PROBE
from archiver.core.outcome import Ack, Cause, Dead, DeadReason, Outcome, Retry

FAILURES_IN_A_ROW: Final = 5


class State(StrEnum):
    """Closed: all slots. Open: nothing is fetched. Half-open: one message at a time."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(slots=True)
class Breaker:
    """Counts outcomes; `state` decides what may be taken."""

    state: State = State.CLOSED
    _failures: int = 0
    _openings: int = 0

    def allows(self, slots: int) -> int:
        """Return how many messages may be in progress, of `slots`."""
        return {State.CLOSED: slots, State.OPEN: 0, State.HALF_OPEN: 1}[self.state]

    def note(self, outcome: Outcome) -> None:
        """Take an outcome into account; while open, only probes count: what comes in is from before."""
        worked = works(outcome)
        if worked is None or self.state is State.OPEN:
            return
        if worked:
            self.state, self._failures, self._openings = State.CLOSED, 0, 0
            return
        self._failures += 1
        at_once = isinstance(outcome, Retry) and outcome.cause is Cause.STORE_REFUSES
        if at_once or self.state is State.HALF_OPEN or self._failures >= FAILURES_IN_A_ROW:
            self._open()

    def probed(self, *, answered: bool) -> None:
        """Take a probe into account, made while open."""
        if answered:
            self.state = State.HALF_OPEN
        else:
            self._open()

    def probe_after_s(self, chance: float) -> float:
        """Return how long to wait before the next probe; `chance` in [0, 1) spreads the workers."""
        return PROBE.delay_s(self._openings, chance)

    def _open(self) -> None:
        self.state, self._failures = State.OPEN, 0
        self._openings += 1


def works(outcome: Outcome) -> bool | None:
    """Return whether store and bus did their work for this message; None where they were not asked."""
    match outcome:
        case (
            Ack()
            | Retry(cause=Cause.BUNDLE_NOT_THERE | Cause.BUNDLE_CHANGED | Cause.BUNDLE_UNREADABLE)
            | Dead(reason=DeadReason.BUNDLE_MISSING | DeadReason.BUNDLE_UNREADABLE)
        ):
            return True  # the store was asked for the reference at least
        case Retry(
            cause=Cause.STORE_UNAVAILABLE | Cause.STORE_REFUSES | Cause.BUS_UNAVAILABLE | Cause.SOURCE_UNAVAILABLE
        ):
            return False
        case _:
            return None
