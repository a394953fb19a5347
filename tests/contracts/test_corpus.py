"""The corpus holds the contract to its word, and is held to cover it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from contracts import check_payload, load_contract
from contracts.corpus import CASE_FOLDERS, ROOT, Case, cases, read_case
from contracts.errors import BadInput
from contracts.registry import subjects
from contracts.strict_json import EXPECTED
from contracts.violation import resolve

CONTRACTS = [f"{subject}@{version}" for subject, versions in subjects().items() for version in versions]
PREPARED = "kaizen.schedule.prepared@1"
ALL_CASES = [case for contract in CONTRACTS for case in cases(contract)]
SPOILT = [case for case in ALL_CASES if case.breaks]
VALID = [case for case in ALL_CASES if not case.breaks]


def _id(case: Case) -> str:
    return f"{case.contract}-{case.name}"


def _valid_payloads(contract: str) -> list[Any]:
    return [json.loads(case.raw) for case in cases(contract, "valid")]


def _values(contract: str, *tokens: str) -> list[Any]:
    found = (resolve(payload, "".join(f"/{token}" for token in tokens)) for payload in _valid_payloads(contract))
    return [value for is_there, value in found if is_there]


def test_there_are_fixtures_of_every_contract() -> None:
    assert {case.contract for case in VALID} == {case.contract for case in SPOILT} == set(CONTRACTS)


@pytest.mark.parametrize("case", SPOILT, ids=_id)
def test_an_invalid_event_breaks_exactly_the_rules_its_fixture_names(case: Case) -> None:
    result = check_payload(case.raw, source=case.name, contract=load_contract(case.contract))

    assert {violation.rule for violation in result.violations} == case.breaks, case.why


@pytest.mark.parametrize("case", VALID, ids=_id)
@pytest.mark.parametrize("profile", ["emitter", "consumer"])
def test_a_valid_event_breaks_nothing_whoever_asks(case: Case, profile: Any) -> None:
    result = check_payload(case.raw, source=case.name, profile=profile)

    assert result.contract == case.contract
    assert result.violations == ()


@pytest.mark.parametrize("case", [case for case in SPOILT if "/wire/" in str(case.path)], ids=_id)
def test_hostile_bytes_are_refused_with_a_reason_whatever_the_contract(case: Case) -> None:
    result = check_payload(case.raw)

    assert {violation.rule for violation in result.violations} == case.breaks, case.why
    assert not result.is_json
    assert result.payload is None


@pytest.mark.parametrize("contract", CONTRACTS)
def test_every_rule_has_a_fixture_that_breaks_it(contract: str) -> None:
    broken = set().union(*(case.breaks for case in cases(contract)))
    rules = set(load_contract(contract).rules)
    shared = set() if contract == PREPARED else set(EXPECTED)  # strict JSON is the same for all: shown once

    assert broken == rules - shared


@pytest.mark.parametrize("contract", CONTRACTS)
def test_warnings_and_errors_stand_in_their_own_folders(contract: str) -> None:
    rules = load_contract(contract).rules
    for folder in CASE_FOLDERS:
        for case in cases(contract, folder):
            has_error = any(rules[rule].severity == "error" for rule in case.breaks)
            assert has_error == (folder == "invalid"), case.path


@pytest.mark.parametrize("case", SPOILT, ids=_id)
def test_a_fixture_says_why_it_is_there(case: Case) -> None:
    assert case.why.strip()


@pytest.mark.parametrize("contract", CONTRACTS)
def test_no_two_fixtures_hold_the_same_payload(contract: str) -> None:
    seen: dict[bytes, str] = {}
    for case in cases(contract):
        assert case.raw not in seen, f"{case.name} repeats {seen[case.raw]}"
        seen[case.raw] = case.name


@pytest.mark.parametrize("contract", CONTRACTS)
def test_the_spec_example_is_the_payload_of_the_spec_byte_for_byte(contract: str) -> None:
    spec = (load_contract(contract).folder / "spec.txt").read_bytes()
    start = spec.index(b"\n{\n") + 1
    end = spec.index(b"\n}\n", start) + 2
    subject, _, version = contract.partition("@")

    example = (ROOT / subject / version / "valid" / "spec-example.json").read_bytes()

    assert example.removesuffix(b"\n") == spec[start:end]


@pytest.mark.parametrize("contract", CONTRACTS)
def test_valid_fixtures_show_every_value_of_every_enum(contract: str) -> None:
    for path, schema in _leaves(load_contract(contract).schema):
        if "enum" in schema:
            assert set(_values(contract, *path)) == set(schema["enum"]), path


@pytest.mark.parametrize("contract", CONTRACTS)
def test_valid_fixtures_show_every_flag_both_ways_and_lists_empty_and_full(contract: str) -> None:
    for path, schema in _leaves(load_contract(contract).schema):
        values = _values(contract, *path)
        if schema["type"] == "boolean":
            assert set(values) == {True, False}, path
        if schema["type"] == "array":
            assert {min(2, len(value)) for value in values} == {0, 1, 2}, path


def test_valid_fixtures_show_more_than_one_value_of_each_field_that_may_vary() -> None:
    for field in load_contract(PREPARED).fields:
        shown = {json.dumps(value) for value in _values(PREPARED, *field.path.split("."))}
        assert len(shown) > 1 or field.path in {"event", "version"}, field.path


@pytest.mark.parametrize(
    ("what", "at", "holds"),
    [
        ("a leap second", "occurred_at", lambda value: ":60Z" in value),
        ("a fraction of a second", "occurred_at", lambda value: "." in value),
        ("more digits than a microsecond", "occurred_at", lambda value: len(value.partition(".")[2]) > 7),
        ("Unicode in a path", "root", lambda value: not value.isascii()),
        ("spaces in a path", "root", lambda value: " " in value and value.startswith("/")),
        ("quotes in a path", "root", lambda value: "'" in value or '"' in value),
        ("a Windows root", "root", lambda value: value[1:3] == ":\\"),
        ("a Windows root with spaces", "root", lambda value: value[1:3] == ":\\" and " " in value),
        ("a bundle of 5 MB", "bundle/bytes", lambda value: 5_000_000 <= value < 10**9),
        ("the largest size", "bundle/bytes", lambda value: value == 2**53 - 1),
    ],
)
def test_valid_fixtures_show_what_emitters_meet(what: str, at: str, holds: Any) -> None:
    assert any(holds(value) for value in _values(PREPARED, *at.split("/"))), what


def test_timestamps_with_an_offset_are_valid_but_warned_of() -> None:
    times = [json.loads(case.raw)["occurred_at"] for case in cases(PREPARED, "warnings")]

    assert any(time[-6:-5] in {"+", "-"} for time in times)


def test_the_rendered_bundles_have_the_size_that_their_event_declares() -> None:
    version = ROOT / "kaizen.schedule.prepared" / "1"
    bundles = list((version / "bundles").iterdir())

    assert bundles
    for bundle in bundles:
        payload = json.loads((version / "valid" / bundle.name).with_suffix(".json").read_bytes())
        assert bundle.stat().st_size == payload["bundle"]["bytes"], bundle.name


@pytest.mark.parametrize(
    "text",
    [
        "not JSON",
        "[]",
        "{}",
        '{"why": "no rules"}',
        '{"why": "no change to make", "breaks": 3}',
        '{"why": "nothing there", "breaks": [], "set": {"/nothing/there": 1}}',
        '{"why": "nothing there", "breaks": [], "remove": ["/nothing"]}',
    ],
)
def test_a_file_that_is_no_case_is_refused_with_the_shape_of_one(text: str, tmp_path: Path) -> None:
    _corpus(tmp_path, {"why": "", "breaks": []})
    path = tmp_path / "kaizen.schedule.prepared" / "1" / "invalid" / "case.json"
    path.write_text(text, "utf-8")

    with pytest.raises(BadInput, match=r'case\.json is not a fixture case(?s:.*)a case is \{"why"'):
        read_case(path)


def test_a_case_that_names_the_wrong_rules_is_reported(tmp_path: Path, run_contracts: Any) -> None:
    case = _corpus(tmp_path, {"why": "wrong", "breaks": ["agent/pattern"], "set": {"/cadence": "hourly"}})

    status, report, _ = run_contracts("check", "--report", "json", case)

    (result,) = json.loads(report)["results"]
    assert status == 1
    assert [violation["rule"] for violation in result["findings"]] == ["cadence/enum", "fixture/breaks"]
    assert result["findings"][1]["found"] == "broken rules: cadence/enum"
    assert result["findings"][1]["expected"].endswith("agent/pattern")


def test_a_case_that_breaks_nothing_is_reported_although_its_payload_passes(tmp_path: Path, run_contracts: Any) -> None:
    case = _corpus(tmp_path, {"why": "wrong", "breaks": ["cadence/enum"], "set": {"/cadence": "daily"}})

    status, report, _ = run_contracts("check", case)

    assert status == 1
    assert "found broken rules: none, expected exactly those that the fixture names: cadence/enum" in report


def _corpus(folder: Path, case: dict[str, Any]) -> Path:
    """Lay out a corpus with one invalid case beside the real spec example."""
    version = folder / "kaizen.schedule.prepared" / "1"
    for name in ("valid", "invalid"):
        (version / name).mkdir(parents=True)
    example = ROOT / "kaizen.schedule.prepared" / "1" / "valid" / "spec-example.json"
    (version / "valid" / example.name).write_bytes(example.read_bytes())
    path = version / "invalid" / "case.json"
    path.write_text(json.dumps(case), "utf-8")
    return path


def _leaves(schema: Any, *path: str) -> list[tuple[tuple[str, ...], Any]]:
    if "properties" not in schema:
        return [(path, schema)]
    return [leaf for name, child in schema["properties"].items() for leaf in _leaves(child, *path, name)]
