"""The schedule of a replay's traffic: in which order its messages go out, when, and which go out twice.

Everything streams: nothing here holds more than the window of a shuffle.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from heapq import heappop, heappush
from math import floor
from typing import Protocol, TypeVar

from contracts.errors import BadInput

Draw = Callable[[], float]
"""A random number from 0 up to 1: `random.Random(seed).random`, so that a seed reproduces it."""


class Timed(Protocol):
    """Something that was seen at a time."""

    @property
    def seen_at(self) -> datetime | None:
        """When, aware; None where nobody knows."""


Item = TypeVar("Item", bound=Timed)


@dataclass(frozen=True, slots=True)
class Schedule:
    """The schedule of the traffic; by default everything in order, as fast as possible.

    `rate` is in messages a second; `speed` divides the gaps between the events as they were seen. `jitter` is the
    share of its gap, from 0 to 1, by which a message may go out early. `shuffle` is a number of messages: each
    moves by fewer places than that. `duplicate` is the share of events, from 0 to 1, that go out twice.

    Raises:
        BadInput: options that contradict each other.
    """

    rate: float | None = None
    speed: float | None = None
    jitter: float = 0.0
    shuffle: int = 1
    duplicate: float = 0.0

    @property
    def draws(self) -> bool:
        """Whether it makes random choices, so that a seed has an effect."""
        return bool(self.jitter or self.duplicate) or self.shuffle > 1

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if self.rate is not None and self.speed is not None:
            raise BadInput(
                "--rate and --speed exclude each other: a fixed rate has no recorded gaps to keep\n  give one of them"
            )
        if self.jitter and self.rate is None and self.speed is None:
            raise BadInput(
                "--jitter needs gaps to vary, and there are none: all is sent as fast as it goes\n"
                "  give --rate or --speed with it"
            )


def scheduled(items: Iterable[Item], schedule: Schedule, draw: Draw) -> Iterator[tuple[float, Item]]:
    """Yield (seconds from the start, item) in the order of sending; the seconds never fall.

    Shuffling moves items, not times: the n-th message goes out when the n-th one was due.
    """
    due = _due(_doubled(items, schedule.duplicate, draw), schedule, draw)
    return due if schedule.shuffle <= 1 else _shuffled(due, schedule.shuffle, draw)


def _doubled(items: Iterable[Item], share: float, draw: Draw) -> Iterator[Item]:
    """Spread the repeats evenly from a random start: of n items, floor or ceiling of n * share come twice."""
    start = draw() if share else 0.0
    for number, item in enumerate(items):
        yield item
        if floor((number + 1) * share + start) > floor(number * share + start):
            yield item


def _due(items: Iterable[Item], schedule: Schedule, draw: Draw) -> Iterator[tuple[float, Item]]:
    first: datetime | None = None
    before = 0.0
    for number, item in enumerate(items):
        due = before
        if schedule.rate is not None:
            due = number / schedule.rate
        elif schedule.speed is not None and (seen_at := item.seen_at) is not None:
            first = first or seen_at
            due = max(before, (seen_at - first).total_seconds() / schedule.speed)
        early = (due - before) * schedule.jitter * draw() if schedule.jitter else 0.0
        yield round(due - early, 6), item
        before = due


def _shuffled(due: Iterable[tuple[float, Item]], window: int, draw: Draw) -> Iterator[tuple[float, Item]]:
    """Give each item a place up to a window later, and let them go by that: each moves by less than the window."""
    waiting: list[tuple[float, int, Item]] = []
    times: deque[float] = deque()
    for number, (at, item) in enumerate(due):
        while waiting and waiting[0][0] < number:
            yield times.popleft(), heappop(waiting)[2]
        heappush(waiting, (number + draw() * window, number, item))
        times.append(at)
    while waiting:
        yield times.popleft(), heappop(waiting)[2]
