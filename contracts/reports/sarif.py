"""SARIF 2.1.0 (OASIS): the report that code scanning reads, with every rule's help and each finding's file and line."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import Any, Final, TextIO
from urllib.parse import quote_from_bytes

from contracts.model.violation import Rule
from contracts.reports.provenance import place, tool_version
from contracts.rules.registry import Contract, load_contract
from contracts.verdict.findings import Finding
from contracts.verdict.policy import Tally, Verdict

_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_ROOT: Final = "%SRCROOT%"


class SarifReport:
    """Collects findings, since rules stand before results; memory grows with the findings, not the payloads."""

    needs_passes = True

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._contracts: set[str] = set()
        self._rules: dict[str, dict[str, Any]] = {}
        self._index: dict[str, int] = {}
        self._results: list[dict[str, Any]] = []
        self._seen: Counter[str] = Counter()

    def add(self, verdict: Verdict) -> None:
        """Add the findings of one verdict, and the rules of its contract."""
        name = verdict.result.contract
        if name and name not in self._contracts:
            self._contracts.add(name)
            contract = load_contract(name)
            for rule in contract.rules.values():
                self._describe(rule, contract)
        self._results += [self._result(finding) for finding in verdict.findings]

    def close(self, tally: Tally) -> None:
        """Write the document."""
        driver = {"name": "contracts", "version": tool_version(), "rules": list(self._rules.values())}
        invocation: dict[str, Any] = {"executionSuccessful": tally.error is None}
        if tally.error is not None:
            notification = {"level": "error", "message": {"text": tally.error}}
            invocation["toolExecutionNotifications"] = [notification]
        run = {
            "tool": {"driver": driver},
            "invocations": [invocation],
            "originalUriBaseIds": {_ROOT: {"description": {"text": "the checkout, or the working directory"}}},
            "columnKind": "unicodeCodePoints",
            "results": self._results,
        }
        json.dump({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, self._output, indent=1)
        self._output.write("\n")

    def _describe(self, rule: Rule, contract: Contract | None) -> None:
        """Describe a rule; where two contracts have it, with what each says."""
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
        result: dict[str, Any] = {
            "ruleId": finding.rule,
            "ruleIndex": self._index[finding.rule],
            "level": str(finding.severity),
            "message": {"text": finding.message},
            "locations": [_location(finding)],
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
        """Tell a finding again in the next run: what and where, without lines and values, and which of its like."""
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


def _location(finding: Finding) -> dict[str, Any]:
    location: dict[str, Any] = {
        "logicalLocations": [{"name": finding.source, "fullyQualifiedName": f"{finding.source}#{finding.pointer}"}]
    }
    if finding.fixture:
        path, is_relative = place(finding.fixture)
        uri = quote_from_bytes(path.encode("utf-8", "surrogateescape"), safe="/~")
        artifact = {"uri": uri, "uriBaseId": _ROOT} if is_relative else {"uri": f"file://{uri}"}
        region = {"region": {"startLine": finding.fixture_line}} if finding.fixture_line else {}
        location["physicalLocation"] = {"artifactLocation": artifact, **region}
    return location
