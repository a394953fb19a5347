"""What a configuration asks to be verified: each emitter with each of its scenarios, run once, judged by rule group.

This is what the pytest plugin collects from. It knows no pytest.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from contracts.checker import Result
from contracts.config.discovery import read_text
from contracts.config.values import Config
from contracts.errors import KitError
from contracts.model.violation import Severity
from contracts.observe.configured import at_home, contract_of, emitter_of, scenarios_of
from contracts.observe.observation import behaviour_rules, known_rules
from contracts.observe.scenarios import Scenario
from contracts.observe.verify import Emitter, verify
from contracts.verdict.policy import Policy, Verdict
from contracts.verdict.source_lines import SourceText
from contracts.verdict.waivers import Waiver, WaiverUse, parse_waivers

GROUPS: Final = (
    "behaviour",
    "payload",
    "fields",
    "prepare_command",
    "session_close",
    "boundary",
    "golden",
    "prepare",
)
"""Every group of rules, in the order of the checks."""

_BEHAVIOUR: Final = frozenset({"emitter", "subject", "headers"})


def group_of(rule: str) -> str:
    """Return the group of a rule by its id: `bundle.bytes/minimum` is one of `fields`."""
    family = rule.partition("/")[0].partition(".")[0].removesuffix("[]")
    if family in _BEHAVIOUR:
        return "behaviour"
    return family if family in GROUPS else "fields"


@dataclass(frozen=True, slots=True)
class EmitterRun:
    """One emitter with one of its scenarios, or with None where it takes none."""

    name: str
    emitter: Emitter
    scenario: Scenario | None

    @property
    def label(self) -> str:
        """Emitter and scenario, as `contracts[runner]::weekly-markdown`."""
        return f"contracts[{self.name}]" + (f"::{self.scenario.name}" if self.scenario else "")


class Suite:
    """What a configuration asks for; each emitter runs at most once for each scenario.

    Raises:
        BadInput: the waivers cannot be read.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.contract = contract_of(config)
        self._today = datetime.now(UTC).date()
        self.waivers = self._read_waivers()
        holding = tuple(waiver for waiver in self.waivers if waiver.expires >= self._today)
        self.policy = Policy(Severity(config.fail_on or Severity.ERROR), config.select, config.ignore, holding)
        self._seen: dict[str, tuple[tuple[int, Result], ...] | KitError] = {}

    def runs(self, name: str) -> list[EmitterRun]:
        """Return the runs of one emitter.

        Raises:
            BadInput: its table, a scenario or a variable that it names cannot be used.
        """
        told = self.config.emitter(name, os.environ)
        emitter = emitter_of(told, os.environ)
        scenarios = scenarios_of(self.config, told) if emitter.takes_scenarios else [None]
        return [EmitterRun(name, emitter, scenario) for scenario in scenarios]

    def groups(self, run: EmitterRun) -> list[str]:
        """Return the groups of rules that can find anything in a run."""
        rules = [rule for rule in (*self.contract.rules, *behaviour_rules()) if self.policy.looks_at(rule)]
        there = {group_of(rule) for rule in rules}
        if run.scenario is None:
            there.discard("golden")
        if run.scenario is None or run.emitter.program is None:
            there.discard("prepare")
        return [group for group in GROUPS if group in there]

    def judge(self, run: EmitterRun, group: str) -> tuple[list[Verdict], str | None]:
        """Judge one group of rules: a verdict on each event, and why the group could not be checked, or None.

        Raises:
            KitError: the emitter could not be observed.
        """
        verdicts, unchecked = [], None
        for count, result in self._results(run):
            mine = tuple(each for each in result.violations if group_of(each.rule) == group)
            verdicts.append(self.policy.judge(result._replace(violations=mine), _golden_text(run)))
            if not mine and group != "behaviour" and (not count or not (result.is_json or group == "payload")):
                unchecked = str(result.violations[0]) if result.violations else "no event"
        return verdicts, unchecked

    def judge_waivers(self) -> list[Verdict]:
        """Run what has not run yet, and judge each waiver that has expired or covers nothing.

        Raises:
            KitError: an emitter could not be observed.
        """
        assert self.config.waivers is not None
        use = WaiverUse(self.waivers, self.policy, self._today)
        for name in self.config.emitters:
            for run in self.runs(name):
                for _, result in self._results(run):
                    use.add(self.policy.judge(result))
        results = use.results(self.config.resolve(self.config.waivers), {*self.contract.rules, *behaviour_rules()})
        return [self.policy.judge(result, is_payload=False) for result in results]

    def unused_goldens(self) -> list[Path]:
        """Return every event.json in the project's own folders of scenarios that no emitter is compared with.

        Raises:
            BadInput: an emitter's table cannot be used.
        """
        folders = {self.config.resolve(each.scenarios) for each in self.config.emitters.values() if each.scenarios}
        runs = (run for name in self.config.emitters for run in self.runs(name))
        used = {run.scenario.golden_path.resolve() for run in runs if run.scenario}
        there = {path.resolve() for folder in folders for path in folder.rglob("event.json")}
        return sorted(path for path in there - used if "checkout" not in path.parts)

    def _results(self, run: EmitterRun) -> tuple[tuple[int, Result], ...]:
        if run.label not in self._seen:
            try:
                self._seen[run.label] = self._verify(run)
            except KitError as error:
                self._seen[run.label] = error
        seen = self._seen[run.label]
        if isinstance(seen, KitError):
            raise seen
        return seen

    def _verify(self, run: EmitterRun) -> tuple[tuple[int, Result], ...]:
        scenarios = [run.scenario] if run.scenario else []
        with at_home(self.config), self._alone_on_the_bus(run.emitter):
            return tuple(verify(run.emitter, self.contract, scenarios))

    @contextmanager
    def _alone_on_the_bus(self, emitter: Emitter) -> Iterator[None]:
        """Keep other workers from triggering on the same subject meanwhile: each would see the other's events."""
        if emitter.nats is None or self.config.path is None:
            yield
            return
        with self.config.path.open("rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield

    def _read_waivers(self) -> tuple[Waiver, ...]:
        if self.config.waivers is None:
            return ()
        path = self.config.resolve(self.config.waivers)
        return parse_waivers(read_text(path), where=str(path), rules=known_rules())


def _golden_text(run: EmitterRun) -> SourceText | None:
    """Read the file in which line numbers are counted."""
    if run.scenario is None or not run.scenario.golden_path.is_file():
        return None
    return SourceText(run.scenario.golden_path.read_bytes().decode("utf-8", "replace"))
