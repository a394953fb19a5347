"""A worker over fakes: `archiver.worker.consumer` without a bus, for the tests of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from archiver.core.errors import BusUnavailable
from archiver.core.limiter import Limiter
from archiver.core.outcome import Ack, Dead, DeadReason, Outcome
from archiver.ports import Message
from archiver.worker.consumer import Consumer
from archiver.worker.health import Health
from archiver.worker.watchdog import Watchdog
from tests.support.builders import FixedClock, MemoryDelivery, MemoryInbox, RecordingAnnouncer, RecordingStore, message

DONE = Ack("key", "refs/key", "blobs/key", 1)
DEAD = Dead(DeadReason.NOT_JSON, "cut short")
LOST = BusUnavailable("take the answer", "connection closed")
SOON_S = 10.0

Process = Callable[[Message], Awaitable[Outcome]]


def consumer(inbox: MemoryInbox, process: Process, *, slots: int = 4, **changes: Any) -> Consumer:
    log = changes.get("log") or structlog.wrap_logger(structlog.testing.ReturnLogger())
    made = {
        "dead_letters": RecordingAnnouncer(),
        "probe": RecordingStore().check,
        "clock": FixedClock(),
        "log": log,
        "health": Health(log),
        "watchdog": Watchdog(inbox, log),
        "chance": lambda: 0.0,
        "worker": "w",
        "limiter": Limiter(slots),
        "ack_wait_s": 60.0,
        "grace_s": SOON_S,
    }
    return Consumer(inbox=inbox, process=process, **made | changes)


def deliveries(count: int, **changes: Any) -> list[MemoryDelivery]:
    return [MemoryDelivery(message=message(sequence=number), **changes) for number in range(1, count + 1)]


def always(outcome: Outcome) -> Process:
    async def process(_: Message) -> Outcome:
        return outcome

    return process


def until_idle(inbox: MemoryInbox, process: Process, **changes: Any) -> Counter[str]:
    async def steps() -> Counter[str]:
        return await asyncio.wait_for(consumer(inbox, process, **changes).run(asyncio.Event(), until_idle=True), SOON_S)

    return asyncio.run(steps())


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(SOON_S):
        while not condition():  # noqa: ASYNC110 - any condition
            await asyncio.sleep(0.001)
