"""Reports for programs are read back by somebody else's reader, and no report shows a secret."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import junitparser
import pytest
from hypothesis import given

from contracts.checker import Result, check
from contracts.reports import FORMATS
from contracts.reports.json_report import SCHEMA_FILE
from contracts.rules.registry import load_contract
from contracts.verdict.policy import Policy
from tests.support.reported import ALL, FOUND, HOSTILE_TEXT, PREPARED, SPEC_EXAMPLE, WAIVER, hostile, write

REPORT_SCHEMA = json.loads(SCHEMA_FILE.read_bytes())
REPORT = jsonschema_rs.Draft202012Validator(REPORT_SCHEMA, validate_formats=True)
NDJSON_LINE = jsonschema_rs.Draft202012Validator(
    {"$ref": "#/$defs/ndjson_line", "$defs": REPORT_SCHEMA["$defs"]}, validate_formats=True
)


# --- JSON ------------------------------------------------------------------------------------------------------------


def test_the_json_report_keeps_its_published_schema_and_names_every_digest() -> None:
    document = json.loads(write("json", ALL, Policy(waivers=(WAIVER,))))

    REPORT.validate(document)
    assert len(document["results"]) == len(ALL)
    assert document["contracts"] == {PREPARED: {"sha256": load_contract(PREPARED).digest()}}
    assert document["summary"]["payloads"] == len(ALL)
    assert document["summary"]["waived"] == sum(each.rule == "cadence/enum" for each in FOUND)
    assert sum(len(result["findings"]) for result in document["results"]) == len(FOUND)


def test_the_schema_refuses_what_is_not_a_report() -> None:
    document = json.loads(write("json", ALL[:3]))

    assert REPORT.is_valid(document)
    for spoil in ({"results": [{}]}, {"summary": {}}, {"report_version": "2"}, {"contracts": {"x": {"sha256": "0"}}}):
        assert not REPORT.is_valid(document | spoil)


def test_a_fixture_is_named_with_its_digest_and_a_pipe_without(tmp_path: Path) -> None:
    path = tmp_path / "event.json"
    path.write_bytes(b"x")
    results = [Result("a", None, None, (), fixture=each) for each in (path, Path("/dev/null"))]

    first, second = json.loads(write("json", results))["results"]

    assert first["fixture"]["sha256"] == "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    assert second["fixture"]["sha256"] is None


def test_each_line_of_ndjson_keeps_the_schema_and_the_last_is_the_summary() -> None:
    lines = [json.loads(line) for line in write("ndjson", ALL).splitlines()]

    for line in lines:
        NDJSON_LINE.validate(line)
    assert [line["kind"] for line in lines] == ["finding"] * len(FOUND) + ["summary"]


@given(HOSTILE_TEXT)
def test_json_holds_against_hostile_text(text: str) -> None:
    REPORT.validate(json.loads(write("json", [hostile(text)]).encode()))
    finding, summary = write("ndjson", [hostile(text)]).encode().decode().split("\n")[:-1]
    NDJSON_LINE.validate(json.loads(finding))
    NDJSON_LINE.validate(json.loads(summary))


def test_the_digest_of_a_contract_follows_its_files(tmp_path: Path) -> None:
    contract = load_contract(PREPARED)
    files = {path.relative_to(contract.folder): path.read_bytes() for path in contract.folder.rglob("*.*")}
    copy = contract._replace(folder=tmp_path)
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    assert copy.digest() == contract.digest()
    (tmp_path / "consumers" / "dashboards.json").rename(tmp_path / "consumers" / "boards.json")
    assert copy.digest() != contract.digest()


# --- JUnit -----------------------------------------------------------------------------------------------------------


def _junit(text: str) -> Any:
    return junitparser.JUnitXml.fromstring(text.encode())


def test_junit_is_read_back_with_one_test_case_for_each_payload() -> None:
    xml = _junit(write("junit", ALL))
    (suite,) = xml
    read = list(suite)

    assert [case.name for case in read] == [result.source for result in ALL]
    assert (suite.tests, suite.failures) == (len(ALL), sum(not result.passes() for result in ALL))
    assert sum(case.is_passed for case in read) == sum(result.passes() for result in ALL)


def test_junit_carries_rule_and_pointer_of_each_finding_as_properties() -> None:
    (suite,) = _junit(write("junit", ALL))
    told = [
        (each.name, each.value)
        for case in suite
        for each in (case.child(junitparser.Properties) or ())
        if each.name in {"rule", "pointer"}
    ]

    assert told == [pair for each in FOUND for pair in (("rule", each.rule), ("pointer", each.pointer))]


@given(HOSTILE_TEXT)
def test_junit_holds_against_hostile_text(text: str) -> None:
    failed, run = next(iter(_junit(write("junit", [hostile(text)], error=text))))
    (waived,) = next(iter(_junit(write("junit", [hostile(text)], Policy(waivers=(WAIVER,))))))

    assert failed.is_failure
    assert run.is_error
    assert waived.is_passed
    assert waived.classname == failed.classname == PREPARED


def test_no_two_test_cases_of_a_junit_file_have_one_name() -> None:
    results = [
        Result(name, PREPARED, None, ())
        for name in ("cmd:python", "cmd:python", "run", "cmd:python (2)", "\x00", "\x01")
    ]

    (suite,) = _junit(write("junit", results, error="x"))

    names = [case.name for case in suite]
    assert names[:4] == ["cmd:python", "cmd:python (2)", "run", "cmd:python (2) (2)"]
    assert len(set(names)) == len(names) == 7


# --- all of them -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
def test_no_report_shows_a_secret(name: str) -> None:
    secrets = [b"AKIAIOSFODNN7EXAMPLE", b"https://bob:hunter22@example.org/x", b"--token s3cr3tvalue"]
    results = [
        check(SPEC_EXAMPLE.replace(old, b'"' + secret + b'"'), source=f"nats://bob:hunter22@h/{number}")
        for number, (old, secret) in enumerate(
            (old, secret) for old in (b'"coach"', b'"weekly"', b'"kaizen-agentic"', b'"scope"') for secret in secrets
        )
    ]
    assert not any(result.passes() for result in results)

    report = write(name, results)

    for leaked in ("AKIAIOSFODNN7EXAMPLE", "hunter22", "s3cr3tvalue"):
        assert leaked not in report


@pytest.mark.parametrize("name", FORMATS)
def test_every_report_names_every_broken_rule(name: str) -> None:
    wanted = {violation.rule for violation in FOUND}
    found = {rule for result in ALL for rule in _rules_in(write(name, [result]), wanted)}

    assert found == wanted


def _rules_in(report: str, rules: set[str]) -> set[str]:
    plain = re.sub(r"&#(\d+);", lambda match: chr(int(match[1])), report)
    return {rule for rule in rules if rule in plain}


MANY = check(json.dumps(json.loads(SPEC_EXAMPLE) | {f"k{n}": 1 for n in range(2100)}).encode(), source="many")


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "junit"])
def test_every_report_counts_the_findings_that_are_not_listed(name: str) -> None:
    report = write(name, [MANY])

    counts = {"text": "2,095 more", "github": "2,091 more", "json": '"omitted": 2000', "ndjson": '"count": 2000'}
    assert counts.get(name, "2,000 more") in report


def test_the_machine_reports_count_them_by_rule_and_keep_their_schemas() -> None:
    document = json.loads(write("json", [MANY]))
    lines = [json.loads(line) for line in write("ndjson", [MANY]).splitlines()]
    (case,) = next(iter(_junit(write("junit", [MANY]))))

    REPORT.validate(document)
    assert document["results"][0]["omitted"] == {"payload/additionalProperties": 2000}
    assert (document["summary"]["errors"], document["summary"]["omitted"]) == (2100, 2000)
    for line in lines:
        NDJSON_LINE.validate(line)
    assert lines[-2] == {"kind": "omitted", "source": "many", "rule": "payload/additionalProperties", "count": 2000}
    assert case.result[0].text.endswith("2,000 more violations [payload/additionalProperties]")


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "text"])
def test_every_machine_report_says_why_a_run_could_not_finish(name: str) -> None:
    report = write(name, [], error="cannot reach NATS at h")

    assert "cannot reach NATS at h" in report
