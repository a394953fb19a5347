"""Benchmark: one process and several, on the same stream; prints events a second of each, in turns, and their ratio.

Each round has a stream of its own. The rate is that between the first and the last event, so the start of the
processes is not in it.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from statistics import median

from archiver.embedded import NatsServer, S3Server
from tests.bench.latency import archived, waiting
from tests.bench.small_bundles import timed
from tests.e2e.kit import BIN
from tests.faults.kit import Rig

SLOTS = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=2000)
    parser.add_argument("--workers", type=int, nargs="*", default=[2])
    parser.add_argument("--rounds", type=int, default=5)
    told = parser.parse_args()
    rates: dict[int, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        home = Path(folder)
        with NatsServer(home / "nats") as nats, S3Server(home / "s3") as store:
            rig = Rig.make(nats, store, home)
            for number in range(told.rounds):
                for workers in (1, *told.workers):
                    waiting(rig, told.events, seed=100 * workers + number, slots=SLOTS)
                    log = home / "worker.log"
                    timed([BIN / "archiver", "run", "--until-idle", "--workers", str(workers)], rig, log)
                    moments = archived(log)
                    assert len(moments) == told.events, f"{len(moments)} of {told.events} archived"
                    rates.setdefault(workers, []).append(told.events / (moments[-1] - moments[0]))
    print(f"{told.events:,} events, median of {told.rounds} rounds in turns")
    for workers, these in rates.items():
        ratios = [rate / one for rate, one in zip(these, rates[1], strict=True)]
        spread = f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"{workers:3} workers: {median(these):5.0f} events/s, {spread} of one")


if __name__ == "__main__":
    main()
