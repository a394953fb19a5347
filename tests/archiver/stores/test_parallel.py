"""Many things at once, but not all; and nothing goes on once somebody has given up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

import pytest

from archiver.stores.parallel import AT_ONCE, in_parallel, in_turn, merged

COUNT = 5 * AT_ONCE

Lister = Callable[..., AsyncIterator[int]]


class Work:
    """Doubles numbers, when as many as may be are in hand at once; `fails_at` is one that cannot be."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.fails_at, self.in_hand, self.most, self.taken = fails_at, 0, 0, 0
        self.all_here = asyncio.Barrier(AT_ONCE)

    async def items(self) -> AsyncIterator[int]:
        for number in range(COUNT):
            self.taken += 1
            yield number

    async def double(self, number: int) -> int:
        self.in_hand += 1
        self.most = max(self.most, self.in_hand)
        try:
            await self.all_here.wait()
            if number == self.fails_at:
                raise ValueError(number)
            return number * 2
        finally:
            self.in_hand -= 1


@pytest.mark.parametrize("at_once", [in_parallel, in_turn])
def test_everything_is_worked_on_and_as_much_at_once_as_may_be(at_once: Lister) -> None:
    async def steps() -> tuple[list[int], int]:
        work = Work()
        async with asyncio.timeout(10):
            return [result async for result in at_once(work.items(), work.double)], work.most

    results, most = asyncio.run(steps())

    assert sorted(results) == [2 * number for number in range(COUNT)]
    assert most == AT_ONCE


def test_in_turn_the_results_come_in_the_order_of_the_items_however_long_each_takes() -> None:
    async def some_longer(number: int) -> int:
        for _ in range(number * 7 % AT_ONCE):
            await asyncio.sleep(0)
        return number

    async def steps() -> list[int]:
        return [number async for number in in_turn(Work().items(), some_longer)]

    assert asyncio.run(steps()) == [*range(COUNT)]


@pytest.mark.parametrize("at_once", [in_parallel, in_turn])
def test_after_an_error_nothing_more_is_taken_and_nothing_goes_on(at_once: Lister) -> None:
    async def steps() -> Work:
        work = Work(fails_at=COUNT // 2)
        with pytest.raises(ValueError, match=str(COUNT // 2)):
            _ = [result async for result in at_once(work.items(), work.double)]
        return work

    work = asyncio.run(steps())

    assert work.in_hand == 0
    assert work.taken < COUNT


def test_who_stops_early_leaves_nothing_running() -> None:
    async def steps() -> Work:
        work, never = Work(), asyncio.Event()

        async def only_the_first(number: int) -> int:
            if number:
                work.in_hand += 1
                try:
                    await never.wait()
                finally:
                    work.in_hand -= 1
            return number

        async with asyncio.timeout(10), aclosing(in_parallel(work.items(), only_the_first)) as stream:  # type: ignore[type-var]
            assert await anext(stream) == 0
            assert work.in_hand == AT_ONCE - 1
        return work

    assert asyncio.run(steps()).in_hand == 0


@pytest.mark.parametrize("lengths", [[], [0], [0, 3, 0], [1] * COUNT, [499, 500, 501, 1000, 1001], [5000, 0, 1]])
def test_streams_are_merged_and_nothing_is_lost_or_doubled(lengths: list[int]) -> None:
    async def stream(name: int, length: int) -> AsyncIterator[tuple[int, int]]:
        for number in range(length):
            yield name, number

    async def steps() -> list[tuple[int, int]]:
        return [item async for item in merged(stream(name, length) for name, length in enumerate(lengths))]

    found = asyncio.run(steps())

    assert sorted(found) == [(name, number) for name, length in enumerate(lengths) for number in range(length)]
    for name in range(len(lengths)):
        assert [number for which, number in found if which == name] == [*range(lengths[name])], "each in its order"


def test_of_streams_that_are_merged_one_that_fails_ends_the_others() -> None:
    open_now = 0

    async def stream(fails: bool) -> AsyncIterator[int]:  # noqa: FBT001
        nonlocal open_now
        open_now += 1
        try:
            await asyncio.sleep(0)
            if fails:
                raise ValueError("at the store")
            await asyncio.Event().wait()
            yield 1
        finally:
            open_now -= 1

    async def steps() -> None:
        async with asyncio.timeout(10):
            with pytest.raises(ValueError, match="at the store"):
                _ = [item async for item in merged(stream(number == 3) for number in range(COUNT))]
        assert open_now == 0

    asyncio.run(steps())
