"""A store that slows down under its load, and recovers: a worker asks less of it, and more again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.e2e.kit import until
from tests.faults.http_proxy import Forward, HttpFault, HttpProxy, Message
from tests.faults.kit import Rig

SLOTS = 24


@dataclass(frozen=True)
class Line(HttpFault):
    """The store works on `at_once` requests at once, `takes_s` seconds each; the others stand in line."""

    at_once: int = 1000
    takes_s: float = 0.0
    asking: set[object] = field(default_factory=set)
    free: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "free", asyncio.Semaphore(self.at_once))

    async def exchange(self, request: Message, forward: Forward) -> Message:
        with self._asking():
            async with self.free:
                await asyncio.sleep(self.takes_s)
            return await forward(request)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        this = object()
        self.asking.add(this)
        try:
            yield
        finally:
            self.asking.discard(this)


def test_a_queueing_store_gets_less_within_ten_seconds_and_more_once_it_recovers(rig: Rig, link: HttpProxy) -> None:
    far = link.fault = Line(takes_s=0.1)
    rig.emit_many(600)
    worker = rig.worker(ARCHIVER_SLOTS=str(SLOTS))
    until(lambda: len(far.asking) >= 0.8 * SLOTS, "a store that is far away is asked for much at once")

    overloaded = link.fault = Line(at_once=1, takes_s=0.03)
    with rig.recovery():
        until(lambda: len(overloaded.asking) >= 0.8 * SLOTS, "what was in hand stands in line")
        until(lambda: len(overloaded.asking) <= SLOTS / 2, "it is asked for less")
    assert rig.recovered_s
    assert rig.recovered_s < 10

    again = link.fault = Line(takes_s=0.1)
    with rig.recovery():
        until(lambda: len(again.asking) >= 0.8 * SLOTS, "it is asked for as much as before")
    assert rig.recovered_s < 10

    link.heal()
    rig.settle()
    said = worker.err.read_text("utf-8")
    assert '"retried"' not in said, "nothing failed"
    assert '"not ready"' not in said
