"""Findings, from which every report is made: the broken rule, its place, and a command that reproduces it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.checker import Result
from contracts.model.secrets import mask
from contracts.model.violation import Severity, printable
from contracts.verdict.source_lines import SourceText
from contracts.verdict.sources import shown_source

if TYPE_CHECKING:
    from contracts.verdict.waivers import Waiver


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken rule, as data. Free of secrets; printable but for line breaks in `found`.

    `pointer` is an RFC 6901 JSON pointer, '' the whole payload. `source` is what the payload is called, `contract`
    is `subject@version` or None. `fixture` is the file that the finding is about and `fixture_line` its line there,
    1 being the first. `reproduce` is a shell command. `waiver` is set where the finding is waived.
    """

    rule: str
    severity: Severity
    pointer: str
    expected: str
    found: str
    nearest: str | None
    spec: str | None
    spec_line: int | None
    source: str
    contract: str | None
    fixture: Path | None
    fixture_line: int | None
    reproduce: str | None
    waiver: Waiver | None = None

    @property
    def message(self) -> str:
        """Describe in one line what was found where, what was expected, and the nearest valid value."""
        text = f"{self.pointer or '(payload)'}: found {self.found}, expected {self.expected}"
        return text + (f"; nearest: {self.nearest}" if self.nearest else "")


def findings(result: Result, text: SourceText | None = None) -> Iterator[Finding]:
    """Yield a result's findings in document order; `text` is that of its fixture, where lines are wanted."""
    source, reproduce = shown_source(result), result.reproduce and printable(mask(result.reproduce))
    lines: Mapping[str, int | None] = {}
    if text is not None and result.fixture_line is None:
        lines = text.lines(each.pointer for each in result.violations)
    for each in result.violations:
        yield Finding(
            rule=each.rule,
            severity=each.severity,
            pointer=printable(each.pointer),
            expected=printable(each.expected),
            found="\n".join(printable(line) for line in each.found.splitlines()),
            nearest=each.nearest and printable(each.nearest),
            spec=each.spec and printable(each.spec),
            spec_line=each.spec_line,
            source=source,
            contract=result.contract,
            fixture=result.fixture,
            fixture_line=result.fixture_line or lines.get(each.pointer),
            reproduce=reproduce,
        )
