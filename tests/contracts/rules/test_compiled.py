"""Declared rules find the same whatever was seen before, and whether or not they first ask if anything is wrong."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import load_contract
from contracts.fixtures.corpus import cases
from contracts.model.json_pointer import select, walk
from contracts.rules import compiled as declared
from contracts.rules.checks import CHECKS, Context
from contracts.rules.compiled import group
from tests.contracts.model.test_secrets import ASSIGNED, DETECTABLE, INNOCENT, URLS
from tests.support.payloads import ARCHIVED, PREPARED, SPEC_EXAMPLE, check, event, found

CONTRACTS = [load_contract(name) for name in (PREPARED, ARCHIVED)]
VALID = [(contract, json.loads(case.raw)) for contract in CONTRACTS for case in cases(contract.name, "valid")]
OWN = {str(value): None for _, payload in VALID for _, value in walk(payload) if isinstance(value, str)}
TEXTS = st.sampled_from([*OWN, *DETECTABLE.values(), *ASSIGNED, *INNOCENT, *URLS, "\x07", "coach", "C:\\x", "/a//b"])
VALUES = TEXTS | st.sampled_from([True, 0, 1, 1.0, 8421, 8421.0, -1, None, [], {}])


@st.composite
def changed(draw: st.DrawFn) -> tuple[Any, Any]:
    """Draw a contract and a valid payload of it with some values replaced by others, most of them from its like."""
    contract, payload = draw(st.sampled_from(VALID))
    payload = deepcopy(payload)
    for _ in range(draw(st.integers(0, 3))):
        holder: Any = draw(
            st.sampled_from([item for _, item in walk(payload) if isinstance(item, (dict, list)) and item])
        )
        key = draw(st.sampled_from(sorted(holder))) if isinstance(holder, dict) else len(holder) - 1
        holder[key] = draw(VALUES)
    return contract, payload


@given(changed())
def test_what_is_found_is_what_each_check_says_of_each_value_that_its_rule_selects(drawn: tuple[Any, Any]) -> None:
    contract, payload = drawn
    expected = []
    for params in contract.declared:
        kind, check_value = CHECKS[params["check"]]
        for place, value in select(payload, params["at"]):
            if isinstance(value, kind) and not isinstance(value, bool):
                expected += [(params["id"], place, each) for each in check_value(value, Context(payload, params))]

    everything = [
        (rule.id, place, problem) for rules in group(contract) for rule, place, problem in rules.problems(payload)
    ]
    violations = check(payload, contract=contract).violations  # by now this process has seen most of these texts

    assert sorted(everything) == sorted(expected)
    told = [(each.rule, each.pointer, each.found, each.nearest) for each in violations]
    declared_ids = {params["id"] for params in contract.declared}
    assert sorted(each[:3] for each in told if each[0] in declared_ids) == sorted(
        (rule, place, problem.found) for rule, place, problem in expected
    )


@pytest.mark.parametrize("change", [{"agent": "sprinter"}, {"root": "/srv/other"}, {"bundle": {"format": "json"}}])
def test_a_command_that_was_right_in_one_event_is_wrong_in_another(change: dict[str, Any]) -> None:
    assert not check(SPEC_EXAMPLE).violations
    assert any(rule.startswith("prepare_command/") for rule, _ in found(check(event(**change))))
    assert not check(SPEC_EXAMPLE).violations


@pytest.mark.parametrize("others", [(), ("one-line",)])
def test_any_check_may_be_declared_for_every_string(others: tuple[str, ...]) -> None:
    contract = load_contract(PREPARED)
    rule = contract.rules["boundary/secret"]
    declared_rules = [{"id": rule.id, "check": check, "at": "**", "equals": "/repo"} for check in ("mentions", *others)]
    (rules,) = group(contract._replace(declared=tuple(declared_rules)))

    for repo, wrong in (("a", []), ("b", ["/x"])):
        payload = {"repo": repo, "x": "a"}
        assert rules.passes(payload) is not bool(wrong)
        assert [place for _, place, _ in rules.problems(payload)] == wrong


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(declared, "_MOST", 20)
    rules = group(load_contract(PREPARED))

    for number in range(200):
        repeated = event(
            repo=f"repo-{number}",
            session_close=[f"kaizen-agentic close coach {number}", "kaizen-agentic coach " + "x" * 300],
        )
        assert all(each.passes(repeated) for each in rules)

    remembered = [each._passed for each in rules if hasattr(each, "_passed")]
    assert len(remembered) == 4
    for each in remembered:
        kept = str(each.now | each.before)
        assert SPEC_EXAMPLE["agent"] in kept or SPEC_EXAMPLE["root"] in kept, "what comes back stays"
        assert len(each.now) + len(each.before) < 60
        assert "x" * 300 not in kept
