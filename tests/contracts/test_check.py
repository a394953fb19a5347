"""One check names everything there is to mend, where it stands, and nothing that must not be shown."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from contracts import Severity, load_contract
from contracts.checker import MOST_VIOLATIONS, choose_contract
from contracts.fixtures.corpus import cases
from contracts.model.json_pointer import select, strings, values
from contracts.model.violation import pointer
from tests.support.payloads import ARCHIVED, PREPARED, SPEC_EXAMPLE, check, event, found

VALID = [json.loads(case.raw) for contract in (PREPARED, ARCHIVED) for case in cases(contract, "valid")]
INVALID = [case.raw for contract in (PREPARED, ARCHIVED) for case in cases(contract, "invalid", "warnings", "wire")]

TEXT = st.text(st.characters(codec="utf-8"), max_size=30)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("payload", "contract", "rule"),
    [
        (event(version="2"), PREPARED, "version/const"),
        (event(version=1), PREPARED, "version/type"),
        (event(event="kaizen.schedule.prepard"), PREPARED, "event/const"),
        (event(event=7), PREPARED, "event/type"),
        ({key: value for key, value in SPEC_EXAMPLE.items() if key != "event"}, PREPARED, "event/required"),
        ({"event": "kaizen.schedule.stored", "archive": {}, "source_event": {}}, ARCHIVED, "event/const"),
        ({"agent": "coach", "bundle": {}}, PREPARED, "event/required"),
    ],
)
def test_a_payload_without_a_known_name_is_held_against_the_contract_it_resembles(
    payload: dict[str, Any], contract: str, rule: str
) -> None:
    result = check(payload)

    assert result.contract == contract
    assert rule in {violation.rule for violation in result.violations}


@pytest.mark.parametrize(
    ("payload", "rule", "found"),
    [
        ([], "payload/type", "an array without entries"),
        ([SPEC_EXAMPLE], "payload/type", "an array of 1"),
        ("kaizen.schedule.prepared", "payload/type", "'kaizen.schedule.prepared'"),
        (None, "payload/type", "null"),
        (1, "payload/type", "the number 1"),
        ({}, "event/required", "nothing"),
        ({"hello": "world"}, "event/required", "nothing"),
    ],
)
def test_a_payload_that_resembles_no_event_is_told_which_events_there_are(payload: Any, rule: str, found: str) -> None:
    result = check(payload)

    (violation,) = result.violations
    assert (result.contract, violation.rule, violation.found) == (None, rule, found)
    assert "'kaizen.schedule.archived', 'kaizen.schedule.prepared'" in violation.expected


def test_a_misspelt_event_alone_is_told_the_nearest() -> None:
    (violation,) = check({"event": "kaizen.schedule.prepaired"}).violations[:1]

    assert violation.rule == "event/const"
    assert "kaizen.schedule.prepared" in f"{violation.nearest} {violation.expected}"


def test_a_contract_given_by_name_outranks_what_the_payload_says() -> None:
    result = check(SPEC_EXAMPLE, contract=load_contract(ARCHIVED))

    assert result.contract == ARCHIVED
    assert ("event/const", "/event") in found(result)


@given(JSON)
def test_any_json_value_is_judged_without_an_error(value: Any) -> None:
    result = check(value)

    assert not result.passes()
    assert (result.contract is None) == (choose_contract(value) is None)


@given(st.data())
def test_a_valid_event_with_any_value_put_anywhere_is_judged_without_an_error(data: st.DataObject) -> None:
    payload = deepcopy(data.draw(st.sampled_from(VALID)))
    holder: Any = data.draw(st.sampled_from([item for _, item in _objects(payload)]))
    holder[data.draw(st.sampled_from(sorted(holder)))] = data.draw(JSON)

    for violation in check(payload).violations:
        assert violation.found
        assert violation.expected


@st.composite
def with_unknown_keys(draw: st.DrawFn) -> tuple[dict[str, Any], set[str]]:
    """Draw a valid payload with keys of nobody's at any depth, and the pointers of those keys."""
    payload = deepcopy(draw(st.sampled_from(VALID)))
    pointers = set()
    for path, item in list(_objects(payload)):
        for name in draw(st.sets(st.text("xyz_~/ ", min_size=1, max_size=6), max_size=3)):
            item[name] = draw(JSON)
            pointers.add(pointer(*path, name))
    assume(pointers)
    return payload, pointers


@given(with_unknown_keys())
def test_an_emitter_is_told_of_each_key_that_the_contract_does_not_name(drawn: tuple[dict[str, Any], set[str]]) -> None:
    payload, pointers = drawn

    unknown = [violation for violation in check(payload).violations if violation.rule.endswith("additionalProperties")]

    assert {violation.pointer for violation in unknown} == pointers
    assert len(unknown) == len(pointers)


@given(with_unknown_keys())
def test_a_consumer_reads_past_keys_that_it_does_not_know_at_any_depth(drawn: tuple[dict[str, Any], set[str]]) -> None:
    payload, _ = drawn

    result = check(payload, profile="consumer")

    assert [item for item in found(result) if not item[0].startswith("boundary/")] == []


def test_a_consumer_is_still_told_of_secrets_behind_keys_that_it_does_not_know() -> None:
    result = check(event(bundle={"notes": "--password hunter2-hunter2"}), profile="consumer")

    assert found(result) == [("boundary/secret", "/bundle/notes")]


def test_every_violation_is_told_at_once_in_the_order_of_the_document() -> None:
    payload = {
        "session_close": ["kaizen-agentic coach", "a; b coach", "other"],
        "colour": "red",
        "bundle": {"format": "md", "bytes": -1, "pointers": ["scope", "workplan", "scope"], "has_memory": "yes"},
        "cadence": "fortnightly",
        "agent": "coach",
        "root": "relative",
        "event": "kaizen.schedule.prepared",
        "version": "1",
    }

    assert found(check(payload)) == [
        ("session_close[]/one-command", "/session_close/1"),
        ("session_close[]/agent", "/session_close/2"),
        ("session_close[]/program", "/session_close/2"),
        ("payload/additionalProperties", "/colour"),
        ("bundle.format/enum", "/bundle/format"),
        ("bundle.bytes/minimum", "/bundle/bytes"),
        ("bundle.pointers/uniqueItems", "/bundle/pointers"),
        ("bundle.pointers[]/known", "/bundle/pointers/1"),
        ("bundle.has_memory/type", "/bundle/has_memory"),
        ("bundle.agent_prompt_found/required", "/bundle/agent_prompt_found"),
        ("bundle.has_metrics/required", "/bundle/has_metrics"),
        ("cadence/enum", "/cadence"),
        ("root/absolute", "/root"),
        ("occurred_at/required", "/occurred_at"),
        ("repo/required", "/repo"),
        ("prepare_command/required", "/prepare_command"),
    ]


@given(st.sampled_from(INVALID))
def test_the_same_payload_is_judged_the_same_every_time(raw: bytes) -> None:
    assert check(raw) == check(raw)


def test_the_order_of_keys_changes_the_order_of_violations_and_nothing_else() -> None:
    payload = event(cadence="hourly", version="2", bundle={"bytes": -1})
    turned = dict(reversed(payload.items()))

    assert [at for _, at in found(check(payload))] == ["/version", "/cadence", "/bundle/bytes"]
    assert [at for _, at in found(check(turned))] == ["/bundle/bytes", "/cadence", "/version"]


def test_a_wrong_type_is_told_once_and_explains_the_rest() -> None:
    assert found(check(event(bundle={"bytes": "8421"}, cadence=7, occurred_at=None, repo=["x"]))) == [
        ("occurred_at/type", "/occurred_at"),
        ("repo/type", "/repo"),
        ("cadence/type", "/cadence"),
        ("bundle.bytes/type", "/bundle/bytes"),
    ]


def test_warnings_pass_unless_they_are_asked_to_fail() -> None:
    warned, broken = check(event(occurred_at="2026-06-17T11:00:12+02:00")), check(event(cadence="hourly"))

    assert [violation.severity for violation in warned.violations] == [Severity.WARNING]
    assert (warned.passes(), warned.passes(Severity.WARNING)) == (True, False)
    assert (broken.passes(), broken.passes(Severity.WARNING)) == (False, False)
    assert check(SPEC_EXAMPLE).passes(Severity.WARNING)


@pytest.mark.parametrize("size", [65536, 65537])
def test_a_payload_is_at_most_64_kib_counted_in_bytes(size: int) -> None:
    raw = json.dumps(SPEC_EXAMPLE).encode()
    raw += b" " * (size - len(raw))

    rules = [rule for rule, _ in found(check(raw))]

    assert rules == ([] if size <= 65536 else ["boundary/size"])


def _objects(value: Any, *path: str) -> list[tuple[tuple[str, ...], dict[str, Any]]]:
    if not isinstance(value, dict):
        return []
    return [(path, value), *(item for name, child in value.items() for item in _objects(child, *path, name))]


@given(JSON, st.lists(st.sampled_from(["*", "a", "b"]), max_size=4))
def test_values_are_those_that_are_selected_with_their_places(payload: Any, path: list[str]) -> None:
    payload = {"a": [{"b": payload}, payload], "b": {"a": [payload, [payload]]}}
    at = "".join(f"/{step}" for step in path)

    assert list(values(payload, path)) == [value for _, value in select(payload, at)]
    assert strings(payload) == [value for _, value in select(payload, "**")]
    assert strings(None) == []


def test_two_rules_on_one_string_are_both_told_wherever_it_is() -> None:
    result = check(event(session_close=["kaizen-agentic coach", "kaizen-agentic\tcoach --token hunter2-hunter2"]))

    assert found(result) == [("boundary/secret", "/session_close/1"), ("boundary/one-line", "/session_close/1")]


# --- cost ------------------------------------------------------------------------------------------------------------


def test_a_payload_lists_a_hundred_violations_and_counts_the_others() -> None:
    raw = json.dumps(event(**{f"k{number}": 1 for number in range(2000)}, cadence="hourly")).encode()

    result = check(raw)

    assert len(result.violations) == MOST_VIOLATIONS
    assert result.omitted == {"payload/additionalProperties": 1901}
    assert {each.rule for each in result.violations} == {"payload/additionalProperties", "cadence/enum"}
    assert not result.passes()


def test_of_each_broken_rule_one_violation_is_listed_whatever_the_others_are() -> None:
    raw = json.dumps(event(bundle={"pointers": [f"A{number}" for number in range(5000)], "bytes": -1})).encode()

    result = check(raw)

    assert {each.rule for each in result.violations} >= {"bundle.pointers[]/pattern", "bundle.bytes/minimum"}
    assert [each.pointer for each in result.violations[:3]] == ["/bundle/pointers", *["/bundle/pointers/0"] * 2]


def test_malformations_are_counted_beyond_the_limit_too() -> None:
    result = check(b"[" + b"NaN," * 999 + b"NaN]")

    assert len(result.violations) == MOST_VIOLATIONS
    assert result.omitted == {"payload/number": 900}


@pytest.mark.parametrize(
    ("command", "rules"),
    [
        ("rm -rf / coach", ["session_close[]/program"]),
        ("kaizen-agentic metrics record coach", []),
        (
            "kaizen-agentic metrics record coach --note '" + "Read me first. " * 1500 + "'",
            ["session_close[]/maxLength"],
        ),
    ],
    ids=["another program", "the usual one", "a README"],
)
def test_a_close_command_is_a_short_command_of_a_known_program(command: str, rules: list[str]) -> None:
    result = check(event(session_close=[command]))

    assert [rule for rule, _ in found(result)] == rules
    assert result.passes() is ("session_close[]/maxLength" not in rules)
