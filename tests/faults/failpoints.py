"""A worker that fails where it is told to: `python -m tests.faults.failpoints 'after blobs: kill' …`.

Made of the public parts as `archiver run` is, with adapters around the ports; the archiver itself has no such switch.
A failpoint is `WHEN STEP: ACTION`, in force for the first time only unless `, always` follows:

    kill              SIGKILL, as the kernel's out-of-memory killer does
    freeze            SIGSTOP, until somebody sends SIGCONT: a process that thinks no time has passed
    hang [SECONDS]    this message's work stands still, for ever or for so long; the others go on
    raise NAME        a failure: StoreUnavailable, BusUnavailable, or RuntimeError for a defect

Each one that strikes is told on standard error.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from archiver.bundles.chain import open_sources
from archiver.bus.jetstream import JetStreamAnnouncer, JetStreamInbox
from archiver.core.errors import BusUnavailable, StoreUnavailable
from archiver.ports import Announcer, BlobStore, Delivery, Inbox, Stored
from archiver.settings import load_settings, nats_access
from archiver.wiring import World, make_consumer, open_store
from archiver.worker.logs import open_log
from contracts.toolkit import close_nats, connect_nats

STEPS = ["blobs", "read-back", "refs", "announce", "ack", "dead letter", "terminate"]
POINTS = [f"{when} {step}" for step in STEPS for when in ("before", "after")]
_ANNOUNCED = {"kaizen.schedule.archived": "announce", "kaizen.archive.failed": "dead letter"}
_FAILURES = {
    "StoreUnavailable": StoreUnavailable("do its work", "a failpoint"),
    "BusUnavailable": BusUnavailable("do its work", "a failpoint"),
    "RuntimeError": RuntimeError("a failpoint"),
}


@dataclass
class Failpoint:
    """What to do at one point."""

    point: str
    action: str
    argument: str
    always: bool
    struck: bool = False

    @classmethod
    def read(cls, text: str) -> Failpoint:
        point, _, what = text.partition(": ")
        what, _, often = what.partition(", ")
        action, _, argument = what.partition(" ")
        assert point in POINTS, f"{point!r} is not one of {POINTS}"
        assert action in {"kill", "freeze", "hang", "raise"}, f"{action!r} is no action"
        assert often in {"", "always"}, often
        assert action != "raise" or argument in _FAILURES, argument
        return cls(point, action, argument, often == "always")

    async def strike(self) -> None:
        if self.struck and not self.always:
            return
        self.struck = True
        print(f"failpoint {self.point}: {self.action}", file=sys.stderr, flush=True)
        match self.action:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "freeze":
                os.kill(os.getpid(), signal.SIGSTOP)
            case "hang":
                await asyncio.sleep(float(self.argument or "inf"))
            case "raise":
                raise _FAILURES[self.argument]


@dataclass
class Failpoints:
    """All of them; the adapters below ask before and after each step."""

    told: Sequence[Failpoint]

    @asynccontextmanager
    async def around(self, step: str) -> AsyncIterator[None]:
        await self._reach(f"before {step}")
        yield
        await self._reach(f"after {step}")

    async def _reach(self, point: str) -> None:
        assert point in POINTS, point
        for each in self.told:
            if each.point == point:
                await each.strike()


@dataclass
class FailingStore:
    """A store with failpoints around writes, by folder, and around reading a blob back."""

    store: BlobStore
    failpoints: Failpoints

    async def create(self, key: str, *about: Any, **more: Any) -> Stored:
        folder = key.partition("/")[0]
        if folder not in STEPS:
            return await self.store.create(key, *about, **more)
        async with self.failpoints.around(folder):
            return await self.store.create(key, *about, **more)

    async def read(self, key: str) -> AsyncIterator[bytes]:
        if not key.startswith("blobs/"):
            async for chunk in self.store.read(key):
                yield chunk
            return
        async with self.failpoints.around("read-back"):
            async for chunk in self.store.read(key):
                yield chunk

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


@dataclass
class FailingAnnouncer:
    """An announcer with failpoints, by subject."""

    announcer: Announcer
    failpoints: Failpoints

    async def announce(
        self, subject: str, payload: bytes, *, message_id: str, headers: Any = None, is_ours: Any = None
    ) -> None:
        async with self.failpoints.around(_ANNOUNCED[subject]):
            await self.announcer.announce(subject, payload, message_id=message_id, headers=headers, is_ours=is_ours)


@dataclass
class FailingInbox:
    """An inbox whose deliveries have failpoints."""

    inbox: Inbox
    failpoints: Failpoints

    async def fetch(self, limit: int, wait_s: float) -> list[FailingDelivery]:
        return [FailingDelivery(each, self.failpoints) for each in await self.inbox.fetch(limit, wait_s)]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inbox, name)


@dataclass
class FailingDelivery:
    """A delivery with failpoints around its last answers."""

    delivery: Delivery
    failpoints: Failpoints

    async def acknowledge(self) -> None:
        async with self.failpoints.around("ack"):
            await self.delivery.acknowledge()

    async def terminate(self) -> None:
        async with self.failpoints.around("terminate"):
            await self.delivery.terminate()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.delivery, name)


async def work(failpoints: Failpoints) -> None:
    settings = load_settings()
    log = open_log("json").bind(worker=settings.worker)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with open_store(settings) as store:
        client = await connect_nats(nats_access(), name=f"archiver {settings.worker}, with failpoints")
        inbox = await JetStreamInbox.bind(client, stream=settings.stream, consumer=settings.consumer)
        world = World(
            FailingStore(store, failpoints),
            open_sources(settings, client),
            FailingAnnouncer(JetStreamAnnouncer(client), failpoints),
            FailingInbox(inbox, failpoints),
        )
        consumer = make_consumer(settings, world, log, ack_wait_s=inbox.ack_wait_s, create_only=True, release=True)
        log.info("ready")
        print(await consumer.run(stop, until_idle=False))
        await close_nats(client)


if __name__ == "__main__":
    asyncio.run(work(Failpoints([Failpoint.read(each) for each in sys.argv[1:]])))
