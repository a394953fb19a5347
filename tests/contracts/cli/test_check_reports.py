"""`--report`: each reader gets its own, all say the same, and a report that cannot be written is no pass."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

import junitparser
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from contracts import load_contract
from contracts.fixtures.corpus import cases
from tests.support.payloads import PREPARED, SPEC_EXAMPLE_PATH, event

CONTRACTS = Path(sys.executable).parent / "contracts"
INVALID = [case.path for case in cases(PREPARED, "invalid")][:20]
NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), max_size=20)


@pytest.fixture
def payloads(tmp_path: Path) -> list[Path]:
    """Three payloads: one with a warning, one that breaks two rules, one that is right."""
    written = {"warned": event(bundle={"bytes": 0}), "broken": event(cadence="Weekly", repo="X"), "right": event()}
    for name, payload in written.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(payload), "utf-8")
    return [tmp_path / f"{name}.json" for name in written]


def _junit(report: str) -> list[junitparser.TestCase]:
    (suite,) = junitparser.JUnitXml.fromstring(report.encode())
    return list(suite)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(NAMES)
@example("\x1b[31m\n\u202e'\"<&]]>")
def test_every_report_reads_back_whatever_a_file_name_and_a_value_hold(
    tmp_path: Path, run_contracts: Any, text: str
) -> None:
    path = tmp_path / f"a{text}b.json"
    path.write_text(json.dumps(event(cadence=f"x{text}", repo=f"-{text}")), "utf-8")

    reports = {name: run_contracts("check", "--report", name, path)[1] for name in ("text", "json", "junit")}

    path.unlink()
    (result,) = json.loads(reports["json"])["results"]
    (case,) = _junit(reports["junit"])
    rules = list(dict.fromkeys(finding["rule"] for finding in result["findings"]))
    assert "cadence/enum" in rules
    assert case.result[0].message == ", ".join(rules)
    assert all(f"[{rule}]" in reports["text"] for rule in rules)
    assert reports["text"].replace("\n", "").isprintable()


def test_the_json_report_holds_every_violation_and_the_sums(payloads: list[Path], run_contracts: Any) -> None:
    _, report, _ = run_contracts("check", "--report", "json", *payloads)
    _, strict, _ = run_contracts("check", "--report", "json", "--fail-on", "warning", *payloads)

    results = json.loads(report)["results"]
    assert [(result["pass"], len(result["findings"])) for result in results] == [(True, 1), (False, 2), (True, 0)]
    assert {result["contract"] for result in results} == {PREPARED}
    wanted = {
        "rule": "cadence/enum",
        "severity": "error",
        "pointer": "/cadence",
        "found": "'Weekly'",
        "expected": "one of 'daily', 'weekly', 'monthly'",
        "nearest": "'weekly'",
        "spec": "cadence string daily | weekly | monthly",
        "spec_line": load_contract(PREPARED).rules["cadence/enum"].spec_line,
    }
    assert results[1]["findings"][1].items() >= wanted.items()
    assert json.loads(report)["summary"].items() >= {"payloads": 3, "failed": 1, "fail_on": "error"}.items()
    assert json.loads(strict)["summary"]["failed"] == 2


def test_the_junit_report_has_one_case_for_each_payload_and_fails_those_that_break(
    payloads: list[Path], run_contracts: Any
) -> None:
    found = _junit(run_contracts("check", "--report", "junit", *payloads)[1])
    strict = _junit(run_contracts("check", "--report", "junit", "--fail-on", "warning", *payloads)[1])

    assert [[type(item).__name__ for item in case.result] for case in found] == [[], ["Failure"], []]
    assert [bool(case.result) for case in strict] == [True, True, False]
    assert found[1].classname == PREPARED
    assert found[1].result[0].message == "repo/pattern, cadence/enum"
    assert len(found[1].result[0].text.splitlines()) == 2
    assert "bundle.bytes/zero" in found[0].system_out


def test_the_junit_report_counts_as_its_readers_expect(payloads: list[Path], run_contracts: Any) -> None:
    (suite,) = junitparser.JUnitXml.fromstring(run_contracts("check", "--report", "junit", *payloads)[1].encode())

    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (3, 1, 0, 0)


def test_the_text_report_shows_what_broke_and_where_and_the_line_of_the_spec(
    payloads: list[Path], run_contracts: Any
) -> None:
    _, report, _ = run_contracts("check", *payloads)

    rules = load_contract(PREPARED).rules
    lines = report.splitlines()
    at = lines.index(f"FAIL {payloads[1]}  ({PREPARED})")
    assert lines[0] == f"pass {payloads[0]}  ({PREPARED})"
    assert lines[at + 1 : at + 6] == [
        f"  error /repo: found 'X', expected {rules['repo/pattern'].expected} [repo/pattern]",
        f"      spec, line {rules['repo/pattern'].spec_line}: repo string State Hub slug",
        "  error /cadence: found 'Weekly', expected one of 'daily', 'weekly', 'monthly' [cadence/enum]",
        "      nearest: 'weekly'",
        f"      spec, line {rules['cadence/enum'].spec_line}: cadence string daily | weekly | monthly",
    ]
    assert lines[-1] == "2 of 3 payloads pass: 2 errors, 1 warning"


def test_all_reports_name_the_same_rules_of_the_same_payloads(tmp_path: Path, run_contracts: Any) -> None:
    paths = {name: tmp_path / f"report.{name}" for name in ("text", "json", "junit")}
    reports = [word for name, path in paths.items() for word in ("--report", f"{name}={path}")]

    status, out, err = run_contracts("check", *reports, *INVALID, SPEC_EXAMPLE_PATH)

    assert (status, out, err) == (1, paths["text"].read_text("utf-8"), "")
    results = json.loads(paths["json"].read_bytes())["results"]
    found = _junit(paths["junit"].read_text("utf-8"))
    text = paths["text"].read_text("utf-8")
    sources = [*map(str, INVALID), str(SPEC_EXAMPLE_PATH)]
    assert [case.name for case in found] == [result["source"] for result in results] == sources
    for case, result in zip(found, results, strict=True):
        rules = dict.fromkeys(finding["rule"] for finding in result["findings"])
        assert ", ".join(rules) == (case.result[0].message if case.result else "")
        assert result["pass"] or f"FAIL {result['source']}" in text
        assert all(f"[{rule}]" in text for rule in rules)


def test_one_report_goes_to_standard_output_beside_one_in_a_file(tmp_path: Path, run_contracts: Any) -> None:
    path = tmp_path / "report.xml"

    status, out, _ = run_contracts("check", "--report", "json", "--report", f"junit={path}", SPEC_EXAMPLE_PATH)

    assert status == 0
    assert json.loads(out)["summary"]["payloads"] == 1
    assert junitparser.JUnitXml.fromfile(str(path)).tests == 1


@pytest.mark.parametrize(
    ("reports", "message"),
    [
        (["xml"], "no report format 'xml'"),
        (["jsn"], "no report format 'jsn'; did you mean 'json'?"),
        (["junit", "json"], "standard output carries one report, got 2: junit, json"),
        (["junit=/dev/null/report.xml"], "cannot write the junit report to /dev/null/report.xml"),
        (["json=/"], "cannot write the json report to /: Is a directory"),
    ],
)
def test_a_report_that_cannot_be_opened_is_said_so(reports: list[str], message: str, run_contracts: Any) -> None:
    options = [word for report in reports for word in ("--report", report)]

    status, _, err = run_contracts("check", *options, INVALID[0])

    assert status == 2
    assert message in err


@pytest.mark.parametrize("many", [1, 20], ids=["at its end", "in its midst"])
@pytest.mark.parametrize("report", ["text", "json", "junit"])
def test_a_disk_that_fills_up_under_a_report_is_said_so(report: str, many: int, run_contracts: Any) -> None:
    status, _, err = run_contracts("check", "--report", f"{report}=/dev/full", *INVALID * many)

    assert status == 2
    assert "No space left on device" in err
    assert "Traceback" not in err
    assert "cannot read" not in err


@pytest.mark.parametrize(("environment", "colored"), [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)])
def test_a_terminal_gets_colour_unless_it_is_not_wanted(environment: dict[str, str], colored: bool) -> None:  # noqa: FBT001
    master, terminal = pty.openpty()
    inherited = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR"}}
    with subprocess.Popen([CONTRACTS, "check", INVALID[0]], stdout=terminal, env=inherited | environment):
        os.close(terminal)
        shown = _read_all(master)

    assert (b"\x1b[" in shown) is colored
    assert b"FAIL" in shown


def test_a_pipe_gets_no_colour(run_contracts: Any) -> None:
    _, out, _ = run_contracts("check", INVALID[0])

    assert "FAIL" in out
    assert "\x1b" not in out


def _read_all(descriptor: int) -> bytes:
    shown = b""
    while select.select([descriptor], [], [], 30)[0]:
        try:
            chunk = os.read(descriptor, 65536)
        except OSError:  # Linux says EIO once the other side has closed
            break
        if not chunk:
            break
        shown += chunk
    os.close(descriptor)
    return shown
