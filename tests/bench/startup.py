"""Benchmark: the whole process of `contracts check ONE_PAYLOAD` beside the smallest click program there can be.

Both run in an empty environment with the wheel's base install and nothing else, in turns, so that a busy machine
slows both.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from tests.bench.rows import Row, ratios
from tests.support.wheel import build_wheel, install


def measure(arguments: list[str]) -> list[Row]:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=21)
    told = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        environment = install(build_wheel(home), home / "venv")
        (payload,) = environment.site_packages.glob("contracts/_fixtures/*.prepared/1/valid/spec-example.json")
        commands = {
            "contracts check ONE_PAYLOAD": [environment.contracts, "check", payload],
            "python -c 'import click'": [environment.python, "-c", "import click"],
        }
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        for turn in range(told.rounds + 2):  # the first two write byte code and fill the page cache
            for name, command in commands.items():
                taken = _run(command, home)
                if turn > 1:
                    seconds[name].append(taken)
    full = told.rounds >= 5
    return [
        Row(
            "`contracts check` of one payload, of the time of `import click`",
            ratios(*seconds.values()),
            bar=2.5,
            at_most=True,
            is_full=full,
        ),
        *(Row(name, [1000 * each for each in these], "ms") for name, these in seconds.items()),
    ]


def _run(command: list[str | Path], cwd: Path) -> float:
    start = perf_counter()
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    taken = perf_counter() - start
    if done.returncode != 0:
        sys.exit(f"{command} failed:\n{done.stdout}{done.stderr}")
    return taken
