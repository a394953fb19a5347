"""JUnit XML, which nearly every CI server reads: one test case for each payload."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterator
from typing import TextIO

from contracts.model.counted import counted
from contracts.reports.provenance import shown_path
from contracts.verdict.findings import Finding
from contracts.verdict.policy import Tally, Verdict

# XML 1.0 section 2.2: characters that no escape can express.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class JUnitReport:
    """Collects test cases, since the suite's counts stand before them; memory grows with the payloads."""

    needs_passes = True

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._cases: list[str] = []
        self._failed = 0
        self._names: Counter[str] = Counter()

    def add(self, verdict: Verdict) -> None:
        """Add one payload as a test case; its findings are properties, and text of the failure or the output."""
        contract = verdict.result.contract or "no contract"
        head = f"<testcase classname={_attribute(contract)} name={_attribute(self._unique(verdict.source))}"
        if not verdict.findings:
            self._cases.append(f"{head}/>")
            return
        omitted = (f"{counted(count, 'more violation')} [{rule}]" for rule, count in verdict.omitted.items())
        lines = _text("\n".join((*map(_line, verdict.findings), *omitted)))
        if verdict.passes:
            body = f"<system-out>{lines}</system-out>"
        else:
            self._failed += 1
            rules = ", ".join(dict.fromkeys(each.rule for each in verdict.findings if not each.waiver))
            body = f'<failure type="contract" message={_attribute(rules)}>{lines}</failure>'
        self._cases.append(f"{head}>{_properties(verdict)}{body}</testcase>")

    def close(self, tally: Tally) -> None:
        """Write the document. The reason why a run could not finish is an error in it."""
        if tally.error is not None:
            error = f"<error type={_attribute('run')} message={_attribute(tally.error)}/>"
            name = _attribute(self._unique("run"))
            self._cases.append(f'<testcase classname="contracts" name={name}>{error}</testcase>')
        errors = int(tally.error is not None)
        counts = f'tests="{len(self._cases)}" failures="{self._failed}" errors="{errors}" skipped="0"'
        body = "".join(f"    {case}\n" for case in self._cases)
        self._output.write(
            f'<?xml version="1.0" encoding="utf-8"?>\n<testsuites {counts}>\n'
            f'  <testsuite name="contracts" {counts}>\n{body}  </testsuite>\n</testsuites>\n'
        )

    def _unique(self, name: str) -> str:
        """Return a name that no other test case has: readers merge those with one name."""
        name = _NOT_XML.sub("\ufffd", name)
        self._names[name] += 1
        if self._names[name] == 1:
            return name
        return self._unique(f"{name} ({self._names[name]})")


def _line(finding: Finding) -> str:
    waived = f" (waived by {finding.waiver.owner}: {finding.waiver.reason})" if finding.waiver else ""
    return f"{finding.severity}: {finding.message} [{finding.rule}]{waived}"


def _properties(verdict: Verdict) -> str:
    """Return rule, pointer and place of each finding, in their order, then the command that reproduces them."""
    return f"<properties>{''.join(_property(*each) for each in _named_values(verdict))}</properties>"


def _named_values(verdict: Verdict) -> Iterator[tuple[str, str]]:
    for finding in verdict.findings:
        yield "rule", finding.rule
        yield "pointer", finding.pointer
        if finding.fixture:
            yield "fixture", shown_path(finding.fixture) + (f":{finding.fixture_line}" if finding.fixture_line else "")
    for rule, count in verdict.omitted.items():
        yield f"omitted {rule}", str(count)
    if reproduce := verdict.findings[0].reproduce:
        yield "reproduce", reproduce


def _property(name: str, value: str) -> str:
    return f"<property name={_attribute(name)} value={_attribute(value)}/>"


def _text(text: str) -> str:
    return html.escape(_NOT_XML.sub("\ufffd", text), quote=False)


def _attribute(text: str) -> str:
    """Quote for an attribute; line breaks as references, which a parser would otherwise read as spaces."""
    return '"' + html.escape(_NOT_XML.sub("\ufffd", text)).replace("\n", "&#10;") + '"'
