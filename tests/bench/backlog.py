"""Benchmark: a backlog drained by one worker, from first to last: one that slows down or grows would show there."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from archiver.dev_servers import NatsServer, S3Server
from tests.bench.draining import drained, waiting
from tests.bench.rows import Row
from tests.faults.kit import Rig

AT_ONCE = 64
FULL = 100_000


def measure(arguments: list[str]) -> list[Row]:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=FULL)
    parser.add_argument("--rounds", type=int, default=3, help="a machine's own speed may change within one")
    told = parser.parse_args(arguments)
    rates, peaks = zip(*(by_tenths(told.events, number) for number in range(told.rounds)), strict=True)
    tenths = "; ".join(", ".join(f"{rate:.0f}" for rate in each) for each in rates)
    full = told.events >= FULL and told.rounds >= 3
    return [
        Row(
            "backlog, last tenth of the rate of the second",
            [each[-1] / each[1] for each in rates],
            bar=0.95,
            note=f"{told.events:,} events; by tenths {tenths} events/s",
            is_full=full,
        ),
        Row(
            "backlog, memory in the last tenth of that in the second",
            [each[-1] / each[1] for each in peaks],
            bar=1.1,
            at_most=True,
            note=f"the last round, by tenths {', '.join(f'{mib:.0f}' for mib in peaks[-1])} MiB",
            is_full=full,
        ),
    ]


def by_tenths(events: int, number: int) -> tuple[list[float], list[float]]:
    """Drain so many events on servers of their own; return events a second and the peak of memory in MiB."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        home = Path(folder)
        with NatsServer(home / "nats") as bus, S3Server(home / "s3") as store:
            rig = Rig.make(bus, store, home)
            waiting(rig, events, seed=1 + number, slots=AT_ONCE)
            moments, memory = drained(rig)
    assert len(moments) == events, f"{len(moments)} of {events} archived"
    tenth = len(moments) // 10
    rates, peaks = [], []
    for start in range(0, 10 * tenth, tenth):
        first, last = moments[start], moments[start + tenth - 1]
        rates.append((tenth - 1) / (last - first))
        peaks.append(max((mib for at, mib in memory if first <= at <= last), default=0.0))
    return rates, peaks
