"""Benchmark: a store that slows down and recovers: 5 ms, then 250 ms, then 5 ms again.

How long does it take until the worker does 0.8 of what it settles at while the store is slow, how long afterwards until
it does 0.8 of what it did before, and how many messages are handed back?
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from archiver.dev_servers import NatsServer, S3Server
from tests.bench.draining import archived, waiting
from tests.bench.rows import Row
from tests.faults.kit import Rig
from tests.faults.proxy import LOOPBACK, Delay, Proxy

NEAR, SLOW = Delay(up_s=0.005), Delay(up_s=0.25)
NEAR_S, SLOW_S, AGAIN_S = 8, 15, 15
SLOTS = 32


def measure(arguments: list[str]) -> list[Row]:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    told = parser.parse_args(arguments)
    down, up, failures, note = [], [], [], ""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        home = Path(folder)
        with NatsServer(home / "nats") as bus, S3Server(home / "s3") as store, Proxy(store.port) as link:
            rig = Rig.make(bus, store, home)
            rig.environment["AWS_ENDPOINT_URL_S3"] = f"http://{LOOPBACK}:{link.port}"
            for number in range(told.rounds):
                rates, handed_back = one_round(rig, link, seed=7 + number)
                near, slow, again = rates[:NEAR_S], rates[NEAR_S : NEAR_S + SLOW_S], rates[NEAR_S + SLOW_S :]
                # The first two seconds are of events that began before.
                down.append(2 + reached(slow[2:], 0.8 * median(slow[-5:])))
                up.append(reached(again, 0.8 * median(near[3:])))
                failures.append(handed_back)
                note = f"the last round, events in each second: {' '.join(map(str, rates))}"
    full = told.rounds >= 5
    return [
        Row(
            "store slows down: seconds until the rate is steady",
            down,
            "s",
            bar=10,
            at_most=True,
            note=note,
            is_full=full,
        ),
        Row("store recovers: seconds until 0.8 of the rate before", up, "s", bar=10, at_most=True, is_full=full),
        Row("messages handed back meanwhile", failures, "messages", bar=0, at_most=True, is_full=full),
    ]


def one_round(rig: Rig, link: Proxy, *, seed: int) -> tuple[list[int], int]:
    """Return events in each second, and how many messages were handed back."""
    link.fault = NEAR
    waiting(rig, 500 * (NEAR_S + AGAIN_S), seed=seed, slots=SLOTS)
    worker, began = rig.worker(), time.time()
    for fault, seconds in ((NEAR, NEAR_S), (SLOW, SLOW_S), (NEAR, AGAIN_S)):
        link.fault = fault
        time.sleep(seconds)
    rig.stop(worker)
    seconds_of = Counter(int(moment - began) for moment in archived(worker.err))
    handed_back = worker.err.read_text("utf-8").count('"retried"')
    return [seconds_of[second] for second in range(NEAR_S + SLOW_S + AGAIN_S)], handed_back


def reached(rates: Sequence[float], wanted: float) -> float:
    """Say in which second a rate was reached, the first being 1; infinite where it never was."""
    return next((float(number) for number, rate in enumerate(rates, 1) if rate >= wanted), math.inf)
