"""How many messages to work on at once, learnt from how long they take and how they end.

A message's time is the store's own, and the time it stands in line there. While more at once make the line no
longer, more gets done: a store that is far away wants many at once. When the line grows, nothing more gets done, and
half as many wait as well. A few make no line, so what they take is the store's own time: that is how a store that has
moved further away is distinguished from one that is overloaded. Where times leap, a few are all there is at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import Final

from archiver.core.breaker import works
from archiver.core.outcome import Ack, Outcome

FIRST: Final = 16
"""At the start: keeps a store nearby busy, and crowds none out."""
FEW: Final = 8
"""So few make no line worth shortening; only failures lead below."""
_IN_LINE: Final = 2.0  # times its own time: more than that, and most of it is spent in line
_JUMP: Final = 3.0  # times its own time: no line grows like that in one round, so the store is no longer what it was
_SLACK_S: Final = 0.02  # a line that nobody minds; and our own event loop's


@dataclass(slots=True)
class Limiter:
    """Counts times and outcomes; `limit` is how many at once, from 1 to `most`.

    It is judged by rounds: as many messages as there may be at once, or as there are at the start: enough to judge by.
    """

    most: int
    _limit: float = field(init=False)
    _own_s: float = float("inf")
    _round: list[float] = field(default_factory=list)
    _lowered_s: float = float("-inf")

    def __post_init__(self) -> None:
        self._limit = min(self.most, FIRST)

    @property
    def limit(self) -> int:
        """How many messages may be worked on at once."""
        return int(self._limit)

    def note(self, outcome: Outcome, *, began_s: float, ended_s: float) -> None:
        """Take a message into account; its times are seconds of any one clock that only goes forward."""
        if began_s < self._lowered_s:
            return  # it shared the store with more than there are now
        if works(outcome) is False:
            self._lower(self._limit / 2, ended_s)
        elif isinstance(outcome, Ack) and not outcome.repeated:  # others ask less of the store
            self._round.append(ended_s - began_s)
            if len(self._round) >= min(self.limit, FIRST):
                self._judge(median(self._round), ended_s)

    def _judge(self, usual_s: float, now_s: float) -> None:
        self._own_s = usual_s if self.limit <= FEW else min(self._own_s, usual_s)
        if usual_s > _IN_LINE * self._own_s + _SLACK_S:
            is_another = usual_s > _JUMP * self._own_s
            self._lower(FEW if is_another else max(FEW, self._limit / 2), now_s)
        else:
            self._limit = min(self.most, self._limit + max(self._limit / 2, min(self._limit, FEW)))
            self._round.clear()

    def _lower(self, limit: float, now_s: float) -> None:
        self._limit, self._lowered_s = max(1, limit), now_s
        self._round.clear()
