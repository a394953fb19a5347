"""`contracts list`, `show` and `explain` say all that the contracts say, and nothing that is not so."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from contracts import load_contract
from contracts.fixtures.corpus import CASE_FOLDERS
from contracts.rules.registry import subjects
from tests.support.payloads import ARCHIVED, PREPARED

RULES = [(name, rule) for name in (PREPARED, ARCHIVED) for rule in load_contract(name).rules]


def test_list_names_every_contract_with_its_version_and_owner(run_contracts: Any) -> None:
    status, out, err = run_contracts("list")

    assert (status, err) == (0, "")
    for subject in subjects():
        contract = load_contract(subject)
        (line,) = [line for line in out.splitlines() if line.split()[:1] == [subject]]
        assert line.split()[1:4] == [contract.version, contract.owner, str(len(contract.rules))]
        assert contract.summary in line


@pytest.mark.parametrize("name", [PREPARED, ARCHIVED, "kaizen.schedule.prepared"])
def test_show_prints_the_field_table_the_rules_the_decisions_and_the_consumers(name: str, run_contracts: Any) -> None:
    status, out, err = run_contracts("show", name)
    contract = load_contract(name)
    words = {" ".join(line.split()) for line in out.splitlines()}

    assert (status, err) == (0, "")
    assert {field.line for field in contract.fields} <= words
    assert {f"{rule.id} {rule.severity} {rule.expected}" for rule in contract.rules.values()} <= words
    for decision in contract.decisions:
        assert {f"{decision.point}: {decision.decision}", f"because {decision.reason}"} <= words
    for consumer in contract.consumers():
        assert consumer.spec.strip(" •") in words
        assert {f"{at} {purpose}" for at, purpose in consumer.relies_on.items()} <= words


@pytest.mark.parametrize("verb", ["show", "explain"])
def test_an_unknown_name_is_refused_with_the_nearest(verb: str, run_contracts: Any) -> None:
    meant = {"show": "kaizen.schedule.prepared", "explain": "cadence/enum"}[verb]

    status, out, err = run_contracts(verb, meant.replace("e", "", 1))

    assert (status, out) == (2, "")
    assert f"did you mean {meant!r}?" in err


@pytest.mark.parametrize(("name", "rule"), RULES, ids=lambda value: value)
def test_explain_gives_an_example_that_really_breaks_the_rule(name: str, rule: str, run_contracts: Any) -> None:
    status, out, err = run_contracts("explain", "--contract", name, rule)
    told = load_contract(name).rules[rule]

    assert (status, err) == (0, "")
    assert out.startswith(f"{rule}  ({told.severity}, {name})\n  expected  {told.expected}\n")
    assert not told.spec or f"line {told.spec_line}: {told.spec}" in out
    assert not told.decision or f"decision  {told.decision}: " in out

    (path,) = re.findall(r"contracts check (.+)", out)
    assert _breaks(path, rule, run_contracts)


def test_explain_without_a_contract_explains_the_rule_of_each(run_contracts: Any) -> None:
    _, out, _ = run_contracts("explain", "cadence/enum")

    assert f"(error, {PREPARED})" in out
    assert f"(error, {ARCHIVED})" in out


def _breaks(path: str, rule: str, run_contracts: Any) -> bool:
    _, report, _ = run_contracts("check", "--report", "json", path)
    (result,) = json.loads(report)["results"]
    rules = {violation["rule"] for violation in result["findings"]}
    assert any(f"/{folder}/" in path for folder in (*CASE_FOLDERS, "wire"))
    return rule in rules and "fixture/breaks" not in rules
