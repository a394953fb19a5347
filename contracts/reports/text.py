"""The report for people: what broke, where, what was expected, and the spec's own line."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Final, TextIO

from contracts.model.counted import counted
from contracts.model.violation import Severity, printable
from contracts.verdict.policy import Tally, Verdict

if TYPE_CHECKING:  # a run without findings does not load them
    from contracts.verdict.findings import Finding

MOST_PAYLOADS: Final = 50
"""How many payloads are shown with their findings; those of the others are summed up by rule."""
MOST_OF_A_RULE: Final = 5
"""How many findings of one rule are shown of one payload."""

_COLORS = {"red": 31, "green": 32, "yellow": 33}


class TextReport:
    """Writes the findings of the first payloads, the others by rule, then one line of sums.

    Colour only on a terminal without NO_COLOR.
    """

    needs_passes = False

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._color = output.isatty() and not os.environ.get("NO_COLOR")
        self._shown = 0
        self._others: dict[str, _Others] = {}
        self._payloads_left = 0

    def add(self, verdict: Verdict) -> None:
        """Write one payload's findings; nothing for one that breaks no rule."""
        if not verdict.findings:
            return
        if self._shown == MOST_PAYLOADS:
            self._count(verdict)
            return
        self._shown += 1
        result = verdict.result
        passed = self._paint("pass", "green") if verdict.passes else self._paint("FAIL", "red")
        self._write(f"{passed} {verdict.source}  ({result.contract or 'no contract'})")
        counts: Counter[str] = Counter()
        for finding in verdict.findings:
            counts[finding.rule] += 1
            if counts[finding.rule] <= MOST_OF_A_RULE:
                self._add(finding)
        for rule, count in (counts + Counter(verdict.omitted)).items():
            if count > MOST_OF_A_RULE:
                self._write(f"      and {count - MOST_OF_A_RULE:,} more [{rule}]")
        reproduce = verdict.findings[0].reproduce
        # A file that was checked as a whole needs no second mention.
        if reproduce and (result.fixture is None or str(result.fixture) != result.source):
            self._write(f"  reproduce: {reproduce}")

    def close(self, tally: Tally) -> None:
        """Write what was not shown, by rule, and the sums."""
        if self._others:
            self._write(f"{counted(self._payloads_left, 'more payload')} with findings, by rule:")
            for rule, others in sorted(self._others.items(), key=lambda item: -item[1].findings):
                where = f"{counted(others.findings, 'finding')} in {counted(others.payloads, 'payload')}"
                self._write(f"  {rule}: {where}, the first in {others.first}")
        if not tally.payloads:
            return
        sums = f"{counted(tally.errors, 'error')}, {counted(tally.warnings, 'warning')}"
        if tally.waived:
            sums += f", {tally.waived:,} waived"
        self._write(f"{tally.payloads - tally.failed:,} of {counted(tally.payloads, 'payload')} pass: {sums}")

    def _count(self, verdict: Verdict) -> None:
        self._payloads_left += 1
        for rule, count in (Counter(each.rule for each in verdict.findings) + Counter(verdict.omitted)).items():
            others = self._others.setdefault(rule, _Others(verdict.source))
            others.findings += count
            others.payloads += 1

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


class _Others:
    """The findings of one rule that were not shown."""

    def __init__(self, first: str) -> None:
        self.findings = self.payloads = 0
        self.first = first
