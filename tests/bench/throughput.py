"""Benchmark: 200,000 payloads, a line each, through `contracts check --jsonl` beside a bare loop of their libraries.

Ours applies every rule and names each violation, in one process and in two; the peer parses with json.loads and lists
the errors of the same JSON Schema with jsonschema-rs, and does nothing else. In turns. Prints medians, the ratio to
the peer of the same round with its spread, and the peak memory of the largest process, here and for a tenth.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import NamedTuple

from contracts import load_contract
from contracts.corpus import cases

PAYLOADS = 200_000
ROUNDS = 5
CONTRACT = "kaizen.schedule.prepared@1"

PEER = "json.loads + iter_errors"
BAR = 8.3
"""Time of a payload in one process, in units of the peer's; half of it in two."""

BARE_LOOP = """
import json, sys
import jsonschema_rs
validator = jsonschema_rs.Draft202012Validator(json.load(open(sys.argv[1])), validate_formats=True)
broken = 0
for line in open(sys.argv[2], "rb"):
    broken += any(True for _ in validator.iter_errors(json.loads(line)))
sys.exit(broken and 1)
"""


class Run(NamedTuple):
    """One process and those that it started: wall seconds, CPU seconds, peak memory of the largest in KiB."""

    seconds: float
    cpu: float
    peak_kib: int


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        lines, tenth = Path(folder) / "payloads.jsonl", Path(folder) / "tenth.jsonl"
        write_payloads(lines, PAYLOADS)
        write_payloads(tenth, PAYLOADS // 10)
        ours = [Path(sys.executable).parent / "contracts", "check", "--jsonl"]
        peer = [sys.executable, "-c", BARE_LOOP, load_contract(CONTRACT).folder / "schema.json"]
        arms: dict[str, list[str | Path]] = {PEER: peer, "contracts check": ours, "… --jobs 2": [*ours, "--jobs", "2"]}
        runs: dict[str, list[Run]] = {name: [] for name in arms}
        for _ in range(ROUNDS):
            for name, command in arms.items():
                runs[name].append(_run([*command, lines]))
        of_a_tenth = {name: _run([*command, tenth]).peak_kib for name, command in arms.items()}
        print(f"{PAYLOADS:,} payloads, {lines.stat().st_size / 1e6:.0f} MB, {ROUNDS} alternating rounds")
    for name, taken in runs.items():
        seconds = median(each.seconds for each in taken)
        peak = max(each.peak_kib for each in taken)
        print(
            f"{name:26} {seconds:6.2f} s {PAYLOADS / seconds:8,.0f} a second  CPU {median(e.cpu for e in taken):6.2f} s"
            f"  peak {peak / 1024:5.1f} MiB ({of_a_tenth[name] / 1024:.1f} for a tenth)"
        )
    one, two = (name for name in arms if name != PEER)
    _compare("one process, time", runs[one], runs[PEER], "seconds", BAR)
    _compare("one process, CPU", runs[one], runs[PEER], "cpu", BAR)
    _compare("two processes, time", runs[two], runs[PEER], "seconds", BAR / 2)


def _compare(what: str, ours: list[Run], peer: list[Run], unit: str, bar: float) -> None:
    ratios = [getattr(mine, unit) / getattr(theirs, unit) for mine, theirs in zip(ours, peer, strict=True)]
    holds = "holds" if median(ratios) <= bar else "DOES NOT HOLD"
    print(
        f"{what:26} ratio {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}); the bar is {bar:.2f}: {holds}"
    )


def write_payloads(path: Path, count: int) -> None:
    """Write so many payloads made of the valid fixtures, no two alike: each has a time of its own."""
    valid = [json.loads(case.raw) for case in cases(CONTRACT, "valid")]
    start = datetime(2026, 6, 17, 9, 0, 12, tzinfo=UTC)
    with path.open("w", encoding="utf-8") as file:
        for number, payload in zip(range(count), cycle(valid), strict=False):
            moment = (start + timedelta(seconds=number)).isoformat().replace("+00:00", "Z")
            file.write(json.dumps(payload | {"occurred_at": moment}, ensure_ascii=False) + "\n")


def _run(command: list[str | Path]) -> Run:
    start = perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=tempfile.gettempdir())
    _, status, usage = os.wait4(process.pid, 0)
    taken = perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{command[:3]} ended with {process.returncode}")
    return Run(taken, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)


if __name__ == "__main__":
    main()
