"""What the pytest plugin collects: one item for each emitter, scenario and group of rules.

The items of one emitter and scenario share what one run showed. Under xdist every worker collects the same
items and runs an emitter for itself; with `--dist loadscope` only one worker does.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts.config.values import read_config
from contracts.errors import KitError
from contracts.observe.suite import EmitterRun, Suite
from contracts.reports.text import TextReport
from contracts.verdict.policy import Verdict


class Broken(Exception):
    """What an item fails with; its text is the whole report."""


class EmittersFile(pytest.File):
    """The configuration file, as the collector of its emitters."""

    def collect(self) -> Iterator[pytest.Item]:
        """Yield the items, in the order of the file."""
        config = read_config(self.path, os.environ)
        suite = Suite(config)
        for name in self.config.getoption("contracts_emitters") or config.emitters:
            yield from self._items(suite, name)
        if any(emitter.scenarios for emitter in config.emitters.values()):
            yield GoldensItem.from_parent(self, name="contracts[goldens]::used", suite=suite)
        if config.waivers is not None:
            yield WaiversItem.from_parent(self, name="contracts[waivers]::used", suite=suite)

    def _items(self, suite: Suite, name: str) -> Iterator[pytest.Item]:
        if name not in suite.config.emitters:
            suite.config.emitter(name, os.environ)  # its error lists the known ones
        try:
            runs = suite.runs(name)
        except KitError as error:
            yield UnusableItem.from_parent(self, name=f"contracts[{name}]::configuration", suite=suite, error=error)
            return
        for run in runs:
            for group in suite.groups(run):
                yield GroupItem.from_parent(self, name=f"{run.label}::{group}", suite=suite, run=run, group=group)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *_: Any, **__: Any) -> Any:
        """Show an error of the configuration as what it is, without a traceback."""
        return str(excinfo.value) if isinstance(excinfo.value, KitError) else super().repr_failure(excinfo)


class ContractItem(pytest.Item):
    """An item of the plugin; what it finds is also in its `user_properties`, and so in JUnit files."""

    def __init__(self, *, suite: Suite, group: str, **of_pytest: Any) -> None:
        super().__init__(**of_pytest)
        self.suite = suite
        self.add_marker("contracts")
        self.user_properties.append(("contracts_group", group))

    def require(self, verdicts: list[Verdict]) -> None:
        """Fail if a verdict does not pass; report the findings of the others."""
        for verdict in verdicts:
            for each in verdict.findings:
                self.user_properties += [("contracts_rule", each.rule), ("contracts_pointer", each.pointer)]
        told = io.StringIO()
        for verdict in verdicts:
            TextReport(told).add(verdict)
        if not all(verdict.passes for verdict in verdicts):
            raise Broken(told.getvalue().rstrip())
        if told.getvalue():
            self.add_report_section("call", "contracts", told.getvalue())

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *_: Any, **__: Any) -> Any:
        """Show the findings, without a traceback; what is neither those nor an error on purpose keeps its own."""
        if isinstance(excinfo.value, Broken | KitError):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Return the item's location and name."""
        return self.path, None, self.name


class GroupItem(ContractItem):
    """One emitter, one scenario, one group of rules."""

    def __init__(self, *, run: EmitterRun, group: str, **others: Any) -> None:
        super().__init__(group=group, **others)
        self.run, self.group = run, group
        self.user_properties.append(("contracts_emitter", run.name))
        if run.scenario:
            self.user_properties.append(("contracts_scenario", run.scenario.name))

    def runtest(self) -> None:
        """Judge the group; the emitter runs for the first item that asks."""
        verdicts, unchecked = self.suite.judge(self.run, self.group)
        self.require(verdicts)
        if unchecked:
            raise Broken(f"not checked, which is never a pass\n  {unchecked}\n  reproduce: {self._reproduce()}")

    def _reproduce(self) -> str:
        return self.run.emitter.reproduce(self.run.scenario)


class GoldensItem(ContractItem):
    """Every golden event in the project is compared with some emitter's."""

    def __init__(self, **others: Any) -> None:
        super().__init__(group="goldens", **others)

    def runtest(self) -> None:
        """Find golden events that no emitter runs for."""
        unused = self.suite.unused_goldens()
        if unused:
            listed = "\n  ".join(map(str, unused))
            raise Broken(
                f"no emitter is compared with\n  {listed}\n"
                "expected each event.json to be that of a scenario which a configured emitter runs\n"
                "  remove it, or give an emitter {agent} {root} … to fill"
            )


class WaiversItem(ContractItem):
    """Every waiver holds, and covers something."""

    def __init__(self, **others: Any) -> None:
        super().__init__(group="waivers", **others)

    def runtest(self) -> None:
        """Judge the waivers; emitters that have not run yet are run first."""
        self.require(self.suite.judge_waivers())


class UnusableItem(ContractItem):
    """An emitter whose table cannot be used, such as one that names a variable which is not set here."""

    def __init__(self, *, error: KitError, **others: Any) -> None:
        super().__init__(group="configuration", **others)
        self.error = error

    def runtest(self) -> None:
        """Report the findings."""
        raise self.error
