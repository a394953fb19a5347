"""The step summary: Markdown with one row for each finding; no value can break out of its cell."""

from __future__ import annotations

import re
from typing import TextIO

from contracts.model.counted import counted
from contracts.reports.provenance import shown_path
from contracts.verdict.findings import Finding
from contracts.verdict.policy import Tally, Verdict

# GitHub drops the summary of a step as a whole if it has more than 1 MiB, and a step may run several commands.
_MOST_ROWS = 200
_MOST_BYTES = 400_000
_MOST_CHARACTERS = 500
# Everything that means something to CommonMark, to GitHub's tables, math, mentions and references, or to a
# linkifier. A character reference is never structure (CommonMark 0.31, section 2.5), so it holds everywhere.
_MEANINGFUL = re.compile(r"[\\`*_{}\[\]<>#|~&@$!:]|\bwww(?=\.)")


class MarkdownReport:
    """Collects a table of findings, 200 at most, and writes it below the sums of the run."""

    needs_passes = False

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._rows: list[str] = []
        self._bytes = 0

    def add(self, verdict: Verdict) -> None:
        """Add a row for each finding."""
        for finding in verdict.findings:
            if len(self._rows) == _MOST_ROWS or self._bytes > _MOST_BYTES:
                return
            self._rows.append(_row(finding))
            self._bytes += len(self._rows[-1].encode("utf-8", "backslashreplace"))

    def close(self, tally: Tally) -> None:
        """Write the summary."""
        passed = tally.payloads - tally.failed
        if tally.error is not None:
            lines = ["### contracts: could not finish", "", f"Because: {_escape(tally.error)}"]
        else:
            lines = [f"### contracts: {'broken' if tally.broken else 'ok'}"]
        waived = f", {tally.waived:,} waived" if tally.waived else ""
        sums = f"{counted(tally.errors, 'error')}, {counted(tally.warnings, 'warning')}{waived}"
        lines += ["", f"{passed:,} of {counted(tally.payloads, 'payload')} pass: {sums}.", ""]
        if self._rows:
            lines += ["| severity | rule | where | found | expected |", "|---|---|---|---|---|", *self._rows, ""]
        left = tally.errors + tally.warnings + tally.waived - len(self._rows)
        if left > 0:
            lines += [f"And {counted(left, 'more finding')}; the other reports have them.", ""]
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
