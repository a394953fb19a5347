"""A contract is data, and every word of it comes from the spec or from a recorded decision."""

from __future__ import annotations

import json
import tomllib
from hashlib import sha256
from typing import Any

import pytest

from contracts import BadInput, Contract, load_contract
from contracts.model.strict_json import EXPECTED
from contracts.model.violation import Severity, resolve
from contracts.rules.checks import CHECKS, WORTH_A_SWEEP
from contracts.rules.registry import SPECS, Decision, subjects
from contracts.rules.schema import BREAKABLE, SILENT, Keyword, field_table, keywords, rule_of
from tests.support.payloads import ARCHIVED, PREPARED

CONTRACTS = [load_contract(f"{subject}@{version}") for subject, versions in subjects().items() for version in versions]
every_contract = pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.name)


def _spec_lines(contract: Contract) -> list[str]:
    return (contract.folder / "spec.txt").read_text("utf-8").splitlines()


def test_both_subjects_are_known_in_their_first_version() -> None:
    assert {contract.name for contract in CONTRACTS} >= {PREPARED, ARCHIVED}


@every_contract
def test_every_rule_quotes_a_line_of_the_spec_or_follows_from_a_decision(contract: Contract) -> None:
    lines = _spec_lines(contract)
    decisions = {decision.point for decision in contract.decisions}
    for rule in contract.rules.values():
        assert rule.spec or rule.decision, f"{rule.id} comes out of nowhere"
        if rule.spec:
            assert rule.spec_line, f"{rule.id} quotes what the spec does not say: {rule.spec}"
            assert lines[rule.spec_line - 1].strip(" •") == rule.spec
        if rule.decision:
            assert rule.decision in decisions


@every_contract
def test_the_field_table_is_the_one_that_the_spec_prints(contract: Contract) -> None:
    lines = _spec_lines(contract)
    start = lines.index("Field Type Notes") + 1

    assert [field.line for field in contract.fields] == lines[start : lines.index("", start)]


@every_contract
def test_every_field_of_the_spec_example_is_in_the_schema(contract: Contract) -> None:
    text = "\n".join(_spec_lines(contract))
    example = json.loads(text[text.index("\n{\n") : text.index("\n}\n") + 2])

    assert {field.path for field in contract.fields} == set(_leaf_paths(example))


@every_contract
def test_every_rule_that_a_decision_names_exists(contract: Contract) -> None:
    for decision in contract.decisions:
        for pattern in decision.rules:
            alone = Decision("", "", "", (pattern,))
            assert any(alone.covers(rule) for rule in contract.rules), f"{decision.point}: {pattern} covers nothing"


@every_contract
def test_every_decision_gives_its_reason(contract: Contract) -> None:
    for decision in contract.decisions:
        assert decision.point
        assert decision.decision
        assert decision.reason


@every_contract
def test_a_consumer_relies_only_on_fields_that_there_are_and_quotes_the_spec(contract: Contract) -> None:
    consumers = contract.consumers()
    lines = _spec_lines(contract)
    pointers = {"/" + field.path.replace(".", "/") for field in contract.fields}

    assert consumers
    for consumer in consumers:
        assert consumer.spec in lines, f"{consumer.name} quotes what the spec does not say"
        assert consumer.name in consumer.spec
        assert set(consumer.relies_on) <= pointers
        assert all(consumer.relies_on.values())


@every_contract
def test_every_consumer_that_the_spec_lists_has_its_file(contract: Contract) -> None:
    lines = _spec_lines(contract)
    start = next(number for number, line in enumerate(lines) if line.startswith("Consumers"))
    listed = {line.split()[1] for line in lines[start : lines.index("Boundary")] if line.startswith("  •")}

    assert {consumer.name for consumer in contract.consumers()} == listed


@every_contract
def test_the_schema_uses_only_keywords_that_become_rules(contract: Contract) -> None:
    assert set(_schema_keywords(contract.schema)) <= SILENT | BREAKABLE


@every_contract
def test_every_object_of_the_schema_requires_all_its_fields_and_no_others(contract: Contract) -> None:
    for schema in _object_schemas(contract.schema):
        assert set(schema["required"]) == set(schema["properties"])
        assert schema["additionalProperties"] is False


@every_contract
def test_every_declared_check_exists(contract: Contract) -> None:
    for rule in contract.declared:
        assert rule["check"] in CHECKS, rule["id"]
        assert Severity(rule.get("severity", "error"))


@every_contract
def test_every_declared_rule_looks_at_fields_that_there_are(contract: Contract) -> None:
    places = {"/" + field.path.replace(".", "/") for field in contract.fields}
    for rule in contract.declared:
        looked_at = [rule["at"].removesuffix("/*"), rule.get("equals"), rule.get("paths_like")]
        assert {place for place in looked_at if place and place != "**"} <= places, rule["id"]
    assert {place.removesuffix("/*") for place in contract.withheld} <= places


@every_contract
def test_the_expected_phrases_belong_to_rules_that_there_are(contract: Contract) -> None:
    rules = {keyword.rule for keyword in keywords(contract.schema)}
    phrases = set(_toml(contract).get("expected", {}))

    assert phrases <= rules
    assert all(contract.rules[rule].expected == _toml(contract)["expected"][rule] for rule in phrases)


@every_contract
def test_every_rule_has_an_id_that_begins_with_its_field_and_says_what_is_expected(contract: Contract) -> None:
    fields = {field.path for field in contract.fields}
    families = {"payload", "boundary"} | {path.rpartition(".")[0] for path in fields}
    for name, rule in contract.rules.items():
        field, _, keyword = name.rpartition("/")
        assert rule.id == name
        assert keyword
        assert field.removesuffix("[]") in fields | families, name
        assert rule.expected


@every_contract
def test_strict_json_belongs_to_every_contract(contract: Contract) -> None:
    assert set(EXPECTED) <= set(contract.rules)
    assert "{" not in contract.rules["payload/depth"].expected
    assert str(contract.limits.payload_bytes) in contract.rules["boundary/size"].expected


@every_contract
def test_a_contract_loads_by_its_subject_alone_as_its_newest_version(contract: Contract) -> None:
    assert load_contract(contract.subject).version == subjects()[contract.subject][-1]
    assert load_contract(contract.name) is contract


def test_the_spec_of_the_prepared_event_is_the_owners_as_received() -> None:
    spec = (load_contract(PREPARED).folder / "spec.txt").read_bytes()

    assert sha256(spec).hexdigest() == "b4c37a5f95ce68c74fa21acc540225de2cc5a8e12bb487f05bac8bf6cc4241f4"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("kaizen.schedule.prepard", "did you mean 'kaizen.schedule.prepared'?"),
        ("Kaizen.Schedule.Archived", "did you mean 'kaizen.schedule.archived'?"),
        ("nothing", "no contract for subject 'nothing'\n  known: kaizen.schedule.archived, kaizen.schedule.prepared"),
        ("", "no contract for subject ''"),
        ("../specs", "no contract for subject '../specs'"),
        ("kaizen.schedule.prepared@2", "no version '2' of kaizen.schedule.prepared\n  known: 1"),
        ("kaizen.schedule.prepared@../1", "no version '../1'"),
    ],
)
def test_an_unknown_contract_is_refused_with_those_that_are_known(name: str, message: str) -> None:
    with pytest.raises(BadInput) as refused:
        load_contract(name)

    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("pattern", "covered", "not_covered"),
    [
        ("agent/pattern", ["agent/pattern"], ["agent/type", "agent/pattern/x"]),
        ("bundle/*", ["bundle/type"], ["bundle.format/type", "bundles/type"]),
        ("*/required", ["agent/required", "bundle.bytes/required"], ["agent/requireds", "required/agent"]),
    ],
)
def test_a_decision_covers_a_rule_or_a_family_of_them(pattern: str, covered: list[str], not_covered: list[str]) -> None:
    decision = Decision("", "", "", (pattern,))

    assert all(decision.covers(rule) for rule in covered)
    assert not any(decision.covers(rule) for rule in not_covered)


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        (["type"], ("", "type")),
        (["properties", "agent", "pattern"], ("agent", "pattern")),
        (["properties", "bundle", "properties", "bytes", "minimum"], ("bundle.bytes", "minimum")),
        (["properties", "pointers", "items", "type"], ("pointers[]", "type")),
        (["properties", "properties", "properties", "items", "type"], ("properties.items", "type")),
    ],
)
def test_a_place_in_the_schema_is_the_id_of_a_rule(path: list[str | int], rule: tuple[str, str]) -> None:
    assert rule_of(path) == rule


def test_a_schema_is_read_as_rules_and_as_a_table_of_fields() -> None:
    schema = {
        "type": "object",
        "required": ["tags"],
        "properties": {
            "tags": {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}, "description": "Some tags"}
        },
    }

    assert [field.line for field in field_table(schema)] == ["tags string[] Some tags"]
    assert [each.rule for each in keywords(schema)] == [
        "payload/type",
        "tags/required",
        "tags/type",
        "tags[]/type",
        "tags[]/enum",
    ]
    assert Keyword("tags[]/enum", "one of 'a', 'b'", "tags") in list(keywords(schema))


def test_every_check_that_sweeps_is_declared_for_all_strings_somewhere() -> None:
    swept = {rule["check"] for contract in CONTRACTS for rule in contract.declared if rule["at"] == "**"}

    assert swept == set(WORTH_A_SWEEP)


def test_every_check_of_the_vocabulary_is_used() -> None:
    assert {rule["check"] for contract in CONTRACTS for rule in contract.declared} == set(CHECKS)


def test_every_folder_of_the_specs_is_a_version_of_a_contract() -> None:
    folders = {path.parent.relative_to(SPECS).as_posix() for path in SPECS.rglob("contract.toml")}

    assert folders == {f"{contract.subject}/{contract.version}" for contract in CONTRACTS}
    for contract in CONTRACTS:
        assert (_toml(contract)["subject"], _toml(contract)["version"]) == (contract.subject, contract.version)
        assert resolve(contract.schema, "/properties/event/const") == (True, contract.subject)


def _toml(contract: Contract) -> dict[str, Any]:
    return tomllib.loads((contract.folder / "contract.toml").read_text("utf-8"))


def _leaf_paths(value: Any, path: str = "") -> list[str]:
    if not isinstance(value, dict):
        return [path]
    return [leaf for name, child in value.items() for leaf in _leaf_paths(child, f"{path}.{name}" if path else name)]


def _object_schemas(schema: Any) -> list[dict[str, Any]]:
    inner = [found for child in schema.get("properties", {}).values() for found in _object_schemas(child)]
    return [schema, *inner] if "properties" in schema else inner


def _schema_keywords(schema: Any) -> list[str]:
    children = [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]
    return [*schema, *(keyword for child in children for keyword in _schema_keywords(child))]
