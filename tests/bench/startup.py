"""Benchmark: the whole process of `contracts check ONE_PAYLOAD` beside the smallest click program there can be.

Both run in an empty environment with the wheel's base install and nothing else, in turns, so that a busy machine
slows both. Prints medians, the ratio of those side by side and whether the bar holds; ends with 1 only where it
could not run.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

from tests.wheel import build_wheel, install

ROUNDS = 21
BAR = 2.5
"""Wall time of `contracts check` on one payload, in units of `python -c 'import click'`."""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        environment = install(build_wheel(home), home / "venv")
        (payload,) = environment.site_packages.glob("contracts/_fixtures/*.prepared/1/valid/spec-example.json")
        commands = {
            "contracts check ONE_PAYLOAD": [environment.contracts, "check", payload],
            "python -c 'import click'": [environment.python, "-c", "import click"],
        }
        seconds = {name: [] for name in commands}
        for turn in range(ROUNDS + 2):  # the first two write byte code and fill the page cache
            for name, command in commands.items():
                taken = _run(command, home)
                if turn > 1:
                    seconds[name].append(taken)
    for name, taken in seconds.items():
        print(f"{name:30} {median(taken) * 1000:7.1f} ms   (median of {ROUNDS}, best {min(taken) * 1000:.1f} ms)")
    ratios = sorted(ours / peer for ours, peer in zip(*seconds.values(), strict=True))
    ratio, low, high = median(ratios), ratios[ROUNDS // 4], ratios[-1 - ROUNDS // 4]
    print(f"ratio {ratio:.2f} (half between {low:.2f} and {high:.2f}); the bar is {BAR}: ", end="")
    print("holds" if ratio <= BAR else "DOES NOT HOLD")


def _run(command: list[str | Path], cwd: Path) -> float:
    start = perf_counter()
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    taken = perf_counter() - start
    if done.returncode != 0:
        sys.exit(f"{command} failed:\n{done.stdout}{done.stderr}")
    return taken


if __name__ == "__main__":
    main()
