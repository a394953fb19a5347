"""How many messages at once: few where a store has a line, many where it is far away, and never out of bounds."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.core.limiter import FEW, FIRST, Limiter
from archiver.core.outcome import Ack, Cause, Dead, DeadReason, Outcome, Retry

WORKED = Ack("key", "refs/key", "blobs/key", 1)
AGAIN = Ack("key", "refs/key", "blobs/key", 1, repeated=True)
FAILED = Retry(5, Cause.STORE_UNAVAILABLE, "503 SlowDown")
ITS_OWN = [
    AGAIN,
    Retry(2, Cause.BUNDLE_NOT_THERE, "not there"),
    Retry(60, Cause.OBJECT_DAMAGED, "its reference is none"),
    Retry(300, Cause.DEFECT, "ZeroDivisionError()"),
    Dead(DeadReason.NOT_JSON, "cut short"),
]


@dataclass(frozen=True)
class Store:
    """Works on `at_once` messages at once, for about `own_s` seconds each; the others stand in line."""

    at_once: int
    own_s: float


NEARBY, FAR, OVERLOADED = Store(64, 0.02), Store(10_000, 0.2), Store(4, 0.2)


class World:
    """A worker that always has something to do, on a clock that only counts."""

    def __init__(self, most: int, *, seed: int = 0, first_s: float = 0.0) -> None:
        self.limiter, self.dice, self.now_s = Limiter(most), Random(seed), first_s
        self.in_hand: list[tuple[float, float]] = []
        self.free: list[float] = []
        self.done = 0

    def run(self, store: Store, seconds: float) -> list[int]:
        """Work for so long; return the limit after each message."""
        seen, until_s = [], self.now_s + seconds
        self.free = [self.now_s] * store.at_once
        while self.now_s < until_s:
            while len(self.in_hand) < self.limiter.limit:
                begins_s = max(heapq.heappop(self.free), self.now_s)
                ends_s = begins_s + store.own_s * self.dice.lognormvariate(0, 0.3)
                heapq.heappush(self.free, ends_s)
                heapq.heappush(self.in_hand, (ends_s, self.now_s))
            self.now_s, began_s = heapq.heappop(self.in_hand)
            self.limiter.note(WORKED, began_s=began_s, ended_s=self.now_s)
            self.done += 1
            seen.append(self.limiter.limit)
        return seen

    def fail(self, times: int) -> None:
        for _ in range(times):
            self.now_s += 1
            self.limiter.note(FAILED, began_s=self.now_s, ended_s=self.now_s)


seeds = pytest.mark.parametrize("seed", range(5))


@given(
    most=st.integers(1, 256),
    steps=st.lists(st.tuples(st.sampled_from([WORKED, FAILED, *ITS_OWN]), st.floats(0, 100), st.floats(0, 1e4))),
)
def test_it_never_leaves_its_bounds_whatever_it_is_told(most: int, steps: list[tuple[Outcome, float, float]]) -> None:
    limiter, now_s = Limiter(most), 0.0
    assert 1 <= limiter.limit <= min(most, FIRST)
    for outcome, after_s, took_s in steps:
        now_s += after_s
        limiter.note(outcome, began_s=now_s - took_s, ended_s=now_s)
        assert 1 <= limiter.limit <= most


@seeds
def test_a_store_that_is_merely_far_away_gets_as_many_as_there_may_be(seed: int) -> None:
    world = World(64, seed=seed)
    world.run(FAR, 5)

    done = world.done
    limits = world.run(FAR, 10)

    assert set(limits) == {64}
    assert world.done - done > 0.8 * 10 * 64 / FAR.own_s * 0.95, (
        "all that 64 at once allow, but for the spread of times"
    )


@seeds
def test_a_store_with_a_line_is_kept_busy_and_its_line_short(seed: int) -> None:
    world = World(256, seed=seed)
    world.run(OVERLOADED, 30)

    done = world.done
    limits = world.run(OVERLOADED, 60)

    assert max(limits) < FIRST * 4
    assert world.done - done > 0.9 * 60 * OVERLOADED.at_once / OVERLOADED.own_s * 0.95


@seeds
def test_a_slow_store_gets_fewer_within_ten_seconds_and_many_once_it_recovers(seed: int) -> None:
    world = World(64, seed=seed)
    world.run(NEARBY, 5)
    assert world.limiter.limit >= 48

    slowing = world.run(OVERLOADED, 10)
    assert min(slowing[: len(slowing) // 2]) <= FEW, "in half of that"
    assert max(slowing[len(slowing) // 2 :] + world.run(OVERLOADED, 30)) <= 40, "and never many again"

    world.run(NEARBY, 10)
    assert world.limiter.limit >= 48


@seeds
def test_a_store_that_moves_further_away_has_all_of_them_again_within_ten_seconds(seed: int) -> None:
    world = World(64, seed=seed)
    world.run(NEARBY, 5)

    fewer = world.run(FAR, 10)

    assert min(fewer) <= 16, "fewer are tried first"
    assert fewer[-1] == 64, "and then it is clear that they are no faster"


@seeds
def test_a_store_that_moves_far_away_has_all_slots_again_after_six_round_trips(seed: int) -> None:
    world = World(32, seed=seed)
    world.run(NEARBY, 5)

    assert world.run(Store(10_000, 1.5), 6 * 1.5)[-1] == 32


@given(st.integers(1, 256), st.integers(0, 100))
def test_after_failures_all_slots_return_within_a_known_number_of_messages(most: int, failures: int) -> None:
    world = World(most)
    world.fail(failures)

    for number in range(5 * most + 50):
        world.limiter.note(WORKED, began_s=world.now_s + number, ended_s=world.now_s + number + 0.2)

    assert world.limiter.limit == most


def test_failures_of_messages_that_were_in_hand_together_count_once() -> None:
    limiter = Limiter(64)
    for _ in range(16):
        limiter.note(FAILED, began_s=1, ended_s=2)
    assert limiter.limit == FIRST // 2

    limiter.note(FAILED, began_s=2, ended_s=3)
    assert limiter.limit == FIRST // 4


def test_only_failures_lead_below_a_few() -> None:
    world = World(64)
    world.run(Store(1, 1), 200)
    assert world.limiter.limit >= FEW

    world.fail(10)
    assert world.limiter.limit == 1


@pytest.mark.parametrize("outcome", ITS_OWN, ids=str)
def test_one_messages_own_trouble_says_nothing_of_the_store(outcome: Outcome) -> None:
    limiter = Limiter(64)
    for number in range(1000):
        limiter.note(outcome, began_s=number, ended_s=number + 100)

    assert limiter.limit == FIRST
