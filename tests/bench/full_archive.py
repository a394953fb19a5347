"""Benchmark: an archive that is full already, beside an empty one, in turns: does the rate hang on what is there?"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import uuid
from pathlib import Path

from archiver.dev_servers import NatsServer, S3Server
from archiver.stores.s3.direct import DirectStore
from tests.bench.draining import drained, waiting
from tests.bench.rows import Row
from tests.faults.kit import Rig
from tests.support.servers import access_to
from tests.support.store_calls import replace

AT_ONCE = 64
FULL = 200_000


def measure(arguments: list[str]) -> list[Row]:
    parser = argparse.ArgumentParser()
    parser.add_argument("--references", type=int, default=FULL)
    parser.add_argument("--events", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    told = parser.parse_args(arguments)
    found = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        home = Path(folder)
        with NatsServer(home / "nats") as bus, S3Server(home / "s3") as store:
            rig = Rig.make(bus, store, home)
            asyncio.run(fill(rig, told.references))
            filled = rig.prefix
            for number in range(told.rounds):
                rates = {}
                for full in (True, False) if number % 2 else (False, True):
                    waiting(rig, told.events, seed=10 * number + 10 + full, slots=AT_ONCE)
                    if full:
                        rig.environment["ARCHIVER_PREFIX"] = filled
                    moments, _ = drained(rig)
                    rates[full] = len(moments) / (moments[-1] - moments[0])
                found.append(rates[True] / rates[False])
    note = f"{told.references:,} references, {told.events:,} events a round"
    is_full = told.references >= FULL and told.rounds >= 5
    return [
        Row("beside 200,000 references, of the rate in an empty archive", found, bar=0.95, note=note, is_full=is_full)
    ]


async def fill(rig: Rig, count: int) -> None:
    """Write that many small objects where the archive keeps references, by days and agents as it does."""
    store = DirectStore(access_to(rig.store, prefix="", read_timeout_s=60.0))
    free = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with free:
            day = f"2025-{number % 12 + 1:02}-{number // 12 % 28 + 1:02}"
            key = f"{rig.prefix}/refs/v1/repo=fleet-{number % 50}/agent=coach/date={day}/{uuid.uuid4().hex}.json"
            await replace(store, key, b"{}" * 400)

    for start in range(0, count, 1000):
        await asyncio.gather(*(one(number) for number in range(start, min(count, start + 1000))))
    await store.close()
