"""GitLab's code quality report: a JSON array that merge requests show beside the lines they change."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import Any, Final, TextIO

from contracts.model.counted import counted
from contracts.model.violation import Severity, printable
from contracts.reports.provenance import location
from contracts.verdict.findings import Finding
from contracts.verdict.policy import Tally, Verdict

_SEVERITY: Final = {Severity.ERROR: "major", Severity.WARNING: "minor"}


class GitlabReport:
    """Writes one entry for each finding as it comes; of findings that are not listed, one for each rule."""

    needs_passes = False

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._between = "\n "
        self._seen: Counter[str] = Counter()
        output.write("[")

    def add(self, verdict: Verdict) -> None:
        """Write the findings of one verdict."""
        last = {}
        for finding in verdict.findings:
            last[finding.rule] = finding
            waiver = finding.waiver
            waived = f" (waived by {waiver.owner} until {waiver.expires}: {waiver.reason})" if waiver else ""
            self._write(finding, finding.message + waived, is_waived=waiver is not None)
        for rule, count in verdict.omitted.items():
            message = f"{counted(count, 'more violation')} of this rule"
            self._write(last[rule], message, is_waived=rule in verdict.waived_rules)

    def close(self, tally: Tally) -> None:
        """Write why the run could not finish, where it could not, and end the array."""
        if tally.error is not None:
            entry = {
                "description": " ".join(printable(line) for line in tally.error.splitlines()) or "could not finish",
                "check_name": "contracts",
                "fingerprint": hashlib.sha256(tally.error.encode("utf-8", "backslashreplace")).hexdigest()[:32],
                "severity": "blocker",
                "location": {"path": "contracts.toml", "lines": {"begin": 1}},
            }
            self._put(entry)
        self._output.write("\n]\n")

    def _write(self, finding: Finding, message: str, *, is_waived: bool) -> None:
        at = location(finding)
        path = printable(at.path)
        where = (finding.rule, finding.contract or "", finding.pointer, finding.source if at.is_stand_in else path)
        digest = hashlib.sha256("\0".join(where).encode("utf-8", "backslashreplace")).hexdigest()[:32]
        self._seen[digest] += 1
        self._put(
            {
                "description": printable(f"{finding.source}: {message}" if at.is_stand_in else message),
                "check_name": finding.rule,
                "fingerprint": f"{digest}:{self._seen[digest]}",
                "severity": "info" if is_waived else _SEVERITY[finding.severity],
                "location": {"path": path, "lines": {"begin": at.line}},
            }
        )

    def _put(self, entry: dict[str, Any]) -> None:
        self._output.write(self._between + json.dumps(entry, ensure_ascii=False))
        self._between = ",\n "
