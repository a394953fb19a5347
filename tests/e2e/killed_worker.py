"""A worker that kills itself at one point of the order: `python -m tests.e2e.killed_worker POINT`.

Made of the public parts as `archiver run` is, with adapters around them; the archiver itself has no such switch.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

from archiver.adapters.jetstream import JetStreamAnnouncer, JetStreamInbox
from archiver.adapters.spool import SpoolSource
from archiver.consume import Consumer
from archiver.logs import open_log
from archiver.ports import Announcer, ObjectStore, Stored
from archiver.settings import load_settings, nats_access
from archiver.wiring import SystemClock, make_pipeline, open_store
from contracts import close_nats, connect_nats

POINTS = [
    "after blobs",
    "after refs",
    "after kaizen.schedule.archived",
    "after kaizen.archive.failed",
]


class KillingStore:
    """A store that ends the process once it has created something."""

    def __init__(self, store: ObjectStore, point: str) -> None:
        self._store, self._point = store, point

    async def create(self, key: str, *about: Any, **more: Any) -> Stored:
        folder = key.partition("/")[0]
        stored = await self._store.create(key, *about, **more)
        die_at(self._point, f"after {folder}")
        return stored

    async def replace(self, key: str, *about: Any, **more: Any) -> Stored:
        return await self._store.replace(key, *about, **more)

    def read(self, key: str) -> AsyncIterator[bytes]:
        return self._store.read(key)


class KillingAnnouncer:
    """An announcer that ends the process once the bus has confirmed."""

    def __init__(self, announcer: Announcer, point: str) -> None:
        self._announcer, self._point = announcer, point

    async def announce(self, subject: str, payload: bytes, *, message_id: str) -> None:
        await self._announcer.announce(subject, payload, message_id=message_id)
        die_at(self._point, f"after {subject}")


def die_at(point: str, here: str) -> None:
    if here == point:
        os.kill(os.getpid(), signal.SIGKILL)


async def work(point: str) -> None:
    settings = load_settings()
    async with open_store(settings) as store:
        client = await connect_nats(nats_access(), name="a worker that dies")
        announcer = KillingAnnouncer(JetStreamAnnouncer(client), point)
        bundles = SpoolSource(settings.spool, settings.max_bundle_bytes)
        consumer = Consumer(
            inbox=await JetStreamInbox.bind(client, stream=settings.stream, consumer=settings.consumer),
            process=make_pipeline(settings, KillingStore(store, point), bundles, announcer).process,
            dead_letters=announcer,
            clock=SystemClock(),
            log=open_log("json"),
            worker=settings.worker,
            slots=settings.slots,
            ack_wait_s=settings.ack_wait_s,
            grace_s=settings.grace_s,
        )
        await consumer.run(asyncio.Event(), until_idle=True)
        await close_nats(client)


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1]))
