"""Benchmark: 200,000 payloads, a line each, through `contracts check --jsonl` beside a bare loop of their libraries.

Ours applies every rule and names each violation, in one process and in two; the peer parses with json.loads and lists
the errors of the same JSON Schema with jsonschema-rs, and does nothing else. In turns.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path
from typing import Any

from contracts import load_contract
from contracts.fixtures.agreement import agree
from contracts.fixtures.corpus import cases
from tests.bench.process import Took, run
from tests.bench.rows import Row, ratios

PAYLOADS = 200_000
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


def measure(arguments: list[str]) -> list[Row]:
    parser = argparse.ArgumentParser()
    parser.add_argument("--payloads", type=int, default=PAYLOADS)
    parser.add_argument("--rounds", type=int, default=5)
    told = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        log, lines, tenth = (Path(folder) / name for name in ("log", "payloads.jsonl", "tenth.jsonl"))
        write_payloads(lines, told.payloads)
        write_payloads(tenth, told.payloads // 10)
        ours = [Path(sys.executable).parent / "contracts", "check", "--jsonl"]
        peer = [sys.executable, "-c", BARE_LOOP, load_contract(CONTRACT).folder / "schema.json"]
        arms: dict[str, list[str | Path]] = {"peer": peer, "one": ours, "two": [*ours, "--jobs", "2"]}
        took: dict[str, list[Took]] = {name: [] for name in arms}
        for _ in range(told.rounds):
            for name, command in arms.items():
                took[name].append(run([*command, lines], log=log))
        small = {name: run([*command, tenth], log=log).peak_mib for name, command in arms.items()}
    seconds = {name: [each.wall_s for each in these] for name, these in took.items()}
    peak = {name: max(each.peak_mib for each in these) for name, these in took.items()}
    size = {"note": f"{told.payloads:,} payloads", "is_full": told.payloads >= PAYLOADS and told.rounds >= 5}
    return [
        Row("JSONL check, of the rate of a bare loop", ratios(seconds["peer"], seconds["one"]), bar=0.12, **size),
        Row(
            "JSONL check with --jobs 2, of the rate of a bare loop",
            ratios(seconds["peer"], seconds["two"]),
            bar=0.24,
            **size,
        ),
        Row("JSONL check with --jobs 2, of the rate of one process", ratios(seconds["one"], seconds["two"]), **size),
        *(
            Row(
                f"JSONL check, {name}: memory of that for a tenth",
                [peak[name] / small[name]],
                bar=1.1,
                at_most=True,
                note=f"{peak[name]:.0f} MiB",
                is_full=size["is_full"],
            )
            for name in ("one", "two")
        ),
        *(
            Row(f"JSONL check: {name}", [told.payloads / each for each in these], "payloads/s", **size)
            for name, these in seconds.items()
        ),
    ]


def write_payloads(path: Path, count: int) -> None:
    """Write so many valid payloads: each schedule of a fleet in turn, each event with a time and a size of its own."""
    start = datetime(2026, 6, 17, 9, 0, 12, tzinfo=UTC)
    with path.open("w", encoding="utf-8") as file:
        for number, payload in zip(range(count), cycle(_fleet()), strict=False):
            moment = (start + timedelta(seconds=number)).isoformat().replace("+00:00", "Z")
            told = payload | {"occurred_at": moment, "bundle": payload["bundle"] | {"bytes": 1 + number}}
            file.write(json.dumps(told, ensure_ascii=False) + "\n")


def _fleet() -> list[dict[str, Any]]:
    """Return an event of each of 2,050 schedules: those of the valid fixtures, each for 50 repositories."""
    contract, fleet = load_contract(CONTRACT), []
    for number in range(50):
        for case in cases(CONTRACT, "valid"):
            payload = json.loads(case.raw)
            payload |= {"repo": f"{payload['repo']}-{number}", "root": f"{payload['root']}-{number}"}
            agree(payload, contract)
            fleet.append(payload)
    return fleet
