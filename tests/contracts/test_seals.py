"""No golden fixture changes without somebody saying so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from contracts import BadInput
from contracts.corpus import files
from contracts.errors import NothingChecked
from contracts.seals import FILE, Breach, breaches, seal
from tests.contracts.builders import ARCHIVED
from tests.contracts.weakening import own_corpus


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("CI", raising=False)
    folder = own_corpus(tmp_path, monkeypatch) / "kaizen.schedule.archived" / "1"
    seal(ARCHIVED)
    return folder


def test_our_own_fixtures_are_as_they_were_sealed(run_contracts: Any) -> None:
    status, out, err = run_contracts("fixtures", "verify")

    assert status == 0, out + err


def test_an_edited_a_missing_and_an_unsealed_fixture_are_each_named(corpus: Path, run_contracts: Any) -> None:
    (corpus / "valid" / "spec-example.json").write_bytes((corpus / "valid" / "spec-example.json").read_bytes() + b" ")
    (corpus / "invalid" / "secret.json").unlink()
    (corpus / "valid" / "new.json").write_text("{}")

    status, out, err = run_contracts("fixtures", "verify", "--contract", ARCHIVED)

    assert status == 1
    assert breaches(ARCHIVED) == [
        Breach("invalid/secret.json", "missing"),
        Breach("valid/new.json", "unsealed"),
        Breach("valid/spec-example.json", "edited"),
    ]
    assert f"missing: {ARCHIVED} invalid/secret.json" in out
    assert "contracts fixtures seal" in err


def test_seals_are_the_same_bytes_every_time_and_cover_every_file(corpus: Path) -> None:
    first = (corpus / FILE).read_bytes()

    assert seal(ARCHIVED) == len(list(files(ARCHIVED))) - 1  # all but the seals themselves
    assert (corpus / FILE).read_bytes() == first
    names = list(json.loads(first)["sha256"])
    assert names == sorted(names)
    assert breaches(ARCHIVED) == []


def test_a_seal_is_refused_in_ci(corpus: Path, run_contracts: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    (corpus / "valid" / "new.json").write_text("{}")

    status, _, err = run_contracts("fixtures", "seal")

    assert status == 2
    assert "refused, because CI is set" in err
    assert breaches(ARCHIVED) == [Breach("valid/new.json", "unsealed")]


def test_what_is_meant_can_be_sealed_anew(corpus: Path, run_contracts: Any) -> None:
    (corpus / "valid" / "new.json").write_text("{}")

    assert run_contracts("fixtures", "seal", "--contract", ARCHIVED)[0] == 0
    assert breaches(ARCHIVED) == []


def test_missing_and_damaged_seals_say_what_to_do(corpus: Path) -> None:
    (corpus / FILE).write_text("[]")
    with pytest.raises(BadInput, match=r"cannot be read as seals(?s:.*)version control"):
        breaches(ARCHIVED)

    (corpus / FILE).unlink()
    with pytest.raises(BadInput, match=r"has no seals(?s:.*)contracts fixtures seal"):
        breaches(ARCHIVED)


@pytest.mark.usefixtures("corpus")
def test_an_empty_corpus_is_no_pass() -> None:
    for _, path in list(files(ARCHIVED)):
        path.unlink()

    with pytest.raises(NothingChecked, match="has no fixtures"):
        breaches(ARCHIVED)
