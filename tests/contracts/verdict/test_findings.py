"""Findings are data: complete, printable, free of secrets, and they know their line."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contracts.checker import Result, check
from contracts.fixtures.corpus import ROOT, cases, pointer_in_case, read_case
from contracts.model.violation import Severity, Violation, covers, pointer, printable
from contracts.rules.registry import load_contract
from contracts.verdict.findings import findings
from contracts.verdict.policy import Policy
from contracts.verdict.source_lines import SourceText
from tests.contracts.conftest import RunContracts

PREPARED = "kaizen.schedule.prepared@1"
SPEC_EXAMPLE = ROOT / "kaizen.schedule.prepared" / "1" / "valid" / "spec-example.json"
BROKEN = SPEC_EXAMPLE.read_bytes().replace(b"weekly", b"fortnightly").replace(b"8421", b"-1")
CASES = [*cases(PREPARED, "invalid"), *cases(PREPARED, "warnings")]


def line_of(text: str, at: str) -> int | None:
    return SourceText(text).lines([at])[at]


def _case_text(path: Path) -> SourceText:
    text = path.read_text("utf-8")
    return SourceText(text, pointer_in_case(text))


def _result(found: str = "x", **changes: Any) -> Result:
    violation = Violation("cadence/enum", Severity.ERROR, "/cadence", found, "one of three")
    return Result(**{"source": "a.json", "contract": PREPARED, "payload": {}, "violations": (violation,)} | changes)


# --- lines -----------------------------------------------------------------------------------------------------------

DOCUMENT = """
{
  "a": 1,
  "b": {
    "c": [1,
      {"x/y": 2},
      3],
    "d": {}
  },
  "e": {"c": 4}
}
"""


@pytest.mark.parametrize(
    ("at", "line"),
    [
        ("", 2),
        ("/a", 3),
        ("/b", 4),
        ("/b/c", 5),
        ("/b/c/0", 5),
        ("/b/c/1", 6),
        ("/b/c/1/x~1y", 6),
        ("/b/c/2", 7),
        ("/b/d", 8),
        ("/e/c", 10),
    ],
)
def test_a_pointer_stands_on_the_line_of_its_key_or_item(at: str, line: int) -> None:
    assert line_of(DOCUMENT, at) == line


@pytest.mark.parametrize(("at", "line"), [("/nope", 2), ("/b/nope", 4), ("/b/d/nope", 8), ("/b/c/9", 5), ("/b/…", 4)])
def test_what_is_missing_stands_where_its_parent_does(at: str, line: int) -> None:
    assert line_of(DOCUMENT, at) == line


def test_of_a_key_that_comes_twice_the_last_is_meant() -> None:
    assert line_of('{"a": 1,\n"a": 2}', "/a") == 2


@pytest.mark.parametrize(("text", "line"), [("", None), ("\n \n", None), ("\nnot json", 2), ('{"a":\n[1, }', 1)])
def test_a_text_that_is_no_json_is_read_as_far_as_it_goes(text: str, line: int | None) -> None:
    assert line_of(text, "/a") == line


@pytest.mark.parametrize("text", ["[" * 200_000, '"' + '\\"' * 200_000, '{"a":' * 50_000, "]" * 1000 + "}" * 1000])
@pytest.mark.timeout(20)
def test_hostile_text_costs_linear_time(text: str) -> None:
    assert line_of(text, "/0/0/0") in {1, None}


@given(st.text() | st.text('{}[]:,"ab01 \n\\'), st.lists(st.text("/ab01~")))
@example(",1", ["/cadence"])
@example("]{,", ["/a/0"])
@example('{"a"}:', ["/a"])
def test_any_pointer_has_a_line_or_none_in_any_text(text: str, pointers: list[str]) -> None:
    lines = SourceText(text).lines(pointers)

    assert lines.keys() == set(pointers)
    assert all(line is None or 1 <= line <= text.count("\n") + 1 for line in lines.values())


def test_one_walk_finds_the_lines_of_all_pointers() -> None:
    payload = {f"k{number}": [number] for number in range(20_000)}
    pointers = [f"/k{number}/0" for number in range(20_000)]

    lines = SourceText(json.dumps(payload, indent=0)).lines(pointers)

    assert list(lines.values()) == list(range(3, 60_003, 3))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def _places(value: Any, *path: str | int) -> list[tuple[str | int, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inside for place in _places(item, *path, key))]


@given(JSON_VALUES)
def test_the_line_of_every_place_is_the_one_where_a_printer_put_it(value: Any) -> None:
    """With one line for each key, item and bracket, places come in the order of their lines, each on its own."""
    text = json.dumps(value, indent=0)
    lines = [line_of(text, pointer(*place)) for place in _places(value)]

    assert None not in lines
    assert lines == sorted(set(lines), key=lambda line: line or 0)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_finding_in_a_case_stands_on_the_line_of_the_change(case: Any) -> None:
    text = case.path.read_text("utf-8")
    result = check(case.raw, contract=load_contract(case.contract))

    for finding in findings(result, _case_text(case.path)):
        line = text.splitlines()[(finding.fixture_line or 0) - 1]
        assert finding.fixture_line is not None
        assert finding.fixture_line > text[: text.index('"breaks"')].count("\n") + 1, line


def test_the_change_at_the_pointer_is_preferred_to_one_elsewhere() -> None:
    path = ROOT / "kaizen.schedule.prepared" / "1" / "invalid" / "agent-as-option.json"
    lines = _case_text(path).lines(["/agent", "/session_close/0"])
    written = path.read_text("utf-8").splitlines()

    assert '"/agent"' in written[(lines["/agent"] or 0) - 1]
    assert '"/session_close"' in written[(lines["/session_close/0"] or 0) - 1]


@pytest.mark.parametrize("text", ["", "[]", "3", "{", '{"set": 3}', '{"remove": [[]]}', '{"set": {"": 1}}', "[" * 9999])
def test_a_pointer_has_a_place_in_any_text_that_is_no_case(text: str) -> None:
    SourceText(text, pointer_in_case(text)).lines(["", "/agent"])


# --- findings --------------------------------------------------------------------------------------------------------


def test_a_finding_says_everything_that_a_report_needs() -> None:
    result = check(BROKEN, source="event.json")
    result = Result(
        *(getattr(result, name) for name in ("source", "contract", "payload", "violations", "is_json")),
        fixture=Path("event.json"),
        reproduce="contracts check event.json",
    )

    first, second = findings(result, SourceText(BROKEN.decode()))

    assert (first.rule, first.pointer, first.fixture_line) == ("cadence/enum", "/cadence", 8)
    assert (second.rule, second.pointer, second.fixture_line) == ("bundle.bytes/minimum", "/bundle/bytes", 16)
    assert first.severity is Severity.ERROR
    assert first.found == "'fortnightly'"
    assert first.expected == "one of 'daily', 'weekly', 'monthly'"
    assert first.spec is not None
    assert first.spec_line == 46
    assert (first.source, first.contract) == ("event.json", PREPARED)
    assert first.reproduce == "contracts check event.json"
    assert first.waiver is None


def test_without_its_text_a_finding_has_no_line_and_on_one_line_needs_none() -> None:
    assert next(findings(_result())).fixture_line is None
    assert next(findings(_result(fixture_line=7), SourceText(DOCUMENT))).fixture_line == 7


@pytest.mark.parametrize("hostile", ["a\x1b[31m", "a\r\n::error::b", "\u202egnp.exe", "\udcff", "\x00"])
def test_what_controls_a_terminal_or_a_runner_is_escaped(hostile: str) -> None:
    finding = next(findings(_result(found=hostile, source=hostile, reproduce=f"x {hostile}")))

    assert finding.source.isprintable()
    assert str(finding.reproduce).isprintable()
    assert all(line.isprintable() for line in finding.found.split("\n"))


@given(st.text())
def test_printable_text_is_left_alone_and_all_other_is_escaped(text: str) -> None:
    shown = printable(text)

    assert shown.isprintable()
    assert (shown == text) == text.isprintable()


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("nats://user:hunter22@host/subject", "nats://***@host/subject"),
        ("contracts verify-emitter 'cmd:x --token abcdef'", "contracts verify-emitter 'cmd:x --token ***'"),
        ("TOKEN=abcdef emit", "TOKEN=*** emit"),
        ("curl -H 'Authorization: Bearer abcdefghi'", "curl -H 'Authorization: Bearer ***'"),
        ("contracts check a-token-bucket.json", "contracts check a-token-bucket.json"),
    ],
)
def test_credentials_in_a_command_reach_no_finding(told: str, shown: str) -> None:
    finding = next(findings(_result(reproduce=told, source=told if "//" in told else "a")))

    assert finding.reproduce == shown
    assert "hunter22" not in finding.source


# --- what counts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "rule", "is_meant"),
    [
        ("cadence/enum", "cadence/enum", True),
        ("cadence/*", "cadence/enum", True),
        ("*/enum", "cadence/enum", True),
        ("cadence/enu", "cadence/enum", False),
        ("cad*/enum", "cadence/enum", False),
        ("*/num", "cadence/enum", False),
        ("bundle/*", "bundle.bytes/zero", False),
        ("*", "cadence/enum", False),
    ],
)
def test_a_rule_is_meant_by_its_id_or_its_family(pattern: str, rule: str, *, is_meant: bool) -> None:
    assert covers(pattern, rule) is is_meant


def test_what_is_not_selected_or_is_ignored_is_not_looked_at() -> None:
    result = check(BROKEN)

    assert [each.rule for each in Policy(select=("*/enum",)).judge(result).findings] == ["cadence/enum"]
    assert [each.rule for each in Policy(ignore=("cadence/*",)).judge(result).findings] == ["bundle.bytes/minimum"]
    nothing = Policy(select=("*/enum",), ignore=("cadence/enum",)).judge(result)
    assert nothing.findings == ()
    assert nothing.passes


def test_a_warning_fails_only_where_warnings_do() -> None:
    warning = read_case(min((SPEC_EXAMPLE.parent.parent / "warnings").glob("*.json")))
    result = check(warning.raw)

    assert Policy().judge(result).passes
    assert not Policy(fail_on=Severity.WARNING).judge(result).passes


# --- the command that reproduces a finding ---------------------------------------------------------------------------


def _reproduced(run_contracts: RunContracts, *arguments: str | Path) -> dict[str, Any]:
    _, report, _ = run_contracts("check", "--report", "json", *arguments)
    finding: dict[str, Any] = json.loads(report)["results"][-1]["findings"][0]
    return finding


def test_the_command_makes_the_same_check_alone_whatever_the_file_is_called(
    tmp_path: Path, run_contracts: RunContracts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = "-it's; $(touch owned) 'x'.json"
    Path(name).write_bytes(BROKEN)

    finding = _reproduced(run_contracts, "--contract", PREPARED, "--profile", "consumer", "--", name)

    assert shlex.split(finding["reproduce"]) == [
        *("contracts", "check", f"./{name}", "--contract", PREPARED, "--profile", "consumer")
    ]
    assert _shell(finding["reproduce"], tmp_path).returncode == 1
    assert not Path("owned").exists()


def test_one_line_of_many_is_reproduced_alone(
    tmp_path: Path, run_contracts: RunContracts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = "-captured 'events'.jsonl"
    lines = [json.dumps(json.loads(raw)) for raw in (SPEC_EXAMPLE.read_bytes(), BROKEN)]
    Path(name).write_text("\n".join(["", *lines]), "utf-8")

    finding = _reproduced(run_contracts, "--jsonl", "--", name)

    assert (finding["source"], finding["fixture_line"]) == (f"{name}:3", 3)
    again = _shell(finding["reproduce"], tmp_path)
    assert again.returncode == 1
    assert "0 of 1 payload pass" in again.stdout


def test_what_came_through_a_pipe_names_no_command_and_no_file(run_contracts: RunContracts) -> None:
    _, report, _ = run_contracts("check", "--report", "json", "-", stdin=BROKEN)

    finding = json.loads(report)["results"][0]["findings"][0]
    assert finding["reproduce"] is None
    assert finding["fixture"] is None


def _shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    program = f'contracts() {{ {shlex.quote(sys.executable)} -m contracts "$@"; }}\n{command}\n'
    environment = {"PYTHONPATH": str(Path(__file__).parents[3]), "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        ["bash", "-c", program], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
