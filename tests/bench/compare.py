"""Is this commit slower than another? `python -m tests.bench.compare BASE`: both in turns, by ratio, in one run.

The other commit gets a worktree and an environment of its own in a temporary folder. What is compared is what users
wait for: a worker's rate, CPU and memory on small and large bundles, a listing, `contracts check` of one payload and
of many. Ends with 1 where this one is worse by a twentieth in the median and worse in every round: a busy machine makes
neither alone.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from archiver.dev_servers import NatsServer, S3Server
from contracts.toolkit import Exit
from tests.bench.large_bundles import make_round
from tests.bench.listing import fill
from tests.bench.process import Took, run
from tests.bench.rows import Row, is_worse, ratios
from tests.bench.small_bundles import archived, environment, made
from tests.bench.throughput import write_payloads
from tests.e2e.kit import BIN, CHECKOUT, Kit
from tests.faults.kit import Rig

SLACK = 0.05
RUNS_OF_ONE_PAYLOAD = 5
# Bundles and the MiB of each: twenty at a time, and one that fills no memory.
LARGE = {"20 of 16 MiB": (20, 16), "one of 1 GiB": (1, 1024)}
# Runs in either tree: the settings, the wiring and the store's port have kept their names.
LIST = """
import asyncio, sys, time
from archiver.settings import load_settings
from archiver.wiring import open_store

async def main():
    async with open_store(load_settings()) as store:
        start, count = time.perf_counter(), 0
        async for _ in store.list("refs/"):
            count += 1
        assert count == int(sys.argv[1]), count
        sys.stderr.write(str(time.perf_counter() - start))

asyncio.run(main())
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("base", help="the commit to compare with")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--payloads", type=int, default=50_000)
    parser.add_argument("--keys", type=int, default=20_000, help="references in the archive that is listed")
    parser.add_argument("--large", choices=list(LARGE), nargs="*", default=list(LARGE))
    told = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(Exit.INTERRUPTED))  # or the worktree would stay
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, checked_out(told.base, Path(folder)) as base:
        costs = measured({"base": base, "this": BIN}, Path(folder), told)
    worse = []
    for what, sides in costs.items():
        found = ratios(sides["this"], sides["base"])
        print(Row(f"{what}, this ÷ {told.base}", found).line())
        if is_worse(found, SLACK):
            worse.append(what)
    if worse:
        sys.exit(f"worse than {told.base}: {', '.join(worse)}")


@contextmanager
def checked_out(commit: str, home: Path) -> Iterator[Path]:
    """Check a commit out and set it up; yields where its commands are."""
    tree = home / "base"
    subprocess.run(["git", "worktree", "add", "--quiet", "--detach", tree, commit], cwd=CHECKOUT, check=True)
    try:
        subprocess.run(["make", ".venv/.ready"], cwd=tree, check=True)
        yield tree / ".venv" / "bin"
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", tree], cwd=CHECKOUT, check=True)


def measured(sides: dict[str, Path], home: Path, told: argparse.Namespace) -> dict[str, dict[str, list[float]]]:
    """Return what each side needs, round by round: seconds, and MiB of memory."""
    costs: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    lines, one, log = home / "payloads.jsonl", home / "payload.jsonl", home / "log"
    write_payloads(lines, told.payloads)
    write_payloads(one, 1)
    with NatsServer(home / "nats") as bus, S3Server(home / "s3") as store:
        rig = Rig.make(bus, store, home)
        asyncio.run(fill(store, "listed", told.keys, told.keys // 20))
        for number in range(told.rounds):
            for turn, (side, commands) in enumerate(sorted(sides.items(), reverse=bool(number % 2))):
                worked = archived(rig, made(told.events, seed=number), 2 * number + turn, commands / "archiver")
                check = [commands / "contracts", "check"]
                many = run([*check, "--jsonl", lines], log=log)
                single = [run([*check, one], log=log).wall_s for _ in range(RUNS_OF_ONE_PAYLOAD)]
                costs["worker, time for an event"][side].append(1 / worked.cost.rate)
                costs["worker, CPU for an event"][side].append(worked.cost.cpu_s)
                costs["worker, peak memory"][side].append(worked.peak_mib)
                listed = run([commands / "python", "-c", LIST, str(told.keys)], log=log, env=listing(rig))
                costs[f"listing {told.keys:,} keys"][side].append(float(log.read_text("utf-8")))
                costs[f"listing {told.keys:,} keys, CPU with its start"][side].append(listed.cpu_s)
                costs["contracts check --jsonl"][side].append(many.wall_s)
                costs["contracts check of one payload"][side].append(min(single))
    for number in range(told.rounds):
        for side, commands in sorted(sides.items(), reverse=bool(number % 2)):
            for what in told.large:
                took = large(*LARGE[what], number, commands / "archiver")
                costs[f"{what}, time"][side].append(took.wall_s)
                costs[f"{what}, CPU"][side].append(took.cpu_s)
                costs[f"{what}, peak memory"][side].append(took.peak_mib)
    return costs


def listing(rig: Rig) -> dict[str, str]:
    return environment(rig) | {"ARCHIVER_PREFIX": "listed"}


def large(bundles: int, mib: int, seed: int, archiver: Path) -> Took:
    """Have a worker archive large bundles, on servers of their own: what one side stored does not slow the other."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        home = Path(folder)
        with NatsServer(home / "nats") as nats, S3Server(home / "s3") as store:
            return make_round(Kit.make(nats, store, home), bundles, mib, seed, text=False).worked(archiver)


if __name__ == "__main__":
    main()
