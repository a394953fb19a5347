"""Made-up payloads: valid ones are valid, broken ones break one rule, and a seed means the same everywhere."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import check_payload, load_contract
from contracts import rules as contract_rules
from contracts.patterns import sample
from contracts.strategies import broken_payloads, counterexample, generate, payloads
from tests.contracts.builders import ARCHIVED, PREPARED

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = [PREPARED, ARCHIVED]
PATTERNS = [
    "^[a-z0-9][a-z0-9._-]{0,63}$",
    r"^[^\s.*>]+$",
    r"^([^/]+/)*[0-9a-f]{64}\.(md|json)(\.zst)?$",
    r"a|b.c\d\w\s?",
]


def _lines(*arguments: str, cwd: Path, hash_seed: str = "0") -> bytes:
    """Run `contracts fixtures generate` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "contracts", "fixtures", "generate", *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
    ).stdout


@pytest.mark.parametrize("contract", CONTRACTS)
def test_made_up_payloads_break_nothing(contract: str) -> None:
    for payload in islice(generate(payloads(load_contract(contract)), seed_number=1), 50):
        result = check_payload(json.dumps(payload).encode())

        assert result.contract == contract
        assert result.violations == ()


@pytest.mark.parametrize("contract", CONTRACTS)
def test_broken_payloads_break_exactly_the_rule_they_come_with(contract: str) -> None:
    found = list(islice(generate(broken_payloads(load_contract(contract)), seed_number=1), 60))

    for raw, rule in found:
        assert {each.rule for each in check_payload(raw, contract=load_contract(contract)).violations} == {rule}
    assert len({rule for _, rule in found}) > 5


@given(st.data())
def test_the_strategy_serves_a_property_of_somebody_else(data: st.DataObject) -> None:
    payload = data.draw(payloads(load_contract(PREPARED)))

    assert payload["agent"] in payload["prepare_command"]


@pytest.mark.parametrize("kind", ["--valid", "--invalid"])
def test_a_seed_means_the_same_bytes_in_every_process(kind: str, tmp_path: Path) -> None:
    first = _lines(kind, "15", "--seed", "4", cwd=tmp_path, hash_seed="1")

    assert _lines(kind, "15", "--seed", "4", cwd=tmp_path, hash_seed="999") == first
    assert _lines(kind, "15", "--seed", "5", cwd=tmp_path, hash_seed="1") != first
    assert len(set(first.splitlines())) == 30  # 15 for each contract, all different
    assert list(tmp_path.iterdir()) == []  # Hypothesis keeps its caches elsewhere


def test_a_seed_means_the_same_in_a_process_that_has_loaded_other_modules(tmp_path: Path) -> None:
    here = [json.dumps(each) for each in islice(generate(payloads(load_contract(PREPARED)), seed_number=4), 15)]

    there = _lines("--valid", "15", "--seed", "4", "--contract", PREPARED, cwd=tmp_path).splitlines()

    assert [json.loads(line) for line in there] == [json.loads(line) for line in dict.fromkeys(here)][:15]


def test_valid_lines_pass_the_check_and_broken_lines_say_what_they_break(tmp_path: Path, run_contracts: Any) -> None:
    lines = _lines("--valid", "10", cwd=tmp_path)
    assert run_contracts("check", "--jsonl", "--fail-on", "warning", "-", stdin=lines)[0] == 0

    for line in _lines("--invalid", "20", "--contract", PREPARED, cwd=tmp_path).splitlines():
        told = json.loads(line)
        raw = told["raw"].encode() if "raw" in told else base64.b64decode(told["raw_base64"])
        broken = {each.rule for each in check_payload(raw, contract=load_contract(PREPARED)).violations}
        assert broken == set(told["breaks"])
        assert not check_payload(json.dumps(told["base"]).encode()).violations


def test_a_counterexample_is_the_smallest_there_is() -> None:
    assert counterexample(st.integers(0, 1000), lambda value: value < 17, seed_number=1) == 17
    assert counterexample(st.integers(0, 1000), lambda _: True, seed_number=1) is None


def test_a_smallest_case_that_is_none_is_never_reported() -> None:
    """A condition that holds again once it has been shrunk: schemathesis #4332."""
    asked: list[int] = []

    def holds(value: int) -> bool:
        asked.append(value)
        return value < 17 or (value == 17 and asked.count(17) > 1)

    found = counterexample(st.integers(0, 1000), holds, seed_number=1)

    assert 17 in asked
    assert found is not None
    assert found > 17
    assert not holds(found)


def test_a_mutant_that_is_not_caught_is_printed_as_the_smallest_there_is(
    monkeypatch: pytest.MonkeyPatch, run_contracts: Any
) -> None:
    blind = dict(contract_rules.CHECKS) | {"one-line": (str, lambda _value, _context: iter(()))}
    monkeypatch.setattr("contracts.declared.CHECKS", blind)
    from contracts import check

    check._declared.cache_clear()
    try:
        status, _, err = run_contracts("fixtures", "generate", "--invalid", "500", "--contract", ARCHIVED)
    finally:
        check._declared.cache_clear()

    assert status == 1
    assert f"not caught by {ARCHIVED}" in err
    assert "expected boundary/one-line" in err


def test_without_hypothesis_the_verb_says_what_to_install(monkeypatch: pytest.MonkeyPatch, run_contracts: Any) -> None:
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    monkeypatch.delitem(sys.modules, "contracts.strategies")
    monkeypatch.delattr("contracts.strategies")

    status, _, err = run_contracts("fixtures", "generate", "--valid", "1")

    assert status == 2
    assert "pip install 'kaizen-event-kit[generate]'" in err


@pytest.mark.parametrize("arguments", [(), ("--valid", "1", "--invalid", "1"), ("--valid", "0")])
def test_wrong_usage_is_said(arguments: tuple[str, ...], run_contracts: Any) -> None:
    assert run_contracts("fixtures", "generate", *arguments)[0] == 2


def test_more_than_there_is_is_no_pass(monkeypatch: pytest.MonkeyPatch, run_contracts: Any) -> None:
    monkeypatch.setattr("contracts.strategies.payloads", lambda _contract: st.just({"only": 1}))

    status, _, err = run_contracts("fixtures", "generate", "--valid", "2", "--contract", PREPARED)

    assert status == 3
    assert "has no more than 1 different payloads" in err


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_sample_matches_its_pattern_and_is_the_same_for_a_number(pattern: str) -> None:
    for number in range(300):
        text = sample(pattern, number)

        assert re.search(pattern, text)
        assert text == sample(pattern, number)


def test_hypothesis_is_imported_by_no_module_that_a_check_needs() -> None:
    code = (
        "import sys, contracts.check, contracts.mutations.score, contracts.coverage; print('hypothesis' in sys.modules)"
    )

    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert said == "False\n"
