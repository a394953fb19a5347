"""What counts in a run: which findings are looked at, which are waived, which fail it, and what that adds up to.

A result says what is broken; a policy judges it, once, so that no two reports of a run can disagree. No data
classes here: each costs a millisecond of the start of every `contracts check`, which this module is part of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from contracts.check import Result
from contracts.model.violation import Severity, covers
from contracts.verdict.sources import names_of, shown_source

if TYPE_CHECKING:
    from contracts.verdict.findings import Finding
    from contracts.verdict.waivers import Waiver


class Verdict(NamedTuple):
    """A result as its run judges it: the findings that were asked for, and whether they let it pass.

    `source` is what reports call the payload. `is_payload` is False where the run itself was judged, such as its
    waivers.
    """

    result: Result
    source: str
    findings: tuple[Finding, ...]
    passes: bool
    is_payload: bool = True


class Policy(NamedTuple):
    """Which findings count: `select` and `ignore` are rules or families (`boundary/*`, `*/required`).

    Without `select` every rule is looked at; `ignore` weighs more. `waivers` are those that still hold.
    """

    fail_on: Severity = Severity.ERROR
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    waivers: tuple[Waiver, ...] = ()

    def looks_at(self, rule: str) -> bool:
        """Say whether findings of a rule are wanted."""
        return (not self.select or any(covers(pattern, rule) for pattern in self.select)) and not any(
            covers(pattern, rule) for pattern in self.ignore
        )

    def judge(self, result: Result, text: str | None = None, *, is_payload: bool = True) -> Verdict:
        """Judge one result; `text` is that of its fixture, where lines are wanted."""
        source = shown_source(result)
        if not result.violations:
            return Verdict(result, source, (), passes=True, is_payload=is_payload)
        from contracts.verdict.findings import findings  # noqa: PLC0415 - needed only once something is wrong

        found = tuple(self._waived(each) for each in findings(result, text) if self.looks_at(each.rule))
        passes = all(each.waiver or not self._fails(each.severity) for each in found)
        return Verdict(result, source, found, passes, is_payload)

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
    """What a run adds up to: `payloads`, and of them `failed`; findings as `errors`, `warnings` and `waived`.

    `broken` says whether anything fails the run, `error` why it could not do all that it was asked, or None.
    """

    def __init__(self, fail_on: Severity = Severity.ERROR) -> None:
        self.fail_on = fail_on
        self.payloads = self.failed = self.errors = self.warnings = self.waived = 0
        self.broken = False
        self.error: str | None = None

    def add(self, verdict: Verdict) -> None:
        """Count one verdict."""
        self.payloads += verdict.is_payload
        if not verdict.passes:
            self.failed += verdict.is_payload
            self.broken = True
        for finding in verdict.findings:
            if finding.waiver:
                self.waived += 1
            elif finding.severity is Severity.ERROR:
                self.errors += 1
            else:
                self.warnings += 1
