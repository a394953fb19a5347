"""The report for people: what broke, where, what was expected, and the spec's own line."""

from __future__ import annotations

import os
from typing import TextIO

from contracts.check import Result
from contracts.violation import Severity

_COLORS = {"red": 31, "green": 32, "yellow": 33}


class TextReport:
    """Writes each payload that breaks a rule, then one line of sums. Colour only on a terminal without NO_COLOR."""

    def __init__(self, output: TextIO, fail_on: Severity) -> None:
        self._output, self._fail_on = output, fail_on
        self._color = output.isatty() and not os.environ.get("NO_COLOR")
        self._payloads = self._failed = 0
        self._found = dict.fromkeys(Severity, 0)

    def add(self, result: Result) -> None:
        """Write one payload's violations; nothing for one that breaks no rule."""
        self._payloads += 1
        passes = result.passes(self._fail_on)
        self._failed += not passes
        if not result.violations:
            return
        verdict = self._paint("pass", "green") if passes else self._paint("FAIL", "red")
        self._write(f"{verdict} {result.source}  ({result.contract or 'no contract'})")
        for violation in result.violations:
            self._found[violation.severity] += 1
            severity = self._paint(violation.severity, "red" if violation.severity is Severity.ERROR else "yellow")
            self._write(f"  {severity} {violation}")
            if violation.nearest:
                self._write(f"      nearest: {violation.nearest}")
            if violation.spec:
                self._write(f"      spec, line {violation.spec_line}: {violation.spec}")

    def close(self) -> None:
        """Write the sums."""
        if not self._payloads:
            return
        errors, warnings = self._found[Severity.ERROR], self._found[Severity.WARNING]
        passed = self._payloads - self._failed
        sums = f"{_count(errors, 'error')}, {_count(warnings, 'warning')}"
        self._write(f"{passed} of {_count(self._payloads, 'payload')} pass: {sums}")

    def _write(self, line: str) -> None:
        self._output.write(line + "\n")

    def _paint(self, text: str, color: str) -> str:
        return f"\x1b[1;{_COLORS[color]}m{text}\x1b[0m" if self._color else text


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
