"""What counts in a run: which findings are selected, which are waived, which fail it, and the sums.

A result lists what is broken; a policy judges it once, so that no two reports of a run can disagree. There are no
data classes here: each adds a millisecond to the start of every `contracts check`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from contracts.checker import Result
from contracts.model.violation import Severity, covers
from contracts.verdict.sources import names_of, shown_source

if TYPE_CHECKING:
    from contracts.verdict.findings import Finding
    from contracts.verdict.source_lines import SourceText
    from contracts.verdict.waivers import Waiver


class Verdict(NamedTuple):
    """A result as its run judges it: the selected findings, and whether they let it pass.

    `source` is what reports call the payload. `is_payload` is False where the run itself was judged, such as its
    waivers. `omitted` counts selected findings that are not listed, by rule; `waived_rules` are those of its rules
    whose omitted findings are waived.
    """

    result: Result
    source: str
    findings: tuple[Finding, ...]
    passes: bool
    is_payload: bool = True
    omitted: Mapping[str, int] = {}
    waived_rules: frozenset[str] = frozenset()


class Policy(NamedTuple):
    """Which findings count: `select` and `ignore` are rules or families (`boundary/*`, `*/required`).

    Without `select` every rule is selected; `ignore` overrides it. `waivers` are those that have not expired.
    """

    fail_on: Severity = Severity.ERROR
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    waivers: tuple[Waiver, ...] = ()

    def looks_at(self, rule: str) -> bool:
        """Return whether findings of a rule are selected."""
        return (not self.select or any(covers(pattern, rule) for pattern in self.select)) and not any(
            covers(pattern, rule) for pattern in self.ignore
        )

    def judge(self, result: Result, text: SourceText | None = None, *, is_payload: bool = True) -> Verdict:
        """Judge one result; `text` is that of its fixture, where lines are wanted."""
        source = shown_source(result)
        if not result.violations:
            return Verdict(result, source, (), passes=True, is_payload=is_payload)
        from contracts.verdict.findings import findings  # noqa: PLC0415 - needed only once something is wrong

        found = tuple(self._waived(each) for each in findings(result, text) if self.looks_at(each.rule))
        passes = all(each.waiver or not self._fails(each.severity) for each in found)
        if not result.omitted:
            return Verdict(result, source, found, passes, is_payload)
        severity = {each.rule: each.severity for each in found}
        omitted = {rule: count for rule, count in result.omitted.items() if rule in severity}
        # Places that are not listed cannot be compared with a waiver's pointer: only one for every place covers them.
        names = names_of(source, result.fixture)
        waived = frozenset(rule for rule in omitted if any(each.covers(rule, None, names) for each in self.waivers))
        passes = passes and not any(self._fails(severity[rule]) for rule in omitted if rule not in waived)
        return Verdict(result, source, found, passes, is_payload, omitted, waived)

    def _fails(self, severity: Severity) -> bool:
        return severity is Severity.ERROR or self.fail_on is Severity.WARNING

    def _waived(self, finding: Finding) -> Finding:
        if not self.waivers:
            return finding
        from dataclasses import replace  # noqa: PLC0415 - beside the finding, which is one

        names = names_of(finding.source, finding.fixture)
        for waiver in self.waivers:
            if waiver.covers(finding.rule, finding.pointer, names):
                return replace(finding, waiver=waiver)
        return finding


class Tally:
    """The sums of a run: `payloads`, and of them `failed`; findings as `errors`, `warnings` and `waived`.

    Of these findings, `omitted` are counted only and not listed. `broken` is True where anything fails the run;
    `error` is why the run could not finish, or None.
    """

    def __init__(self, fail_on: Severity = Severity.ERROR) -> None:
        self.fail_on = fail_on
        self.payloads = self.failed = self.errors = self.warnings = self.waived = self.omitted = 0
        self.broken = False
        self.error: str | None = None

    def add(self, verdict: Verdict) -> None:
        """Count one verdict."""
        self.payloads += verdict.is_payload
        if not verdict.passes:
            self.failed += verdict.is_payload
            self.broken = True
        if not verdict.findings:
            return
        for finding in verdict.findings:
            self._count(finding.severity, 1, is_waived=finding.waiver is not None)
        severity = {each.rule: each.severity for each in verdict.findings} if verdict.omitted else {}
        for rule, count in verdict.omitted.items():
            self.omitted += count
            self._count(severity[rule], count, is_waived=rule in verdict.waived_rules)

    def _count(self, severity: Severity, count: int, *, is_waived: bool) -> None:
        if is_waived:
            self.waived += count
        elif severity is Severity.ERROR:
            self.errors += count
        else:
            self.warnings += count
