"""Annotations: the workflow commands that the runners of GitHub and Gitea Actions read from either output stream."""

from __future__ import annotations

from collections import Counter
from typing import Final, TextIO

from contracts.model.counted import counted
from contracts.reports.provenance import shown_path
from contracts.verdict.findings import Finding
from contracts.verdict.policy import Tally, Verdict

MOST_OF_A_LEVEL: Final = 10
"""GitHub shows so many errors, warnings and notices of a step, and drops the others without a word."""


class GithubReport:
    """Writes an annotation for each finding: an error, a warning, or a notice where it is waived; ten of each."""

    needs_passes = False

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._levels: Counter[str] = Counter()

    def add(self, verdict: Verdict) -> None:
        """Annotate the findings of one verdict."""
        for finding in verdict.findings:
            level = "notice" if finding.waiver else str(finding.severity)
            self._levels[level] += 1
            # One place is kept for what is written last.
            if self._levels[level] < MOST_OF_A_LEVEL:
                self._output.write(_annotation(level, finding) + "\n")

    def close(self, tally: Tally) -> None:
        """Annotate how many findings have no annotation, and why the run could not finish."""
        left = tally.omitted + sum(max(0, count - MOST_OF_A_LEVEL + 1) for count in self._levels.values())
        if left:
            text = f"{counted(left, 'more finding')} without an annotation; the log and the other reports have them"
            self._output.write(f"::notice title=contracts::{_data(text)}\n")
        if tally.error is not None:
            self._output.write(f"::error title=contracts::{_data(tally.error)}\n")


def _annotation(level: str, finding: Finding) -> str:
    title, message = finding.rule, finding.message
    if finding.waiver:
        waiver = finding.waiver
        title = f"{finding.rule} (waived)"
        message += f"\nwaived by {waiver.owner} until {waiver.expires}: {waiver.reason}"
    if finding.spec:
        message += f"\nspec, line {finding.spec_line}: {finding.spec}"
    if finding.reproduce:
        message += f"\nreproduce: {finding.reproduce}"
    properties = {"title": title}
    if finding.fixture:
        line = {"line": str(finding.fixture_line)} if finding.fixture_line else {}
        properties = {"file": shown_path(finding.fixture), **line, **properties}
    else:
        message = f"{finding.source}\n{message}"
    listed = ",".join(f"{name}={_value(value)}" for name, value in properties.items())
    return f"::{level} {listed}::{_data(message)}"


# As @actions/core escapes them, and actions/runner (ActionCommand.cs) reads them back: '%' first.
def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _value(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
