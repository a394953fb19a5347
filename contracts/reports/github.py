"""Annotations: the workflow commands that the runners of GitHub and Gitea Actions read from either output stream."""

from __future__ import annotations

from typing import TextIO

from contracts.reports.provenance import shown_path
from contracts.verdict.findings import Finding
from contracts.verdict.policy import Tally, Verdict


class GithubReport:
    """Writes one annotation for each finding: an error, a warning, or a notice where it is waived."""

    needs_passes = False

    def __init__(self, output: TextIO) -> None:
        self._output = output

    def add(self, verdict: Verdict) -> None:
        """Annotate the findings of one verdict."""
        for finding in verdict.findings:
            self._output.write(_annotation(finding) + "\n")

    def close(self, tally: Tally) -> None:
        """Annotate why the run could not do all that it was asked, where it could not."""
        if tally.error is not None:
            self._output.write(f"::error title=contracts::{_data(tally.error)}\n")


def _annotation(finding: Finding) -> str:
    level, title, message = str(finding.severity), finding.rule, finding.message
    if finding.waiver:
        waiver = finding.waiver
        level, title = "notice", f"{finding.rule} (waived)"
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
