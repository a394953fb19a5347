"""The report that every CI reads: JUnit XML, one test case for each payload."""

from __future__ import annotations

import html
import re
from typing import TextIO

from contracts.check import Result
from contracts.violation import Severity

# XML 1.0 section 2.2: characters that no escape can express.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class JUnitReport:
    """Collects test cases, since the suite's counts stand before them; memory grows with the payloads."""

    def __init__(self, output: TextIO, fail_on: Severity) -> None:
        self._output, self._fail_on = output, fail_on
        self._cases: list[str] = []
        self._failed = 0

    def add(self, result: Result) -> None:
        """Add one payload as a test case; each violation that fails it is in the failure's text."""
        head = f"<testcase classname={_attribute(result.contract or 'no contract')} name={_attribute(result.source)}"
        lines = "\n".join(f"{violation.severity}: {violation}" for violation in result.violations)
        if result.passes(self._fail_on):
            self._cases.append(f"{head}><system-out>{_text(lines)}</system-out></testcase>" if lines else f"{head}/>")
            return
        self._failed += 1
        rules = ", ".join(dict.fromkeys(violation.rule for violation in result.violations))
        self._cases.append(
            f'{head}><failure type="contract" message={_attribute(rules)}>{_text(lines)}</failure></testcase>'
        )

    def close(self) -> None:
        """Write the document."""
        counts = f'tests="{len(self._cases)}" failures="{self._failed}" errors="0" skipped="0"'
        body = "".join(f"    {case}\n" for case in self._cases)
        self._output.write(
            f'<?xml version="1.0" encoding="utf-8"?>\n<testsuites {counts}>\n'
            f'  <testsuite name="contracts check" {counts}>\n{body}  </testsuite>\n</testsuites>\n'
        )


def _text(text: str) -> str:
    return html.escape(_NOT_XML.sub("\ufffd", text), quote=False)


def _attribute(text: str) -> str:
    """Quote for an attribute; line breaks as references, which a parser would otherwise read as spaces."""
    return '"' + html.escape(_NOT_XML.sub("\ufffd", text)).replace("\n", "&#10;") + '"'
