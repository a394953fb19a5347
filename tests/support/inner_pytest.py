"""Run pytest inside a test: in a process of its own, in a project of its own."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent.parent
EMITTERS = TESTS.parent / "fixtures" / "emitters"
SCENARIOS = TESTS.parent / "fixtures" / "kaizen.schedule.prepared" / "1" / "scenarios"

Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run pytest as somebody would, in a process of its own; the stand-in is on PATH, as the real program would be."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{EMITTERS}", prepend=":")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    return lambda *arguments: pytester.runpytest_subprocess(
        "-p", "no:cacheprovider", "-p", "no:schemathesis", *arguments
    )


@pytest.fixture
def sample(pytester: pytest.Pytester) -> Path:
    """Make the project a copy of the sample repository, whose one line of configuration names one emitter."""
    there = TESTS / "support" / "sample_repository"
    shutil.copytree(there, pytester.path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    return pytester.path


def emitter(fault: str) -> str:
    """Return the URI of a faulty emitter, or of one that is not."""
    return f"cmd:{EMITTERS / 'faulty' / fault / 'emitter'} {{agent}} {{root}} {{cadence}} {{format}} {{repo}}"


def scenarios(folder: Path, *names: str) -> Path:
    """Copy some of the scenarios that ship into a folder."""
    for name in names:
        shutil.copytree(SCENARIOS / name, folder / name)
    return folder
