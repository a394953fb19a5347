"""Benchmark: a store that is far away, which every request reaches 50 ms later.

An event asks the store several times in series; how long it takes is measured with one slot, and as many slots allow
as many times that rate. Which part of it does the worker reach?
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from archiver.dev_servers import NatsServer, S3Server
from tests.bench.draining import drained, waiting
from tests.bench.rows import Row, ratios
from tests.faults.kit import Rig
from tests.faults.proxy import LOOPBACK, Delay, Proxy

FAR = Delay(up_s=0.05)
EVENTS_A_SLOT = 30


def measure(arguments: list[str]) -> list[Row]:
    parser = argparse.ArgumentParser()
    parser.add_argument("--slots", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    told = parser.parse_args(arguments)
    rates: dict[int, list[float]] = {1: [], told.slots: []}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        home = Path(folder)
        with NatsServer(home / "nats") as bus, S3Server(home / "s3") as store, Proxy(store.port) as link:
            rig = Rig.make(bus, store, home)
            rig.environment["AWS_ENDPOINT_URL_S3"] = f"http://{LOOPBACK}:{link.port}"
            link.fault = FAR
            for number in range(told.rounds):
                for slots, these in rates.items():
                    these.append(far_away(rig, slots, seed=1000 * slots + number))
    allowed = [told.slots * one for one in rates[1]]
    note = f"{told.slots} slots"
    return [
        Row(
            "store 50 ms away, of what concurrency ÷ latency allows",
            ratios(rates[told.slots], allowed),
            bar=0.8,
            note=note,
            is_full=told.rounds >= 5,
        ),
        Row("store 50 ms away, one event alone", [1000 / rate for rate in rates[1]], "ms"),
        Row("store 50 ms away", rates[told.slots], "events/s", note=note),
    ]


def far_away(rig: Rig, slots: int, *, seed: int) -> float:
    """Return events a second, but for the first and the last tenth: growing and running dry."""
    waiting(rig, slots * EVENTS_A_SLOT, seed=seed, slots=slots)
    moments, _ = drained(rig)
    first, last = moments[len(moments) // 10], moments[-len(moments) // 10]
    return 0.8 * len(moments) / (last - first)
