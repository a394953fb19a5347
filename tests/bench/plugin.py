"""What the pytest plugin costs a project that does not use it: `pytest --co` with it and without it, side by side."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from importlib.metadata import entry_points
from pathlib import Path

from tests.bench.rows import Row, ratios

FILES, TESTS_A_FILE, ROUNDS = 20, 20, 21
ARMS = {"with": [], "without": ["-p", "no:contracts"]}


def collect(project: Path, *arguments: str) -> float:
    """Collect a project in a new process, and return the seconds that it took; other plugins would only blur it."""
    others = {each.name for each in entry_points(group="pytest11")} - {"contracts"}
    blocked = [word for name in sorted(others) for word in ("-p", f"no:{name}")]
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *blocked, *arguments]
    started = time.perf_counter()
    subprocess.run(command, cwd=project, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def measure(_arguments: list[str]) -> list[Row]:
    with tempfile.TemporaryDirectory() as home:
        project = Path(home)
        (project / "pyproject.toml").write_text('[project]\nname = "other"\n')
        for number in range(FILES):
            tests = "\n".join(f"def test_{each}(): pass" for each in range(TESTS_A_FILE))
            (project / f"test_{number}.py").write_text(tests)
        times: dict[str, list[float]] = {name: [] for name in ARMS}
        for turn in range(ROUNDS + 1):
            for name in list(ARMS) if turn % 2 else reversed(ARMS):
                seconds = collect(project, *ARMS[name])
                if turn:  # the first round writes what Python compiles
                    times[name].append(seconds)
    note = f"`pytest --co` of {FILES * TESTS_A_FILE} tests that do not use it"
    return [Row("the pytest plugin loaded, of the time without it", ratios(times["with"], times["without"]), note=note)]
