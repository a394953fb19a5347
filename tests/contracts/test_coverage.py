"""A corpus that does not show something says what."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from contracts import load_contract
from contracts.coverage import Demand, demands
from contracts.errors import NothingChecked
from tests.contracts.builders import ARCHIVED, PREPARED
from tests.contracts.weakening import own_corpus


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return own_corpus(tmp_path, monkeypatch) / "kaizen.schedule.prepared" / "1"


def _gaps(contract: str = PREPARED) -> set[str]:
    return {f"{each.kind}: {each.what}" for each in demands(load_contract(contract)) if each.fixture is None}


@pytest.mark.parametrize("contract", [PREPARED, ARCHIVED])
def test_our_own_corpus_shows_everything(contract: str) -> None:
    found = list(demands(load_contract(contract)))

    assert not _gaps(contract)
    assert len(found) > 150
    assert len({(each.kind, each.what) for each in found}) == len(found)


@pytest.mark.parametrize(
    ("fixtures", "gaps"),
    [
        ("valid/cadence-monthly valid/bundle-monthly-nothing-found", {"value: cadence is 'monthly'"}),
        (
            "valid/format-with-equals-sign",
            {"form: prepare_command/format: --format=VALUE"},
        ),
        ("valid/bytes-largest", {"value: bundle.bytes is the maximum"}),
        ("warnings/bytes-zero", {"value: bundle.bytes is the minimum", "rule broken: bundle.bytes/zero"}),
        ("valid/time-leap-second warnings/time-leap-second-offset", {"form: occurred_at at a leap second"}),
        (
            "valid/root-windows valid/root-windows-with-spaces",
            {
                "form: root/absolute: a Windows path",
                "form: prepare_command/one-command: on Windows, quoted",
                "form: prepare_command/one-command: on Windows, plain",
            },
        ),
        ("valid/session-close-empty", {"length: session_close is empty"}),
        ("invalid/version-unknown invalid/version-with-minor", {"rule broken: version/const"}),
        ("wire/byte-order-mark", {"rule broken: payload/bom"}),
    ],
)
def test_a_fixture_taken_away_leaves_the_gap_that_only_it_filled(fixtures: str, gaps: set[str], corpus: Path) -> None:
    for name in fixtures.split():
        for path in corpus.glob(f"{name}.*"):
            path.unlink()

    assert _gaps() == gaps


def test_what_a_fixture_says_it_breaks_is_not_believed(corpus: Path) -> None:
    path = corpus / "invalid" / "repo-empty.json"
    for name in ("repo-empty", "repo-as-url"):
        (corpus / "invalid" / f"{name}.json").unlink()
    path.write_text(json.dumps({"why": "", "breaks": ["repo/pattern"], "set": {"/repo": "fine"}}), "utf-8")

    assert _gaps() == {"rule broken: repo/pattern"}


def test_choices_inside_a_pattern_are_each_asked_for() -> None:
    asked = {each.what for each in demands(load_contract(ARCHIVED)) if each.kind == "form"}

    assert {
        "archive.key with md of (md|json)",
        "archive.key with json of (md|json)",
        r"archive.key without (\.zst)?",
        r"archive.key with \.zst of (\.zst)?",
        "archive.key without ([^/]+/)*",
    } <= asked


def test_hostile_bytes_of_one_corpus_serve_every_contract() -> None:
    (found,) = (
        each for each in demands(load_contract(ARCHIVED)) if each.what == "payload/bom" and "broken" in each.kind
    )

    assert found == Demand("rule broken", "payload/bom", f"{PREPARED} wire/byte-order-mark")


def test_a_contract_without_fixtures_is_no_pass(corpus: Path) -> None:
    for path in [*corpus.glob("*/*.json"), *corpus.glob("*/*.bin")]:
        path.unlink()

    with pytest.raises(NothingChecked, match=r"kaizen\.schedule\.prepared@1 has no valid fixture"):
        list(demands(load_contract(PREPARED)))


@pytest.mark.parametrize(("least", "status"), [("100", 1), ("99", 0), ("0", 0)])
def test_too_little_coverage_fails_and_names_the_gap(least: str, status: int, corpus: Path, run_contracts: Any) -> None:
    (corpus / "valid" / "bytes-largest.json").unlink()

    ended, out, _ = run_contracts("fixtures", "coverage", "--contract", PREPARED, "--min", least)

    assert ended == status
    assert "gap: value: bundle.bytes is the maximum" in out
    assert "202 of 203 shown: 99.5 %" in out


def test_full_coverage_is_the_default_demand(run_contracts: Any) -> None:
    status, out, _ = run_contracts("fixtures", "coverage")

    assert status == 0
    assert out.count("100.0 %") == 2
    assert "gap" not in out
