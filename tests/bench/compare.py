"""Is this commit slower than another? `python -m tests.bench.compare BASE`: both in turns, by ratio, in one run.

The other commit gets a worktree and an environment of its own in a temporary folder. What is compared is what users
wait for: a worker's rate and CPU on small bundles, `contracts check` of one payload and of many. Ends with 1 where this
one is worse by a tenth in the median and worse in every round: a busy machine makes neither alone.
"""

from __future__ import annotations

import argparse
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
from tests.bench.process import run
from tests.bench.rows import Row, is_worse, ratios
from tests.bench.small_bundles import archived, made
from tests.bench.throughput import write_payloads
from tests.e2e.kit import BIN, CHECKOUT
from tests.faults.kit import Rig

SLACK = 0.1
RUNS_OF_ONE_PAYLOAD = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("base", help="the commit to compare with")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--payloads", type=int, default=50_000)
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
    """Return what each side needs, round by round: seconds, all of them."""
    costs: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    lines, one, log = home / "payloads.jsonl", home / "payload.jsonl", home / "log"
    write_payloads(lines, told.payloads)
    write_payloads(one, 1)
    with NatsServer(home / "nats") as bus, S3Server(home / "s3") as store:
        rig = Rig.make(bus, store, home)
        for number in range(told.rounds):
            for turn, (side, commands) in enumerate(sorted(sides.items(), reverse=bool(number % 2))):
                worked = archived(rig, made(told.events, seed=number), 2 * number + turn, commands / "archiver")
                check = [commands / "contracts", "check"]
                many = run([*check, "--jsonl", lines], log=log)
                single = [run([*check, one], log=log).wall_s for _ in range(RUNS_OF_ONE_PAYLOAD)]
                costs["worker, time for an event"][side].append(1 / worked.cost.rate)
                costs["worker, CPU for an event"][side].append(worked.cost.cpu_s)
                costs["contracts check --jsonl"][side].append(many.wall_s)
                costs["contracts check of one payload"][side].append(min(single))
    return costs


if __name__ == "__main__":
    main()
