"""Goldens are captured from the emitter that speaks, scenario by scenario, and hold afterwards."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from contracts.corpus import ROOT
from contracts.observe.scenarios import load_scenarios
from tests.contracts.conftest import RunContracts

EMITTERS = ROOT / "emitters"
HONEST = (
    f"cmd:{Path(sys.executable).parent}/contracts emit {{agent}} --root {{root}} --repo {{repo}} --cadence {{cadence}} "
    f"--format {{format}} --program {EMITTERS}/kaizen-agentic --spool {{scratch}} --stdout"
)


@pytest.fixture
def scenarios(tmp_path: Path) -> Path:
    """One scenario of ours without its golden event."""
    folder = tmp_path / "scenarios"
    shutil.copytree(load_scenarios("kaizen.schedule.prepared@1")[0].folder, folder / "first")
    (folder / "first" / "event.json").unlink()
    return folder


def test_a_missing_golden_is_recorded_from_the_emitter_and_then_holds(
    scenarios: Path, run_contracts: RunContracts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    verify = ("verify-emitter", HONEST, "--scenarios", str(scenarios))
    status, told, _ = run_contracts(*verify)
    assert status == 1
    assert "golden/missing" in told

    status, _, why = run_contracts("fixtures", "record", HONEST, "--into", scenarios, "--emitter-version", "0.1")

    assert status == 0, why
    assert run_contracts(*verify)[0] == 0
    (entry,) = json.loads((scenarios / "first" / "provenance.json").read_bytes())["events"]
    assert (entry["file"], entry["emitter_version"]) == ("event.json", "0.1")


def test_an_emitter_that_says_nothing_leaves_no_golden(
    scenarios: Path, run_contracts: RunContracts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    silent = f"cmd:{EMITTERS}/faulty/says-nothing/emitter {{agent}} {{root}} {{cadence}} {{format}} {{repo}}"

    status, _, why = run_contracts("fixtures", "record", silent, "--into", scenarios, "--emitter-version", "0.1")

    assert status == 2
    assert "expected one event, found" in why
    assert not (scenarios / "first" / "event.json").exists()


def test_a_golden_is_not_recorded_in_ci(
    scenarios: Path, run_contracts: RunContracts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")

    status, _, why = run_contracts("fixtures", "record", HONEST, "--into", scenarios, "--emitter-version", "0.1")

    assert status == 2
    assert "CI" in why
    assert not (scenarios / "first" / "event.json").exists()
