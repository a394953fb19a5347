"""Waivers: findings that a team accepts, with owner, reason and expiry.

    [[waivers]]
    rule = "cadence/enum"
    pointer = "/cadence"            # optional: this place only
    source = "payloads/old.json"    # optional: this file only
    reason = "the old emitter sends 'biweekly' until it is switched off"
    owner = "ops"
    expires = 2026-12-31            # the last day on which it holds

A waiver that has expired, or that no longer covers a finding, is an error, so that the file stays true.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from contracts.checker import Result
from contracts.config.discovery import parse_toml
from contracts.errors import BadInput
from contracts.model.did_you_mean import nearest
from contracts.model.violation import Violation, show
from contracts.verdict.policy import Policy, Verdict
from contracts.verdict.run_rules import RUN_RULES
from contracts.verdict.sources import names_of

_KEYS = ("rule", "pointer", "source", "reason", "owner", "expires")
_OPTIONAL = frozenset({"pointer", "source"})


@dataclass(frozen=True, slots=True)
class Waiver:
    """One entry of a waiver file. `number` counts from 0; `expires` is the last day on which it holds.

    `line` is the first line of the entry in its file, or None where it is not written as a table.
    """

    number: int
    line: int | None
    rule: str
    reason: str
    owner: str
    expires: date
    pointer: str | None = None
    source: str | None = None

    def covers(self, rule: str, pointer: str | None, names: Collection[str]) -> bool:
        """Return whether it covers a finding; `names` are what the payload and its file are called.

        A `pointer` of None is a place that is not known.
        """
        return (
            rule == self.rule
            and (self.pointer is None or pointer == self.pointer)
            and (self.source is None or self.source in names)
        )

    def broken(self, rule: str) -> Violation:
        """Make the violation of `waiver/expired` or `waiver/unused`."""
        known = RUN_RULES[rule]
        found = f"{self.rule} waived by {self.owner} until {self.expires}: {self.reason}"
        return Violation(rule, known.severity, f"/waivers/{self.number}", found, known.expected)


class WaiverUse:
    """Follows which waivers a run uses, and reports at its end which to remove."""

    def __init__(self, waivers: tuple[Waiver, ...], policy: Policy, today: date) -> None:
        self._waivers, self._policy, self._today = waivers, policy, today
        self._used: set[Waiver] = set()
        self._unseen = {waiver.source for waiver in waivers}
        self._unseen.discard(None)
        self.contracts: set[str] = set()

    def add(self, verdict: Verdict) -> None:
        """Follow one verdict."""
        self._used.update(each.waiver for each in verdict.findings if each.waiver)
        self._unseen -= names_of(verdict.source, verdict.result.fixture)
        if verdict.result.contract:
            self.contracts.add(verdict.result.contract)

    def results(self, path: Path, rules: Collection[str]) -> Iterator[Result]:
        """Yield a result for each waiver of the file at `path` that has expired or covered nothing.

        `rules` are those that this run checked. A waiver that could not have been used is left alone: its rule
        was not checked or not selected, or its source was not there.
        """
        for waiver in self._waivers:
            if waiver.expires < self._today:
                rule = "waiver/expired"
            elif waiver in self._used or waiver.rule not in rules or not self._could_be_used(waiver):
                continue
            else:
                rule = "waiver/unused"
            violations = (waiver.broken(rule),)
            yield Result(str(path), None, None, violations, fixture=path, fixture_line=waiver.line)

    def _could_be_used(self, waiver: Waiver) -> bool:
        return self._policy.looks_at(waiver.rule) and waiver.source not in self._unseen


def parse_waivers(text: str, *, where: str, rules: Collection[str]) -> tuple[Waiver, ...]:
    """Read a waiver file; `where` is its name in errors, `rules` are the known rules.

    Raises:
        BadInput: incomplete entries and unknown rules, all of them at once.
    """
    document = parse_toml(text, where)
    entries = document.get("waivers", [])
    problems = [f"unknown key {show(name)}; expected [[waivers]]" for name in document if name != "waivers"]
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        problems.append("'waivers' is not a list of tables; expected [[waivers]]")
        entries = []
    for number, entry in enumerate(entries):
        problems += [f"waivers[{number}]: {problem}" for problem in _problems(entry, rules)]
    if problems:
        listed = "\n  ".join(problems)
        raise BadInput(f"{where} cannot be used:\n  {listed}\n  a ready entry: contracts explain RULE --waiver")
    lines: list[int | None] = [
        text.count("\n", 0, match.start(1)) + 1 for match in re.finditer(r"(?m)^\s*(\[\[\s*waivers\s*\]\])", text)
    ]
    if len(lines) != len(entries):  # written in another way than as tables
        lines = [None] * len(entries)
    return tuple(
        Waiver(number=number, line=line, **entry)
        for number, (line, entry) in enumerate(zip(lines, entries, strict=True))
    )


def _problems(entry: Mapping[str, Any], rules: Collection[str]) -> Iterator[str]:
    for name in entry:
        if name not in _KEYS:
            near = nearest(name, _KEYS)
            yield f"unknown key {show(name)}" + (
                f"; did you mean {near!r}?" if near else f"; known: {', '.join(_KEYS)}"
            )
    for name in _KEYS:
        value = entry.get(name)
        if name == "expires" and value is not None:
            if not isinstance(value, date) or isinstance(value, datetime):
                yield f"'expires' is {show(str(value))}; expected a date without quotes or time: expires = 2026-12-31"
        elif value is None and name not in _OPTIONAL:
            yield f"no {name!r}; a waiver needs a reason, an owner and a date on which it expires"
        elif value is not None and (not isinstance(value, str) or not value.strip()):
            yield f"{name!r} is {show(value)}; expected text"
    rule = entry.get("rule")
    if isinstance(rule, str) and rule.strip() and rule not in rules:
        near = nearest(rule, rules)
        yield f"no rule {rule!r}" + (f"; did you mean {near!r}?" if near else "")
