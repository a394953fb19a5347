"""Benchmark: one process and several, on the same stream; events a second of each, in turns, and their ratio.

Each round has a stream of its own. The rate is that between the first and the last event, so the start of the
processes is not in it.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from archiver.dev_servers import NatsServer, S3Server
from tests.bench.draining import archived, waiting
from tests.bench.process import run
from tests.bench.rows import Row, ratios
from tests.bench.small_bundles import environment
from tests.e2e.kit import BIN
from tests.faults.kit import Rig

SLOTS = 16


def measure(arguments: list[str]) -> list[Row]:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    told = parser.parse_args(arguments)
    rates: dict[int, list[float]] = {1: [], told.workers: []}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        home = Path(folder)
        with NatsServer(home / "nats") as bus, S3Server(home / "s3") as store:
            rig = Rig.make(bus, store, home)
            for number in range(told.rounds):
                for workers, these in rates.items():
                    waiting(rig, told.events, seed=100 * workers + number, slots=SLOTS)
                    log = home / "worker.log"
                    run(
                        [BIN / "archiver", "run", "--until-idle", "--workers", str(workers)],
                        log=log,
                        env=environment(rig),
                    )
                    moments = archived(log)
                    assert len(moments) == told.events, f"{len(moments)} of {told.events} archived"
                    these.append(told.events / (moments[-1] - moments[0]))
    note = f"{told.events:,} events; the servers share the cores"
    return [
        Row(f"{told.workers} workers, of the rate of one", ratios(rates[told.workers], rates[1]), note=note),
        *(Row(f"{workers} worker(s)", these, "events/s", note=note) for workers, these in rates.items()),
    ]
