"""Many things at once, but not all; and nothing goes on once somebody has given up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from archiver.parallel import AT_ONCE, in_parallel

COUNT = 5 * AT_ONCE


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


def test_everything_is_worked_on_and_as_much_at_once_as_may_be() -> None:
    async def steps() -> tuple[list[int], int]:
        work = Work()
        return [result async for result in in_parallel(work.items(), work.double)], work.most

    results, most = asyncio.run(steps())

    assert sorted(results) == [2 * number for number in range(COUNT)]
    assert most == AT_ONCE


def test_after_an_error_nothing_more_is_taken_and_nothing_goes_on() -> None:
    async def steps() -> Work:
        work = Work(fails_at=COUNT // 2)
        with pytest.raises(ValueError, match=str(COUNT // 2)):
            _ = [result async for result in in_parallel(work.items(), work.double)]
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
