"""Order, moments and repeats of a replay follow laws, whatever the events and whatever the seed."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from math import ceil, floor
from random import Random
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import BadInput
from contracts.replay.plan.schedule import Schedule, scheduled

NOON = datetime(2026, 6, 17, 12, tzinfo=UTC)
SEEDS = st.integers(0, 2**32)
SHARES = st.floats(0.01, 1)
WINDOWS = st.integers(2, 12)


class Seen(NamedTuple):
    number: int
    seen_at: datetime | None


GAPS = st.lists(st.none() | st.integers(-5_000_000, 60_000_000), max_size=40)
"""Microseconds from one event to the next; None where nobody knows when it was seen."""


def events(gaps: list[int | None]) -> list[Seen]:
    found, at = [], NOON
    for number, gap in enumerate(gaps):
        at += timedelta(microseconds=gap or 0)
        found.append(Seen(number, None if gap is None else at))
    return found


def run(items: list[Seen], schedule: Schedule, seed: int = 0) -> list[tuple[float, Seen]]:
    return list(scheduled(items, schedule, Random(seed).random))


@given(st.lists(st.none() | st.just(1), max_size=20))
def test_with_nothing_said_all_go_at_once_in_their_order(gaps: list[int | None]) -> None:
    items = events(gaps)

    assert run(items, Schedule()) == [(0.0, item) for item in items]


@given(GAPS, st.floats(0.1, 5_000), SHARES | st.just(0.0), SEEDS)
def test_at_a_rate_each_message_has_its_slot_and_jitter_never_leaves_it(
    gaps: list[int | None], rate: float, jitter: float, seed: int
) -> None:
    for number, (due, _) in enumerate(run(events(gaps), Schedule(rate=rate, jitter=jitter), seed)):
        assert number / rate - jitter / rate - 1e-6 <= due <= number / rate + 1e-6


@given(GAPS, st.floats(0.1, 100))
def test_speed_keeps_the_recorded_gaps_in_proportion(gaps: list[int | None], speed: float) -> None:
    told = run(events(gaps), Schedule(speed=speed))

    first, latest = None, 0.0
    for due, item in told:
        if item.seen_at is not None:
            first = first or item.seen_at
            latest = max(latest, (item.seen_at - first).total_seconds() / speed)
        assert due == pytest.approx(latest, abs=1e-6)


@given(GAPS, st.sampled_from([Schedule(rate=50), Schedule(speed=3)]), SHARES, WINDOWS, SHARES, SEEDS)
def test_whatever_the_shape_the_moments_never_fall_and_nothing_is_lost(
    gaps: list[int | None], schedule: Schedule, jitter: float, window: int, duplicate: float, seed: int
) -> None:
    items = events(gaps)
    whole = Schedule(schedule.rate, schedule.speed, jitter, window, duplicate)

    told = run(items, whole, seed)

    assert all(before <= after for (before, _), (after, _) in itertools.pairwise(told))
    counts = Counter(item.number for _, item in told)
    assert set(counts) == {item.number for item in items}
    assert set(counts.values()) <= {1, 2}
    assert [due for due, _ in told] == [
        due for due, _ in run(items, Schedule(schedule.rate, schedule.speed, 0, 1, duplicate), seed)
    ] or jitter


@given(st.integers(0, 200), WINDOWS, SEEDS)
def test_a_shuffle_moves_each_message_by_fewer_places_than_its_window(count: int, window: int, seed: int) -> None:
    told = run(events([0] * count), Schedule(shuffle=window), seed)

    assert sorted(item.number for _, item in told) == list(range(count))
    assert all(abs(place - item.number) < window for place, (_, item) in enumerate(told))


def test_a_shuffle_does_shuffle() -> None:
    told = run(events([0] * 100), Schedule(shuffle=10))

    assert [item.number for _, item in told] != list(range(100))


@given(st.integers(0, 300), SHARES, SEEDS)
def test_of_the_events_exactly_the_share_goes_out_twice(count: int, share: float, seed: int) -> None:
    twice = len(run(events([0] * count), Schedule(duplicate=share), seed)) - count

    assert floor(count * share - 1e-9) <= twice <= ceil(count * share + 1e-9)


def test_chance_says_which_events_go_out_twice() -> None:
    told = {len(run(events([0]), Schedule(duplicate=0.5), seed)) for seed in range(20)}

    assert told == {1, 2}


@given(GAPS, WINDOWS, SHARES, SEEDS)
def test_a_seed_tells_all(gaps: list[int | None], window: int, share: float, seed: int) -> None:
    schedule = Schedule(rate=10, jitter=share, shuffle=window, duplicate=share)

    assert run(events(gaps), schedule, seed) == run(events(gaps), schedule, seed)


def test_another_seed_is_another_replay() -> None:
    schedule = Schedule(shuffle=10)

    assert run(events([0] * 50), schedule, 1) != run(events([0] * 50), schedule, 2)


def test_memory_holds_no_more_than_the_window() -> None:
    taken = 0

    def endless() -> Iterator[Seen]:
        nonlocal taken
        for number in itertools.count():
            taken += 1
            yield Seen(number, NOON)

    told = scheduled(endless(), Schedule(rate=50, jitter=0.5, shuffle=20, duplicate=0.1), Random(0).random)

    for sent in range(2_000):
        next(told)
        assert taken - sent <= 20 + 1


@pytest.mark.parametrize(
    ("schedule", "complaint"),
    [
        ({"rate": 50.0, "speed": 2.0}, "--rate and --speed exclude each other"),
        ({"jitter": 0.1}, "--jitter needs gaps to vary"),
        ({"jitter": 0.1, "shuffle": 5}, "--jitter needs gaps to vary"),
    ],
)
def test_shapes_that_contradict_themselves_are_refused(schedule: dict[str, float], complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint):
        Schedule(**schedule)  # type: ignore[arg-type] # from a table
