"""Results to report: every rule of the contract broken once, and text that wants to break out of a report."""

from __future__ import annotations

import io
from datetime import date
from pathlib import Path

from hypothesis import strategies as st

from contracts.checker import Result, check
from contracts.fixtures.corpus import ROOT, cases
from contracts.model.violation import Severity, Violation
from contracts.reports import make_report
from contracts.rules.registry import load_contract
from contracts.verdict.policy import Policy, Tally
from contracts.verdict.source_lines import SourceText
from contracts.verdict.waivers import Waiver

PREPARED = "kaizen.schedule.prepared@1"
SPEC_EXAMPLE = (ROOT / "kaizen.schedule.prepared" / "1" / "valid" / "spec-example.json").read_bytes()
HOSTILE = [
    "a | b | c",
    "```\n# owned\n```",
    "</td></table><script>alert(1)</script>",
    "<!-- ",
    "[x](javascript:alert(1)) ![x](http://x/y.png) @octocat #1 www.example.org :smile: $x$",
    "x::error file=y::z\n::set-output name=a::b\n##[add-path]/tmp",
    "100%0A::warning::x, y: z",
    ']]></failure></testcase><testcase name="',
    '", "pass": true, "x": "',
    "\x1b[2J\x1b]0;owned\x07",
    "\x00\x0b\ufffe",
    "\udcff",
    "\u202eevil\u2028next",
    "",
]
HOSTILE_TEXT = st.sampled_from(HOSTILE) | st.text()
LENIENT = Policy()
WAIVER = Waiver(0, 1, "cadence/enum", "old | emitter\n::error::x", "<b>ops</b>", date(2026, 12, 31))


def write(name: str, results: list[Result], policy: Policy = LENIENT, *, error: str | None = None) -> str:
    output, tally = io.StringIO(), Tally(policy.fail_on)
    report = make_report(name, output)
    for result in results:
        verdict = policy.judge(result, SourceText('{\n"cadence": 1}'))
        tally.add(verdict)
        report.add(verdict)
    tally.error = error
    report.close(tally)
    return output.getvalue()


def hostile(text: str) -> Result:
    violation = Violation("cadence/enum", Severity.ERROR, f"/cadence/{text}", text, text, text, text, 46)
    source, file = f"{text}.json", f"fixtures/{text}.json".replace("\x00", "")
    return Result(source, PREPARED, {}, (violation,), fixture=Path(file), reproduce=f"contracts check {text}")


def _all_results() -> list[Result]:
    every = [check(case.raw, source=case.name, contract=load_contract(case.contract)) for case in cases(PREPARED)]
    return [*every, Result("waivers.toml", None, None, (WAIVER.broken("waiver/unused"),), fixture=Path("waivers.toml"))]


ALL = _all_results()
FOUND = [violation for result in ALL for violation in result.violations]
