"""`archiver gc` beside a worker that finds the very blob which gc is about to delete: every order of their calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import chain
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archiver.core.outcome import Ack, Outcome
from archiver.core.values import Folder, Listed, Stored
from archiver.maintenance.gc import Collection
from archiver.stores.memory import MemoryStore
from tests.archiver.maintenance.test_gc import BLOB
from tests.archiver.maintenance.test_verify import found_in
from tests.support.builders import BUNDLE, House, message

pytestmark = pytest.mark.slow

WORKER, GC, OTHER_GC = 0, 1, 2


class Turns:
    """Lets one call through at a time, of the one whose turn it is; when the order is used up, of the lowest number."""

    def __init__(self, order: list[int]) -> None:
        self._order = iter(order)
        self._waiting: dict[int, list[asyncio.Future[None]]] = {WORKER: [], GC: [], OTHER_GC: []}

    async def wait(self, who: int) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting[who].append(turn)
        await turn

    async def give_out(self, *tasks: asyncio.Task[Any]) -> None:
        while not all(task.done() for task in tasks):
            for _ in range(20):  # until nobody can go on but by a turn
                await asyncio.sleep(0)
            ready = [who for who, turns in self._waiting.items() if turns]
            if ready:
                who = next(self._order, ready[0])
                self._waiting[who if who in ready else ready[0]].pop(0).set_result(None)


class InTurns:
    """A store in which each call waits for its turn."""

    def __init__(self, store: MemoryStore, turns: Turns, who: int) -> None:
        self._store, self._turns, self._who = store, turns, who

    async def create(self, key: str, body: Any, **about: Any) -> Stored:
        await self._turns.wait(self._who)
        return await self._store.create(key, body, **about)

    async def replace(self, key: str, body: Any, **about: Any) -> Stored:
        await self._turns.wait(self._who)
        return await self._store.replace(key, body, **about)

    async def read(self, key: str) -> AsyncIterator[bytes]:
        await self._turns.wait(self._who)
        async for chunk in self._store.read(key):
            yield chunk

    async def holds(self, key: str) -> bool:
        await self._turns.wait(self._who)
        return await self._store.holds(key)

    async def list(self, prefix: str, after: str = "") -> AsyncIterator[Listed]:
        await self._turns.wait(self._who)
        async for listed in self._store.list(prefix, after):
            yield listed

    async def folder(self, prefix: str) -> Folder:
        await self._turns.wait(self._who)
        return await self._store.folder(prefix)

    async def delete(self, key: str) -> None:
        await self._turns.wait(self._who)
        await self._store.delete(key)


def race(order: list[int]) -> House:
    """Let a worker and those that the order names go for the same blob, until the worker has acknowledged."""
    house = House()
    store = house.store.memory = MemoryStore(house.clock)
    turns = Turns(order)

    async def collection(who: int) -> None:
        it = Collection(InTurns(store, turns, who), f"run-{who}", timedelta(hours=1))
        await it.scan(await it.store_time())
        async for _ in it.delete():
            pass

    async def work() -> Outcome:
        deliveries = 1
        while not isinstance(outcome := await house.pipeline.process(message(deliveries=deliveries)), Ack):
            deliveries += 1
        return outcome

    async def both() -> None:
        tasks = [asyncio.create_task(collection(who)) for who in {*order} - {WORKER}] + [asyncio.create_task(work())]
        await turns.give_out(*tasks)
        await asyncio.gather(*tasks)

    store.objects[BLOB] = BUNDLE  # the orphan of an event that was never archived
    store.modified_at[BLOB] = house.clock.now() - timedelta(days=1)
    object.__setattr__(house.archive, "store", InTurns(store, turns, WORKER))
    asyncio.run(both())
    return house


def stretches(*who: int) -> st.SearchStrategy[list[int]]:
    """Orders in which each does a few things before the next has its turn."""
    stretch = st.tuples(st.sampled_from(who), st.integers(1, 12)).map(lambda it: [it[0]] * it[1])
    return st.lists(stretch, max_size=10).map(lambda each: [*chain.from_iterable(each)])


@settings(max_examples=300)
@given(st.one_of(stretches(WORKER, GC), stretches(WORKER, GC, OTHER_GC)))
def test_in_whatever_order_they_come_the_blob_is_there_in_the_end(order: list[int]) -> None:
    house = race(order)

    assert found_in(house) == []
    assert house.store.objects[BLOB] == BUNDLE
    assert house.announcer.said


@pytest.mark.parametrize("at", range(14))
@pytest.mark.parametrize("length", range(1, 14))
def test_a_worker_active_at_any_moment_of_gc_loses_nothing(at: int, length: int) -> None:
    house = race([GC] * at + [WORKER] * length + [GC] * 20)

    assert found_in(house) == []
    assert house.store.objects[BLOB] == BUNDLE
