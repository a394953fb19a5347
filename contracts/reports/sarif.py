"""SARIF 2.1.0 (OASIS): the report that code scanning reads, with every rule's help and each finding's file and line."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import Any, Final, TextIO
from urllib.parse import quote_from_bytes

from contracts.model.counted import counted
from contracts.model.violation import Rule, Severity
from contracts.reports.provenance import Location, location, place, tool_version
from contracts.rules.registry import Contract, load_contract
from contracts.verdict.findings import Finding
from contracts.verdict.policy import Tally, Verdict

_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_ROOT: Final = "%SRCROOT%"
MOST_RESULTS: Final = 25_000
"""GitHub refuses the upload of a run with more results."""


class SarifReport:
    """Collects findings, because rules come before results. Beyond 25,000, errors are kept rather than warnings."""

    needs_passes = True

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._contracts: set[str] = set()
        self._rules: dict[str, dict[str, Any]] = {}
        self._index: dict[str, int] = {}
        self._errors: list[dict[str, Any]] = []
        self._others: list[dict[str, Any]] = []
        self._seen: Counter[str] = Counter()

    def add(self, verdict: Verdict) -> None:
        """Add the findings of one verdict, and the rules of its contract."""
        name = verdict.result.contract
        if name and name not in self._contracts:
            self._contracts.add(name)
            contract = load_contract(name)
            for rule in contract.rules.values():
                self._describe(rule, contract)
        for finding in verdict.findings:
            kept = self._errors if finding.severity is Severity.ERROR and not finding.waiver else self._others
            if len(kept) < MOST_RESULTS:
                kept.append(self._result(finding))

    def close(self, tally: Tally) -> None:
        """Write the document."""
        driver = {"name": "contracts", "version": tool_version(), "rules": list(self._rules.values())}
        results = [*self._errors, *self._others][:MOST_RESULTS]
        invocation: dict[str, Any] = {"executionSuccessful": tally.error is None}
        notifications = []
        if tally.error is not None:
            notifications.append({"level": "error", "message": {"text": tally.error}})
        if left := tally.errors + tally.warnings + tally.waived - len(results):
            text = f"{counted(left, 'more finding')} of this run omitted from this report"
            notifications.append({"level": "warning", "message": {"text": text}})
        if notifications:
            invocation["toolExecutionNotifications"] = notifications
        run = {
            "tool": {"driver": driver},
            "invocations": [invocation],
            "originalUriBaseIds": {_ROOT: {"description": {"text": "the checkout, or the working directory"}}},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }
        json.dump({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, self._output, indent=1)
        self._output.write("\n")

    def _describe(self, rule: Rule, contract: Contract | None) -> None:
        """Describe a rule; where two contracts have it, with the text of each."""
        help_text = _help(rule, contract)
        known = self._rules.get(rule.id)
        if known is not None:
            known["help"]["text"] += f"\n\n{help_text}"
            return
        self._index[rule.id] = len(self._rules)
        self._rules[rule.id] = {
            "id": rule.id,
            "shortDescription": {"text": f"expected: {rule.expected}"},
            "help": {"text": help_text},
            "defaultConfiguration": {"level": str(rule.severity)},
        }

    def _result(self, finding: Finding) -> dict[str, Any]:
        if finding.rule not in self._rules:  # a rule of the run, not of a contract
            self._describe(Rule(finding.rule, finding.severity, finding.expected, None, None, None), None)
        at = location(finding)
        result: dict[str, Any] = {
            "ruleId": finding.rule,
            "ruleIndex": self._index[finding.rule],
            "level": str(finding.severity),
            "message": {"text": f"{finding.source}: {finding.message}" if at.is_stand_in else finding.message},
            "locations": [_location(finding, at)],
            "partialFingerprints": {"contracts/v1": self._fingerprint(finding)},
        }
        if finding.reproduce:
            result["properties"] = {"reproduce": finding.reproduce}
        if finding.waiver:
            waiver = finding.waiver
            why = f"{waiver.owner}, until {waiver.expires}: {waiver.reason}"
            result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": why}]
        return result

    def _fingerprint(self, finding: Finding) -> str:
        """Return what identifies a finding in the next run: rule and place without line and value, and its number."""
        where = place(finding.fixture)[0] if finding.fixture else finding.source
        parts = (finding.rule, finding.contract or "", finding.pointer, where)
        digest = hashlib.sha256("\0".join(parts).encode("utf-8", "backslashreplace")).hexdigest()[:32]
        self._seen[digest] += 1
        return f"{digest}:{self._seen[digest]}"


def _help(rule: Rule, contract: Contract | None) -> str:
    lines = [f"Expected: {rule.expected}."]
    if contract is not None:
        lines[0] = f"{contract.name} expects: {rule.expected}."
        if rule.spec:
            lines.append(f"Spec, line {rule.spec_line}: {rule.spec}")
        lines += [f"Decision: {each.decision} ({each.reason})" for each in contract.decisions if each.covers(rule.id)]
    return "\n".join((*lines, f"More: contracts explain '{rule.id}'"))


def _location(finding: Finding, at: Location) -> dict[str, Any]:
    uri = quote_from_bytes(at.path.encode("utf-8", "surrogateescape"), safe="/~")
    return {
        "logicalLocations": [{"name": finding.source, "fullyQualifiedName": f"{finding.source}#{finding.pointer}"}],
        "physicalLocation": {
            "artifactLocation": {"uri": uri, "uriBaseId": _ROOT},
            "region": {"startLine": at.line},
        },
    }
