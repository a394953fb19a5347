"""Benchmark: a backlog drained by one worker, from first to last; and an archive that is full already.

Prints events a second in each tenth and the worker's memory in it; a worker that slows down or grows would show there.
With --references N, rounds in turns: an archive with that many references, and an empty one.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import tempfile
import threading
import time
import uuid
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from statistics import median

import obstore
from obstore.store import S3Store

from archiver.embedded import NatsServer, S3Server
from tests.bench.latency import archived, waiting
from tests.e2e.kit import BIN
from tests.faults.kit import Rig

AT_ONCE = 64
SAMPLE_S = 0.25
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--references", type=int, default=0, help="compare with an archive that has so many")
    parser.add_argument("--rounds", type=int, default=5, help="of that comparison, of a tenth of the events each")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        home = Path(folder)
        with NatsServer(home / "nats") as nats, S3Server(home / "s3") as store:
            rig = Rig.make(nats, store, home)
            from_first_to_last(rig, told.events)
            if told.references:
                beside_many(rig, told.references, events=told.events // 10, rounds=told.rounds)


def from_first_to_last(rig: Rig, count: int) -> None:
    waiting(rig, count, seed=1, slots=AT_ONCE)
    moments, memory = drained(rig)
    tenth = len(moments) // 10
    rates, peaks = [], []
    for start in range(0, 10 * tenth, tenth):
        first, last = moments[start], moments[start + tenth - 1]
        rates.append((tenth - 1) / (last - first))
        peaks.append(max((mib for at, mib in memory if first <= at <= last), default=0.0))
    print(
        f"{count:,} events, by tenths: events/s {[round(rate) for rate in rates]}, MiB {[round(mib) for mib in peaks]}"
    )
    print(f"last tenth / second: rate {rates[-1] / rates[1]:.2f}, memory {peaks[-1] / peaks[1]:.2f}")


def beside_many(rig: Rig, references: int, *, events: int, rounds: int) -> None:
    ratios = []
    asyncio.run(fill(rig, references))
    filled = rig.prefix
    for number in range(rounds):
        rates = {}
        for full in (True, False) if number % 2 else (False, True):
            waiting(rig, events, seed=10 * number + 10 + full, slots=AT_ONCE)
            if full:
                rig.environment["ARCHIVER_PREFIX"] = filled
            moments, _ = drained(rig)
            rates[full] = len(moments) / (moments[-1] - moments[0])
        ratios.append(rates[True] / rates[False])
    print(
        f"beside {references:,} references, of the rate in an empty archive: {median(ratios):.2f} "
        f"({min(ratios):.2f} to {max(ratios):.2f}), {rounds} rounds in turns of {events:,} events"
    )


def drained(rig: Rig) -> tuple[list[float], list[tuple[float, float]]]:
    """Have one worker drain the stream; return when each event was archived, and (when, MiB) of its memory."""
    log = rig.home / "worker.log"
    with log.open("wb") as errors:
        worker = subprocess.Popen(
            [BIN / "archiver", "run", "--until-idle"],
            env=os.environ | rig.environment,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
    memory: list[tuple[float, float]] = []
    ended = threading.Event()
    watching = threading.Thread(target=watch, args=(worker.pid, memory, ended))
    watching.start()
    status = worker.wait()
    ended.set()
    watching.join()
    assert status == 0, log.read_text("utf-8")[-1000:]
    return archived(log), memory


def watch(pid: int, memory: list[tuple[float, float]], ended: threading.Event) -> None:
    pages = Path(f"/proc/{pid}/statm")
    while not ended.wait(SAMPLE_S):
        with suppress(OSError, IndexError):
            memory.append((time.time(), int(pages.read_text("ascii").split()[1]) * PAGE_BYTES / 2**20))


async def fill(rig: Rig, count: int) -> None:
    """Write that many small objects where the archive keeps references, by days and agents as it does."""
    store = S3Store(
        rig.store.bucket,
        config={
            "aws_endpoint_url_s3": rig.store.url,
            "region": "us-east-1",
            "access_key_id": rig.store.access_key,
            "secret_access_key": rig.store.secret_key,
        },
        client_options={"allow_http": True, "timeout": timedelta(seconds=60)},
    )
    free = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with free:
            day = f"2025-{number % 12 + 1:02}-{number // 12 % 28 + 1:02}"
            key = f"{rig.prefix}/refs/v1/repo=fleet-{number % 50}/agent=coach/date={day}/{uuid.uuid4().hex}.json"
            await obstore.put_async(store, key, b"{}" * 400)

    for start in range(0, count, 1000):
        await asyncio.gather(*(one(number) for number in range(start, min(count, start + 1000))))


if __name__ == "__main__":
    main()
