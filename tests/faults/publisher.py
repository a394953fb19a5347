"""An emitter that gives up nothing: it spools, publishes, and publishes again until the bus has confirmed."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import nats
from nats.errors import Error as NatsError

from tests.faults.ledger import Entry

_AT_ONCE = 64
_CONFIRM_WITHIN_S = 2.0
PREPARED = "kaizen.schedule.prepared"


async def publish(url: str, spool: Path | None, entries: Iterable[Entry], *, per_s: float, within_s: float) -> None:
    """Publish every entry, `per_s` of them a second at most; fail where one is not confirmed within `within_s`."""
    # The errors of an outage are what these tests make; each unconfirmed event is published again below.
    client = await nats.connect(
        url.split(","), name="emitter", max_reconnect_attempts=-1, reconnect_time_wait=0.1, error_cb=_ignore
    )
    jetstream, free = client.jetstream(), asyncio.Semaphore(_AT_ONCE)

    async def one(entry: Entry) -> None:
        if spool and entry.bundle:
            leave(spool, entry)
        while True:
            with suppress(NatsError, OSError, TimeoutError):
                await jetstream.publish(
                    PREPARED, entry.payload, timeout=_CONFIRM_WITHIN_S, headers={"Nats-Msg-Id": entry.name}
                )
                break
            await asyncio.sleep(0.05)
        free.release()

    started = time.monotonic()
    try:
        async with asyncio.timeout(within_s), asyncio.TaskGroup() as running:
            for number, entry in enumerate(entries):
                await asyncio.sleep(max(0.0, started + number / per_s - time.monotonic()))
                await free.acquire()
                running.create_task(one(entry))
    finally:
        with suppress(NatsError, OSError, TimeoutError):
            await client.close()


@contextmanager
def publishing(url: str, spool: Path, entries: Iterable[Entry], *, per_s: float, within_s: float) -> Iterator[None]:
    """Publish in the background while the block lasts; on leaving, wait until all is confirmed."""
    failures: list[BaseException] = []

    def work() -> None:
        try:
            asyncio.run(publish(url, spool, entries, per_s=per_s, within_s=within_s))
        except BaseException as error:  # noqa: BLE001 - told in the test's own thread, below
            failures.append(error)

    thread = threading.Thread(target=work, name="emitter")
    thread.start()
    try:
        yield
    finally:
        thread.join()
    if failures:
        raise failures[0]


def leave(spool: Path, entry: Entry) -> Path:
    """Leave an entry's bundle in the spool, whole at once."""
    path = spool / entry.spool_name
    aside = path.with_suffix(".part")
    aside.write_bytes(entry.bundle)
    return aside.rename(path)


async def _ignore(_: Exception) -> None:
    pass
