"""The report for people: what broke, where, what was expected, and the spec's own line."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TextIO

from contracts.model.violation import Severity, printable
from contracts.verdict.policy import Tally, Verdict

if TYPE_CHECKING:  # a run without findings does not pay for them
    from contracts.verdict.findings import Finding

_COLORS = {"red": 31, "green": 32, "yellow": 33}


class TextReport:
    """Writes each payload that breaks a rule, then one line of sums. Colour only on a terminal without NO_COLOR."""

    needs_passes = False

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._color = output.isatty() and not os.environ.get("NO_COLOR")

    def add(self, verdict: Verdict) -> None:
        """Write one payload's findings; nothing for one that breaks no rule."""
        if not verdict.findings:
            return
        result = verdict.result
        passed = self._paint("pass", "green") if verdict.passes else self._paint("FAIL", "red")
        self._write(f"{passed} {verdict.source}  ({result.contract or 'no contract'})")
        for finding in verdict.findings:
            self._add(finding)
        reproduce = verdict.findings[0].reproduce
        # A file that was checked as a whole needs no second mention.
        if reproduce and (result.fixture is None or str(result.fixture) != result.source):
            self._write(f"  reproduce: {reproduce}")

    def close(self, tally: Tally) -> None:
        """Write the sums."""
        if not tally.payloads:
            return
        sums = f"{_count(tally.errors, 'error')}, {_count(tally.warnings, 'warning')}"
        if tally.waived:
            sums += f", {tally.waived} waived"
        self._write(f"{tally.payloads - tally.failed} of {_count(tally.payloads, 'payload')} pass: {sums}")

    def _add(self, finding: Finding) -> None:
        if finding.waiver:
            severity = self._paint("waived", "green")
        else:
            severity = self._paint(finding.severity, "red" if finding.severity is Severity.ERROR else "yellow")
        # Continuation lines start with a bar: a line that starts with '::' is a command to a CI runner.
        found = finding.found.replace("\n", "\n      | ")
        at = finding.pointer or "(payload)"
        self._write(f"  {severity} {at}: found {found}, expected {finding.expected} [{finding.rule}]")
        if finding.nearest:
            self._write(f"      nearest: {finding.nearest}")
        if finding.spec:
            self._write(f"      spec, line {finding.spec_line}: {finding.spec}")
        if finding.waiver:
            waiver = finding.waiver
            why = f"{waiver.owner}, until {waiver.expires}: {waiver.reason}"
            self._write(f"      waived by {printable(why)}")

    def _write(self, text: str) -> None:
        # GitHub's runner obeys '##[command]' anywhere in a line (actions/runner, ActionCommand.TryParse).
        self._output.write(text.replace("##[", r"##\x5b") + "\n")

    def _paint(self, text: str, color: str) -> str:
        return f"\x1b[1;{_COLORS[color]}m{text}\x1b[0m" if self._color else text


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
