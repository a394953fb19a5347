"""Whatever is broken in a payload on purpose is caught, and a contract that has become weaker is found out."""

from __future__ import annotations

import json
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import check_payload, load_contract
from contracts import rules as contract_rules
from contracts.agreement import agree
from contracts.commands import join_command, split_command
from contracts.corpus import Case, cases
from contracts.mutations import checks, keywords, score, wire
from contracts.mutations.mutants import mutants, one_mutant
from contracts.registry import Contract
from contracts.schema_rules import BREAKABLE
from contracts.strict_json import EXPECTED
from tests.contracts.builders import ARCHIVED, PREPARED, event
from tests.contracts.weakening import Change, weaken, without_rule

CONTRACTS = [PREPARED, ARCHIVED]
# A type also follows from any other keyword that is broken by the value, so its loss shows in fixtures only.
OWN_RULES = [
    (contract, rule)
    for contract in CONTRACTS
    for rule in load_contract(contract).rules
    if rule not in EXPECTED and rule.rpartition("/")[2] != "type"
]


@cache
def _scored(contract: str) -> score.Score:
    return score.score(load_contract(contract))


@pytest.fixture
def weakened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Load a contract after a change to a copy of it."""

    def load(change: Change, contract: str = PREPARED) -> Contract:
        weaken(contract, change, tmp_path, monkeypatch)
        return load_contract(contract)

    return load


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the score see only these fixtures."""

    def only_these(*names: str, folders: tuple[str, ...] = ()) -> None:
        def some(contract: str) -> list[Case]:
            return [each for each in cases(contract) if each.name in names or each.path.parent.name in folders]

        monkeypatch.setattr(score, "cases", some)

    return only_these


def test_there_is_a_way_to_break_every_keyword_every_check_and_every_rule_of_strict_json() -> None:
    assert keywords.KEYWORDS.keys() == BREAKABLE
    assert checks.CHECKS.keys() == contract_rules.CHECKS.keys()
    assert wire.WIRE.keys() == EXPECTED.keys()


@pytest.mark.parametrize("contract", CONTRACTS)
def test_every_mutant_of_every_valid_fixture_is_caught_by_the_rule_it_is_about(contract: str) -> None:
    found = _scored(contract)

    assert not found.survivors
    assert found.percent == 100
    assert sum(found.killed.values()) > 10_000


@pytest.mark.parametrize("contract", CONTRACTS)
def test_the_command_says_of_our_own_corpus_that_every_mutant_is_killed(
    contract: str, monkeypatch: pytest.MonkeyPatch, run_contracts: Any
) -> None:
    monkeypatch.setattr(score, "score", lambda asked: _scored(asked.name))  # half a minute's work, done once

    status, out, err = run_contracts("fixtures", "mutate", "--contract", contract)

    killed = sum(_scored(contract).killed.values())
    assert status == 0, err
    assert f"{killed} of {killed} mutants killed, 0 of " in out
    assert "100.0 %" in out


@pytest.mark.parametrize("contract", CONTRACTS)
def test_every_rule_has_a_mutant(contract: str) -> None:
    assert _scored(contract).without == []
    assert _scored(contract).killed.keys() == load_contract(contract).rules.keys()


@pytest.mark.parametrize("contract", CONTRACTS)
def test_a_mutant_breaks_one_rule_alone_wherever_that_can_be(contract: str) -> None:
    together = _scored(contract).killed.keys() - _scored(contract).alone

    # Beyond 2^53 - 1 only a float is JSON, which is no integer literal; a label that is no slug is no known one.
    assert together <= {rule for rule in together if rule.endswith("/maximum")} | {"bundle.pointers[]/pattern"}


@pytest.mark.parametrize(("contract", "rule"), OWN_RULES)
def test_a_rule_taken_out_of_the_contract_leaves_survivors(contract: str, rule: str, weakened: Any, only: Any) -> None:
    weaker = weakened(without_rule(rule), contract)
    only(folders=("invalid", "warnings"))

    found = score.score(weaker)

    assert rule not in weaker.rules
    assert rule in found.survivors
    assert found.percent < 100


@pytest.mark.parametrize("check", sorted(contract_rules.CHECKS))
def test_a_check_that_has_gone_blind_leaves_survivors(
    check: str, monkeypatch: pytest.MonkeyPatch, weakened: Any, only: Any
) -> None:
    kind, _ = contract_rules.CHECKS[check]
    blind = dict(contract_rules.CHECKS) | {check: (kind, lambda _value, _context: iter(()))}
    monkeypatch.setattr("contracts.declared.CHECKS", blind)
    contract = weakened(lambda _schema, _blocks: None)
    only("valid/spec-example")

    found = score.score(contract)

    assert found.survivors.keys() == {each["id"] for each in contract.declared if each["check"] == check}


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("cadence/enum", lambda schema: schema["cadence"]["enum"].append("Weekly")),
        ("agent/pattern", lambda schema: schema["agent"].update(pattern=schema["agent"]["pattern"].rstrip("$"))),
        ("agent/pattern", lambda schema: schema["agent"].update(pattern=schema["agent"]["pattern"].lstrip("^"))),
        ("bundle.bytes/minimum", lambda schema: schema["bundle"]["properties"]["bytes"].update(minimum=-1)),
        ("occurred_at/format", lambda schema: schema["occurred_at"].pop("format")),
    ],
    ids=["one value more", "open at the end", "open at the start", "one less", "no format"],
)
def test_a_keyword_that_has_become_laxer_leaves_survivors(rule: str, change: Any, weakened: Any, only: Any) -> None:
    weaker = weakened(lambda schema, _blocks: change(schema["properties"]))
    only(folders=("invalid", "warnings"))

    assert rule in score.score(weaker).survivors


def test_a_contract_that_nothing_is_known_of_is_no_pass(only: Any) -> None:
    only()

    found = score.score(load_contract(PREPARED))

    assert found.percent == 0
    assert found.without == list(load_contract(PREPARED).rules)


@pytest.mark.parametrize(
    "command",
    [
        "kaizen-agentic schedule prepare coach # --target /home/worsch/kaizen-agentic",
        "kaizen-agentic schedule prepare coach --target /home/worsch/kaizen-agentic *",
        "kaizen-agentic schedule prepare coach --target /home/worsch/kaizen-agentic [ab]",
        "kaizen-agentic schedule prepare coach --target /home/worsch/kaizen-agentic {a,b}",
        "kaizen-agentic schedule prepare coach --target /home/worsch/kaizen-agentic {1..3}",
        "kaizen-agentic schedule prepare coach --target /home/worsch/kaizen-agentic ~/x",
    ],
)
def test_what_a_shell_would_replace_or_not_read_is_no_plain_command(command: str) -> None:
    payload = json.dumps(event(prepare_command=command)).encode()

    assert [each.rule for each in check_payload(payload).violations] == ["prepare_command/one-command"]


@pytest.mark.parametrize("word", ["'*'", '"~"', r"\*", "'#'", "a#b", "a~b", "{}", "{a}", "[", "'{a,b}'"])
def test_what_a_shell_leaves_as_it_is_is_fine(word: str) -> None:
    command = f"kaizen-agentic schedule prepare coach --target /home/worsch/kaizen-agentic {word}"

    assert not check_payload(json.dumps(event(prepare_command=command)).encode()).violations


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters='\x00"%'), max_size=8), min_size=1))
def test_a_written_command_is_read_as_the_words_it_was_written_from(words: list[str]) -> None:
    assert split_command(join_command(words)) == tuple(words)
    assert join_command(words) == shlex.join(words)
    plain = [word for word in words if word.isprintable()]
    assert split_command(join_command(plain, windows=True), windows=True) == tuple(plain)


def test_commands_are_made_to_agree_with_the_fields_they_name() -> None:
    payload = event(agent="mentor", root="C:\\my kaizen", bundle={"format": "json"})

    agree(payload, load_contract(PREPARED))

    assert payload["prepare_command"] == (
        'kaizen-agentic schedule prepare mentor --target "C:\\my kaizen" --format json'
    )
    assert payload["session_close"][0].endswith(" mentor")
    assert not check_payload(json.dumps(payload).encode()).violations


def test_a_command_that_is_fine_or_is_the_one_broken_is_left_alone() -> None:
    fine, broken = event(), event(prepare_command="sudo reboot")

    agree(fine, load_contract(PREPARED))
    agree(broken, load_contract(PREPARED), but="/prepare_command")

    assert fine == event()
    assert broken["prepare_command"] == "sudo reboot"


def test_mutants_of_one_rule_are_those_among_all() -> None:
    contract, payload = load_contract(PREPARED), event()

    chosen = list(mutants(contract, payload, rule="cadence/enum"))

    assert chosen == [each for each in mutants(contract, payload) if each.rule == "cadence/enum"]
    for rule in ("cadence/enum", "payload/bom", "boundary/secret"):
        ways = list(mutants(contract, payload, rule=rule))
        assert [one_mutant(contract, payload, rule=rule, number=number) for number in range(len(ways))] == ways
    assert payload == event()


def test_survivors_are_named_with_a_command_that_reproduces_them(
    tmp_path: Path, weakened: Any, only: Any, run_contracts: Any
) -> None:
    weakened(without_rule("cadence/enum"))
    only("invalid/cadence-unknown", "valid/spec-example")

    status, out, _ = run_contracts("fixtures", "mutate", "--contract", PREPARED, "--keep", tmp_path / "kept")

    (kept,) = (tmp_path / "kept").iterdir()
    assert status == 1
    assert "survived: invalid/cadence-unknown, as the fixture is: broke nothing, expected cadence/enum" in out
    assert f"reproduce: contracts check --contract {PREPARED} {kept}" in out
    assert run_contracts("check", "--contract", PREPARED, kept)[0] == 0
