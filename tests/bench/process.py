"""Run a program to its end and say what it took."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

SAMPLE_S = 0.1
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Took(NamedTuple):
    """Seconds, CPU seconds with those of its children, peak memory of the largest process in MiB."""

    wall_s: float
    cpu_s: float
    peak_mib: float


def run(
    command: Sequence[str | Path], *, log: Path, env: Mapping[str, str] | None = None, seen: Seen | None = None
) -> Took:
    """Run a command; its output and errors go to `log`. Ends this program where it fails.

    Its peak memory is not told as less than ours: Linux counts what we had when we started it. So ours has to be small.
    """
    with log.open("wb") as output:
        start = time.perf_counter()
        process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=output)
        watching = seen and seen.watch(process.pid)
        _, status, usage = os.wait4(process.pid, 0)
        taken = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if watching:
        watching.join()
    if process.returncode:
        sys.exit(
            f"{[str(each) for each in command[:4]]} ended with {process.returncode}: {log.read_text('utf-8')[-1000:]}"
        )
    return Took(taken, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def cpu_s_of(pid: int) -> float:
    """Return the CPU seconds that a process has used until now."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


class Seen:
    """What can only be seen while a process runs: its memory over time, and which threads used the CPU."""

    def __init__(self) -> None:
        self.memory: list[tuple[float, float]] = []
        """(when, MiB)."""
        self._cpu_s: dict[str, tuple[str, float]] = {}

    def watch(self, pid: int) -> threading.Thread:
        watching = threading.Thread(target=self._watch, args=(pid,))
        watching.start()
        return watching

    def cpu_s_by_thread(self) -> dict[str, float]:
        """Return CPU seconds of the thread `main`, and of all `others`."""
        total: dict[str, float] = defaultdict(float)
        for name, cpu_s in self._cpu_s.values():
            total[name] += cpu_s
        return dict(total)

    def _watch(self, pid: int) -> None:
        home = Path(f"/proc/{pid}")
        while True:
            try:
                pages = int((home / "statm").read_text("ascii").split()[1])
                if not pages:  # ended, and not waited for yet
                    return
                self.memory.append((time.time(), pages * _PAGE_BYTES / 2**20))
                for each in (home / "task").iterdir():
                    with suppress(OSError):
                        self._note(pid, each)
            except (OSError, IndexError):
                return
            time.sleep(SAMPLE_S)

    def _note(self, pid: int, thread: Path) -> None:
        fields = (thread / "stat").read_text("utf-8").rpartition(")")[2].split()
        name = "main" if int(thread.name) == pid else "others"
        self._cpu_s[thread.name] = name, (int(fields[11]) + int(fields[12])) / _TICKS
