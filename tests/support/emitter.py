"""Programs that stand in for `kaizen-agentic`, written for one test each, and the checkout that they render."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from contracts.fixtures.corpus import ROOT

STAND_IN = ROOT / "emitters" / "kaizen-agentic"
FLAGS = {"agent_prompt_found": True, "has_memory": False, "has_metrics": True, "pointers": ["scope"]}
CLOSE = ["kaizen-agentic metrics record coach --success --time <s> --quality <0-1>"]


def write_checkout(root: Path) -> Path:
    """Lay out a checkout that has everything the stand-in looks for, but for metrics."""
    agent = root / ".kaizen" / "agents" / "coach"
    agent.mkdir(parents=True)
    (agent / "agent.md").write_text("You are the coach. Caf\u00e9, \u65e5\u672c.\n", "utf-8")
    (agent / "memory.md").write_text("- last week went well\n", "utf-8")
    (root / "SCOPE.md").write_text("# Scope\n", "utf-8")
    (root / "workplans").mkdir()
    (root / "workplans" / "WP-0006.md").write_text("# Schedule\n", "utf-8")
    return root


def write_emitter(folder: Path, *, before: str = "", document: Mapping[str, Any] | str | None = None) -> Path:
    """Write a program that prints a bundle of 9 bytes, or `document` where it is asked for JSON.

    `before` is shell that runs first. A `document` that is text is printed as it is.
    """
    told = document if isinstance(document, str) else json.dumps(document or FLAGS | {"session_close": CLOSE})
    program = folder / "kaizen-agentic"
    answer = folder / "answer.json"
    folder.mkdir(exist_ok=True)
    answer.write_text(told, "utf-8")
    program.write_text(
        f'#!/bin/sh\n{before}\ncase "$*" in *"--format json") cat "{answer}" ;; *) printf "# Bundle\\n" ;; esac\n',
        "utf-8",
    )
    program.chmod(0o755)
    return program


def interrupt_a_render(
    words: Sequence[str | Path], folder: Path, how: signal.Signals = signal.SIGINT
) -> tuple[int, str]:
    """Run `contracts emit …` with a program that hangs, interrupt it, and see that nothing of it goes on."""
    pids = folder / "pids"
    program = write_emitter(folder / "bin", before=f"sleep 600 & echo $! $$ > {pids}; wait")
    command = [Path(sys.executable).parent / "contracts", "emit", *words, "--program", program]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        wait_for(lambda: pids.exists() and len(pids.read_text("utf-8").split()) == 2)
        process.send_signal(how)
        _, err = process.communicate(timeout=30)
    wait_for(lambda: not [pid for pid in pids.read_text("utf-8").split() if is_running(int(pid))])
    return process.returncode, err


def is_running(pid: int) -> bool:
    """Say whether a process is there and not merely waiting to be buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(") ")[2][0] not in "ZX"
    except FileNotFoundError:
        return False


def wait_for(condition: Callable[[], object], *, timeout_s: float = 30) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it never came to pass"
        time.sleep(0.01)
