"""Reports of a run: one verdict in, one entry out, all from the same findings; most are written as verdicts come."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import ClassVar, Final, Protocol, TextIO

from contracts.verdict.policy import Tally, Verdict


class Report(Protocol):
    """One report being written. `needs_passes` is True where it has an entry for payloads that break no rule."""

    needs_passes: ClassVar[bool]

    def add(self, verdict: Verdict) -> None:
        """Report the next verdict."""

    def close(self, tally: Tally) -> None:
        """Write what comes after the last verdict."""


FORMATS: Final[Mapping[str, str]] = {
    "text": "text:TextReport",
    "json": "json_report:JsonReport",
    "ndjson": "json_report:NdjsonReport",
    "junit": "junit:JUnitReport",
    "sarif": "sarif:SarifReport",
    "gitlab": "gitlab:GitlabReport",
    "github": "github:GithubReport",
    "markdown": "markdown:MarkdownReport",
}
"""Report formats by name, each with its class, which is imported when the format is asked for."""


def make_report(name: str, output: TextIO) -> Report:
    """Start a report in one of `FORMATS` on an open text stream."""
    module, _, class_name = FORMATS[name].partition(":")
    report: Report = getattr(import_module(f"contracts.reports.{module}"), class_name)(output)
    return report
