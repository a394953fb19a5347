"""The step summary: Markdown that says at a glance what broke, and that no value can break out of."""

from __future__ import annotations

import re
from typing import TextIO

from contracts.reports.provenance import shown_path
from contracts.verdict.findings import Finding
from contracts.verdict.policy import Tally, Verdict

_MOST_ROWS = 200  # GitHub drops a summary of more than 1 MiB as a whole
_MOST_CHARACTERS = 500
# Everything that means something to CommonMark, to GitHub's tables, math, mentions and references, or to a
# linkifier. A character reference is never structure (CommonMark 0.31, section 2.5), so it holds everywhere.
_MEANINGFUL = re.compile(r"[\\`*_{}\[\]<>#|~&@$!:]|\bwww(?=\.)")


class MarkdownReport:
    """Collects a table of findings, 200 at most, and writes it under one line that says how the run went."""

    needs_passes = False

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._rows: list[str] = []
        self._findings = 0

    def add(self, verdict: Verdict) -> None:
        """Add a row for each finding."""
        for finding in verdict.findings:
            self._findings += 1
            if len(self._rows) < _MOST_ROWS:
                self._rows.append(_row(finding))

    def close(self, tally: Tally) -> None:
        """Write the summary."""
        passed = tally.payloads - tally.failed
        if tally.error is not None:
            lines = ["### contracts: could not finish", "", f"Because: {_escape(tally.error)}"]
        else:
            lines = [f"### contracts: {'broken' if tally.broken else 'ok'}"]
        waived = f", {tally.waived} waived" if tally.waived else ""
        sums = f"{tally.errors} errors, {tally.warnings} warnings{waived}"
        lines += ["", f"{passed} of {tally.payloads} payloads pass: {sums}.", ""]
        if self._rows:
            lines += ["| severity | rule | where | found | expected |", "|---|---|---|---|---|", *self._rows, ""]
        if self._findings > len(self._rows):
            lines += [f"And {self._findings - len(self._rows)} more; the other reports list them all.", ""]
        self._output.write("\n".join(lines) + "\n")


def _row(finding: Finding) -> str:
    place = shown_path(finding.fixture) if finding.fixture else finding.source
    if finding.fixture and finding.fixture_line:
        place += f":{finding.fixture_line}"
    if finding.fixture and finding.source not in {place, str(finding.fixture)}:
        place += f"\n{finding.source}"
    found = finding.found + (f"\nnearest: {finding.nearest}" if finding.nearest else "")
    expected = finding.expected + (f"\nspec, line {finding.spec_line}: {finding.spec}" if finding.spec else "")
    severity = str(finding.severity)
    if finding.waiver:
        waiver = finding.waiver
        severity = f"waived by {waiver.owner} until {waiver.expires}\n{waiver.reason}"
    cells = (severity, finding.rule, f"{place}\n{finding.pointer or '(payload)'}", found, expected)
    return f"| {' | '.join(_escape(cell) for cell in cells)} |"


def _escape(text: str) -> str:
    """Escape for a table cell; line breaks become breaks inside the cell."""
    cut = text if len(text) <= _MOST_CHARACTERS else text[: _MOST_CHARACTERS - 1] + "…"
    return "<br>".join(_MEANINGFUL.sub(_reference, line) for line in cut.splitlines())


def _reference(match: re.Match[str]) -> str:
    return f"&#{ord(match[0][0])};{match[0][1:]}"
