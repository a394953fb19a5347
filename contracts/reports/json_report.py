"""The report for programs: one JSON document, one line for each payload."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TextIO

from contracts.check import Result
from contracts.violation import Severity

REPORT_VERSION = "1"


class JsonReport:
    """Writes results as they come, so that a report of a million payloads costs no memory."""

    def __init__(self, output: TextIO, fail_on: Severity) -> None:
        self._output, self._fail_on = output, fail_on
        self._payloads = self._failed = 0
        from importlib.metadata import version  # noqa: PLC0415 - 26 ms that the other reports do not need

        head = {
            "report_version": REPORT_VERSION,
            "tool": "contracts",
            "tool_version": version("kaizen-event-kit"),
        }
        output.write(json.dumps(head)[:-1] + ', "results": [')

    def add(self, result: Result) -> None:
        """Write one result."""
        passes = result.passes(self._fail_on)
        entry = {
            "source": result.source,
            "contract": result.contract,
            "pass": passes,
            "violations": [asdict(violation) for violation in result.violations],
        }
        self._output.write((",\n  " if self._payloads else "\n  ") + json.dumps(entry, ensure_ascii=False))
        self._payloads += 1
        self._failed += not passes

    def close(self) -> None:
        """Write the sums and end the document."""
        summary = {"payloads": self._payloads, "failed": self._failed, "fail_on": self._fail_on}
        self._output.write(f'\n], "summary": {json.dumps(summary)}}}\n')
