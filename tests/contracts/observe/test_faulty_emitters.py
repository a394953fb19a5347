"""Every faulty emitter is caught by exactly the rules that its expect.toml names; good ones pass."""

from __future__ import annotations

import shlex
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from contracts.checker import Result
from contracts.fixtures.corpus import ROOT
from contracts.model.violation import Severity
from contracts.observe.observation import behaviour_rules
from contracts.observe.scenarios import load_scenarios
from contracts.observe.verify import Emitter, verify
from contracts.rules.registry import load_contract
from tests.support.bus import Bus
from tests.support.emitter import STAND_IN

FAULTY = ROOT / "emitters" / "faulty"
FOLDERS = sorted(path for path in FAULTY.iterdir() if path.is_dir())
CONTRACT = load_contract("kaizen.schedule.prepared@1")
SCENARIOS = load_scenarios(CONTRACT.name)
KEYS = {"why", "breaks", "scenario", "transport", "exit", "timeout", "fail_on"}
OF_OTHER_TRANSPORTS = {"emitter/raises", "emitter/http-status", "emitter/openapi", "golden/missing"}
THIN_EMITTER = (
    f"{shlex.quote(sys.executable)} -m contracts emit {{agent}} --root {{root}} --repo {{repo}} --cadence {{cadence}} "
    f"--format {{format}} --program {shlex.quote(str(STAND_IN))} --spool {{scratch}}"
)


def expectation(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "expect.toml").read_text("utf-8"))


def arguments(program: Path) -> str:
    return f"{shlex.quote(str(program))} {{agent}} {{root}} {{cadence}} {{format}} {{repo}}"


def on_the_bus(bus: Bus, trigger: str, **how: Any) -> Emitter:
    """An emitter that is watched on every subject below kaizen.schedule, so that a misspelt one is seen."""
    from contracts.bus.access import NatsAccess

    uri = f"{bus.url}/kaizen.schedule.>"
    return Emitter(uri, trigger=trigger, program=str(STAND_IN), nats=NatsAccess(uri), **how)


def run(emitter: Emitter, *scenarios: str) -> tuple[int, list[Result]]:
    chosen = load_scenarios(CONTRACT.name, names=scenarios)
    seen = list(verify(emitter, CONTRACT, chosen))
    return sum(count for count, _ in seen), [result for _, result in seen]


def rules(results: Iterable[Result]) -> set[str]:
    return {each.rule for result in results for each in result.violations}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_faulty_emitter_is_caught_by_exactly_the_rules_it_breaks(
    folder: Path, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = expectation(folder)
    program, timeout_s = folder / "emitter", float(expected.get("timeout", 30))
    if expected.get("transport") == "nats":
        monkeypatch.setenv("NATS_URL", bus.url)
        emitter = on_the_bus(bus, arguments(program), stream="SCHEDULE", timeout_s=timeout_s)
    else:
        emitter = Emitter(f"cmd:{arguments(program)}", timeout_s=timeout_s, program=str(STAND_IN))
    observed, results = run(emitter, expected["scenario"])
    assert rules(results) == set(expected["breaks"])
    assert (observed == 0) == (expected.get("exit") == 3)
    assert not all(result.passes(Severity(expected.get("fail_on", "error"))) for result in results)


def test_there_are_enough_faults_and_each_says_what_it_is() -> None:
    assert len(FOLDERS) >= 25
    for folder in FOLDERS:
        expected = expectation(folder)
        assert {"why", "breaks", "scenario"} <= expected.keys() <= KEYS, folder.name
        assert expected["why"] in (folder / "emitter").read_text("utf-8"), folder.name


def test_every_rule_on_behaviour_has_an_emitter_that_breaks_it() -> None:
    broken = {rule for folder in FOLDERS for rule in expectation(folder)["breaks"]}
    assert behaviour_rules().keys() - broken == OF_OTHER_TRANSPORTS


@pytest.mark.parametrize("scenario", [each.name for each in SCENARIOS])
def test_the_event_that_every_fault_is_made_of_breaks_nothing(scenario: str, tmp_path: Path) -> None:
    honest = tmp_path / "emitter.py"
    honest.write_text(f"import sys\nsys.path.insert(0, {str(FAULTY)!r})\nimport honest\nhonest.say(honest.event())\n")
    command = f"cmd:{shlex.quote(sys.executable)} -B {arguments(honest)}"
    observed, results = run(Emitter(command, program=str(STAND_IN)), scenario)
    assert (observed, rules(results)) == (1, set())


def test_the_thin_emitter_passes_in_every_scenario() -> None:
    observed, results = run(Emitter(f"cmd:{THIN_EMITTER} --stdout", program=str(STAND_IN)))
    assert (observed, rules(results)) == (len(SCENARIOS), set())


@pytest.mark.parametrize("stream", [None, "SCHEDULE"], ids=["core NATS", "JetStream"])
def test_the_thin_emitter_passes_in_every_scenario_on_the_bus(
    stream: str | None, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NATS_URL", bus.url)
    observed, results = run(on_the_bus(bus, THIN_EMITTER, stream=stream))
    assert (observed, rules(results)) == (len(SCENARIOS), set())


def test_an_emitter_that_is_right_in_one_scenario_can_be_wrong_in_another() -> None:
    """Why there is more than one: each of these faults is invisible where the values happen to agree."""
    for name, harmless in [
        ("bytes-counted-in-characters", "monthly-nothing-found"),
        ("format-left-out", "weekly-markdown"),
    ]:
        emitter = Emitter(f"cmd:{arguments(FAULTY / name / 'emitter')}", program=str(STAND_IN))
        assert rules(run(emitter, harmless)[1]) == set(), name
        assert rules(run(emitter, expectation(FAULTY / name)["scenario"])[1]), name
