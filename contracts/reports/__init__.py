"""Reports of a check: one result in, one entry out, as they come; memory stays flat but for JUnit's."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Final, Protocol, TextIO

from contracts.check import Result
from contracts.errors import BadInput
from contracts.suggestion import nearest
from contracts.violation import Severity


class Report(Protocol):
    """One report being written."""

    def add(self, result: Result) -> None:
        """Take the next result."""

    def close(self) -> None:
        """Write what comes after the last result."""


FORMATS: Final[Mapping[str, str]] = {
    "text": "text:TextReport",
    "json": "json_report:JsonReport",
    "junit": "junit:JUnitReport",
}
"""Report formats by name, each with its class, which is imported when it is asked for."""


@contextmanager
def open_report(spec: str, fail_on: Severity) -> Iterator[Report]:
    """Open the report that `FORMAT[=PATH]` asks for; without a path it goes to standard output.

    Raises:
        BadInput: no such format (names the nearest), or the file cannot be written.
    """
    name, _, path = spec.partition("=")
    if name not in FORMATS:
        near = nearest(name, FORMATS)
        raise BadInput(
            f"no report format {name!r}"
            + (f"; did you mean {near!r}?" if near else "")
            + f"\n  known: {', '.join(FORMATS)}"
        )
    if not path:
        report = _make(name, sys.stdout, fail_on)
        yield report
        report.close()
        return
    try:
        file = Path(path).open("w", encoding="utf-8")  # noqa: SIM115 - closed below; opening alone may be refused
    except OSError as error:
        raise BadInput(f"cannot write the {name} report to {path}: {error.strerror}") from None
    with file:
        report = _make(name, file, fail_on)
        yield report
        report.close()


def _make(name: str, output: TextIO, fail_on: Severity) -> Report:
    module, _, class_name = FORMATS[name].partition(":")
    report: Report = getattr(import_module(f"contracts.reports.{module}"), class_name)(output, fail_on)
    return report
