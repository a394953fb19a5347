"""Benchmark: a backlog drained by one worker, from first to last: one that slows down or grows would show there."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from archiver.embedded import NatsServer, S3Server
from tests.bench.draining import drained, waiting
from tests.bench.rows import Row
from tests.faults.kit import Rig

AT_ONCE = 64
FULL = 100_000


def measure(arguments: list[str]) -> list[Row]:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=FULL)
    told = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        home = Path(folder)
        with NatsServer(home / "nats") as bus, S3Server(home / "s3") as store:
            rig = Rig.make(bus, store, home)
            waiting(rig, told.events, seed=1, slots=AT_ONCE)
            moments, memory = drained(rig)
    assert len(moments) == told.events, f"{len(moments)} of {told.events} archived"
    tenth = len(moments) // 10
    rates, peaks = [], []
    for start in range(0, 10 * tenth, tenth):
        first, last = moments[start], moments[start + tenth - 1]
        rates.append((tenth - 1) / (last - first))
        peaks.append(max((mib for at, mib in memory if first <= at <= last), default=0.0))
    by_tenths = f"{told.events:,} events; by tenths {', '.join(f'{rate:.0f}' for rate in rates)} events/s"
    in_mib = f"by tenths {', '.join(f'{mib:.0f}' for mib in peaks)} MiB"
    full = told.events >= FULL
    return [
        Row(
            "backlog, last tenth of the rate of the second",
            [rates[-1] / rates[1]],
            bar=0.95,
            note=by_tenths,
            is_full=full,
        ),
        Row(
            "backlog, memory in the last tenth of that in the second",
            [peaks[-1] / peaks[1]],
            bar=1.1,
            at_most=True,
            note=in_mib,
            is_full=full,
        ),
    ]
