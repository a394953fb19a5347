"""Benchmark: a store that is far away, and one that slows down and recovers.

Far away: every request arrives 50 ms later. An event asks the store several times in series; how long it takes is
measured with one slot, and as many slots allow as many times that rate; prints which part of it the worker reaches.
Slowing down: 5 ms, then 250 ms, then 5 ms again; prints events a second, second by second, and how long it takes until
the rate is what it was.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import tempfile
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from statistics import median

from archiver.embedded import NatsServer, S3Server
from tests.bench.small_bundles import forget, made, timed
from tests.e2e.kit import BIN
from tests.faults import publisher
from tests.faults.kit import Rig
from tests.faults.proxy import LOOPBACK, Delay, Proxy

FAR, NEAR, SLOW = Delay(up_s=0.05), Delay(up_s=0.005), Delay(up_s=0.25)
EVENTS_A_SLOT = 30


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--slots", type=int, nargs="*", default=[16])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slow", type=float, default=10, help="seconds for which the store is slow")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        home = Path(folder)
        with NatsServer(home / "nats") as nats, S3Server(home / "s3") as store, Proxy(store.port) as link:
            rig = Rig.make(nats, store, home)
            rig.environment["AWS_ENDPOINT_URL_S3"] = f"http://{LOOPBACK}:{link.port}"
            link.fault = FAR
            rates: dict[int, list[float]] = {}
            for number in range(told.rounds):
                for slots in (1, *told.slots):
                    rates.setdefault(slots, []).append(far_away(rig, slots, seed=1000 * slots + number))
            alone = rates.pop(1)
            print(f"store {FAR.up_s * 1000:.0f} ms further away, median of {told.rounds} rounds in turns")
            print(f"one event takes {1000 / median(alone):.0f} ms")
            for slots, these in rates.items():
                parts = [rate / (slots * one) for rate, one in zip(these, alone, strict=True)]
                print(
                    f"{slots:3} slots: {median(these):4.0f} events/s, {median(parts):.2f} of what they allow "
                    f"({min(parts):.2f} to {max(parts):.2f})"
                )
            slowing_down(rig, link, slow_s=told.slow)


def far_away(rig: Rig, slots: int, *, seed: int) -> float:
    """Return events a second, but for the first and the last tenth: growing and running dry."""
    waiting(rig, slots * EVENTS_A_SLOT, seed=seed, slots=slots)
    log = rig.home / "worker.log"
    timed([BIN / "archiver", "run", "--until-idle"], rig, log)
    moments = archived(log)
    first, last = moments[len(moments) // 10], moments[-len(moments) // 10]
    return 0.8 * len(moments) / (last - first)


def slowing_down(rig: Rig, link: Proxy, *, slow_s: float) -> None:
    link.fault = NEAR
    waiting(rig, 4000, seed=7, slots=32)
    worker = rig.worker()
    began = time.time()
    time.sleep(8)
    link.fault = SLOW
    time.sleep(slow_s)
    link.fault = NEAR
    time.sleep(12)
    rig.stop(worker)
    seconds = Counter(int(moment - began) for moment in archived(worker.err))
    rates = [seconds[second] for second in range(int(20 + slow_s))]
    usual, back = median(rates[3:8]), rates[int(8 + slow_s) :]
    print(f"events a second while near, slow from second 8 on for {slow_s:.0f} s, near again: {rates}")
    again = next((number for number, rate in enumerate(back) if rate >= 0.8 * usual), None)
    print(f"{usual:.0f} events/s before; 0.8 of that again in second {again} after the end of it")
    failures = worker.err.read_text("utf-8").count('"retried"')
    print(f"messages handed back: {failures}")


def waiting(rig: Rig, count: int, *, seed: int, slots: int) -> None:
    """Make a stream in which `count` events wait, and an archive that knows none of them."""
    rig.prefix = f"bench-{seed}"
    rig.environment |= {"ARCHIVER_PREFIX": rig.prefix, "ARCHIVER_ACK_WAIT_S": "60", "ARCHIVER_SLOTS": str(slots)}
    asyncio.run(forget(rig))
    rig.init()
    asyncio.run(publisher.publish(rig.nats.url, rig.spool, made(count, seed=seed), per_s=math.inf, within_s=120))


def archived(log: Path) -> list[float]:
    """Return when each event was archived, in order."""
    told = (json.loads(line) for line in log.read_text("utf-8").splitlines())
    return sorted(datetime.fromisoformat(each["timestamp"]).timestamp() for each in told if each["event"] == "archived")


if __name__ == "__main__":
    main()
