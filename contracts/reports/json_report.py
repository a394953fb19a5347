"""The reports for programs: one JSON document, or one finding a line. report.schema.json describes both."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TextIO

from contracts.model.violation import printable
from contracts.reports.provenance import Digests, shown_path, tool_version
from contracts.verdict.findings import Finding
from contracts.verdict.policy import Tally, Verdict

REPORT_VERSION: Final = "1"
"""Changes when readers of the report have to change."""

SCHEMA_FILE: Final = Path(__file__).parent / "report.schema.json"
"""JSON Schema 2020-12 of the JSON report; of NDJSON its `$defs` describe the lines."""


def finding_data(finding: Finding) -> dict[str, Any]:
    """Return a finding as JSON data."""
    waiver = finding.waiver
    return {
        "rule": finding.rule,
        "severity": finding.severity,
        "pointer": finding.pointer,
        "expected": finding.expected,
        "found": finding.found,
        "nearest": finding.nearest,
        "spec": finding.spec,
        "spec_line": finding.spec_line,
        "source": finding.source,
        "contract": finding.contract,
        "fixture": finding.fixture and shown_path(finding.fixture),
        "fixture_line": finding.fixture_line,
        "reproduce": finding.reproduce,
        "waived": waiver
        and {"reason": printable(waiver.reason), "owner": printable(waiver.owner), "expires": str(waiver.expires)},
    }


def _head() -> dict[str, str]:
    return {"report_version": REPORT_VERSION, "tool": "contracts", "tool_version": tool_version()}


def _summary(tally: Tally) -> dict[str, Any]:
    return {
        "passes": not tally.broken and tally.error is None,
        "payloads": tally.payloads,
        "failed": tally.failed,
        "errors": tally.errors,
        "warnings": tally.warnings,
        "waived": tally.waived,
        "omitted": tally.omitted,
        "fail_on": tally.fail_on,
        "error": tally.error,
    }


class JsonReport:
    """Writes verdicts as they come: memory does not grow with the number of payloads."""

    needs_passes = True

    def __init__(self, output: TextIO) -> None:
        self._output, self._digests = output, Digests()
        self._between = "\n  "
        output.write(json.dumps(_head())[:-1] + ', "results": [')

    def add(self, verdict: Verdict) -> None:
        """Write one verdict with its findings."""
        result = verdict.result
        if result.contract:
            self._digests.contract(result.contract)
        fixture = result.fixture
        entry = {
            "source": verdict.source,
            "contract": result.contract,
            "pass": verdict.passes,
            "fixture": fixture and {"path": shown_path(fixture), "sha256": self._digests.fixture(fixture)},
            "findings": [finding_data(each) for each in verdict.findings],
            "omitted": verdict.omitted,
        }
        self._output.write(self._between + _line(entry))
        self._between = ",\n  "

    def close(self, tally: Tally) -> None:
        """Write the digests of the contracts and the sums, and end the document."""
        contracts = {name: {"sha256": digest} for name, digest in sorted(self._digests.contracts.items())}
        self._output.write(f'\n], "contracts": {_line(contracts)}, "summary": {_line(_summary(tally))}}}\n')


class NdjsonReport:
    """Writes one JSON object for each finding as it comes, then one with the sums.

    Of findings that are not listed there is one object for each payload and rule. `kind` names what an object is.
    """

    needs_passes = False

    def __init__(self, output: TextIO) -> None:
        self._output = output

    def add(self, verdict: Verdict) -> None:
        """Write the findings of one verdict, a line each."""
        for finding in verdict.findings:
            self._output.write(_line({"kind": "finding", **finding_data(finding)}) + "\n")
        for rule, count in verdict.omitted.items():
            self._output.write(
                _line({"kind": "omitted", "source": verdict.source, "rule": rule, "count": count}) + "\n"
            )

    def close(self, tally: Tally) -> None:
        """Write the last line: tool, version and sums."""
        self._output.write(_line({"kind": "summary", **_head(), **_summary(tally)}) + "\n")


def _line(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)
