"""Benchmark: 100,000 payloads, a line each, through `contracts check --jsonl` beside a bare loop of their libraries.

Ours applies every rule and names each violation; the peer parses with json.loads and lists the errors of the
same JSON Schema with jsonschema-rs, and does nothing else. In turns; prints medians, their ratio and peak memory.
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

from contracts import load_contract
from contracts.corpus import cases

PAYLOADS = 100_000
ROUNDS = 5
CONTRACT = "kaizen.schedule.prepared@1"

BARE_LOOP = """
import json, sys
import jsonschema_rs
validator = jsonschema_rs.Draft202012Validator(json.load(open(sys.argv[1])), validate_formats=True)
broken = 0
for line in open(sys.argv[2], "rb"):
    broken += any(True for _ in validator.iter_errors(json.loads(line)))
sys.exit(broken and 1)
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "payloads.jsonl"
        write_payloads(lines)
        schema = load_contract(CONTRACT).folder / "schema.json"
        commands: dict[str, list[str | Path]] = {
            "contracts check --jsonl": [Path(sys.executable).parent / "contracts", "check", "--jsonl", lines],
            "json.loads + iter_errors": [sys.executable, "-c", BARE_LOOP, schema, lines],
        }
        seconds = {name: [] for name in commands}
        peak_kib = dict.fromkeys(commands, 0)
        for _ in range(ROUNDS):
            for name, command in commands.items():
                taken, memory = _run(command)
                seconds[name].append(taken)
                peak_kib[name] = max(peak_kib[name], memory)
        print(f"{PAYLOADS:,} payloads, {lines.stat().st_size / 1e6:.0f} MB, median of {ROUNDS}")
    for name, taken in seconds.items():
        rate = PAYLOADS / median(taken)
        print(f"{name:26} {median(taken):6.2f} s   {rate:8,.0f} a second   peak {peak_kib[name] / 1024:5.1f} MiB")
    ours, peer = (median(taken) for taken in seconds.values())
    print(f"ratio {ours / peer:.2f}")


def write_payloads(path: Path) -> None:
    """Write payloads made of the valid fixtures, no two alike: each has a time of its own."""
    valid = [json.loads(case.raw) for case in cases(CONTRACT, "valid")]
    start = datetime(2026, 6, 17, 9, 0, 12, tzinfo=UTC)
    with path.open("w", encoding="utf-8") as file:
        for number, payload in zip(range(PAYLOADS), cycle(valid), strict=False):
            moment = (start + timedelta(seconds=number)).isoformat().replace("+00:00", "Z")
            file.write(json.dumps(payload | {"occurred_at": moment}, ensure_ascii=False) + "\n")


def _run(command: list[str | Path]) -> tuple[float, int]:
    """Return wall seconds and peak memory in KiB."""
    start = perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=tempfile.gettempdir())
    _, status, usage = os.wait4(process.pid, 0)
    taken = perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{command[:3]} ended with {process.returncode}")
    return taken, usage.ru_maxrss


if __name__ == "__main__":
    main()
