"""Rules of a run itself, beside those of a contract and those on how an emitter behaves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from contracts.model.violation import Rule, Severity

RUN_RULES: Final[Mapping[str, Rule]] = {
    name: Rule(name, Severity.ERROR, expected, None, None, None)
    for name, expected in (
        ("fixture/breaks", "exactly the rules that the fixture names"),
        ("waiver/expired", "a waiver that has not expired: fix the finding, or agree on a new date"),
        ("waiver/unused", "a waiver that still covers a finding: remove this entry"),
    )
}
"""Rule id -> rule."""
