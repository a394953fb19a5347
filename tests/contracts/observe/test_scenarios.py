"""A scenario is an input checkout, arguments and the golden event; the emitter gets a private copy."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from contracts.checker import check
from contracts.errors import BadInput
from contracts.fixtures.corpus import ROOT
from contracts.observe.scenarios import Scenario, load_scenarios, staged
from contracts.rules.registry import load_contract

CONTRACT = "kaizen.schedule.prepared@1"
HOME = ROOT / "kaizen.schedule.prepared" / "1"
SHIPPED = load_scenarios(CONTRACT)
TOLD = {"why": "because", "repo": "r", "agent": "coach", "cadence": "daily", "format": "markdown"}


def contents(folder: Path) -> dict[str, bytes | None]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")
    }


def write(folder: Path, told: object = TOLD) -> Path:
    (folder / "one" / "checkout").mkdir(parents=True)
    (folder / "one" / "scenario.json").write_text(told if isinstance(told, str) else json.dumps(told), "utf-8")
    return folder


def test_four_scenarios_ship_and_each_says_why() -> None:
    assert len(SHIPPED) >= 4
    assert all(each.why for each in SHIPPED)


@pytest.mark.parametrize("scenario", SHIPPED, ids=lambda each: each.name)
def test_whatever_the_emitter_does_to_its_copy_the_fixture_stays_as_it_is(scenario: Scenario) -> None:
    before = contents(scenario.folder)
    with staged(scenario) as stage:
        assert contents(stage.root) == contents(scenario.folder / "checkout")
        for path in [each for each in stage.root.rglob("*") if each.is_file()]:
            path.write_bytes(b"overwritten")
        (stage.root / "new").write_bytes(b"new")
        shutil.rmtree(stage.root)
    assert contents(scenario.folder) == before


def test_nothing_is_left_afterwards(tmp_path: Path) -> None:
    with staged(SHIPPED[0]) as stage:
        (stage.scratch / "bundle").write_bytes(b"x")
        (stage.root / "locked").mkdir()
        (stage.root / "locked" / "file").write_bytes(b"x")
        (stage.root / "locked").chmod(0o500)
        (stage.root / "link").symlink_to(tmp_path)
    assert not stage.root.exists()
    assert not stage.scratch.exists()
    assert tmp_path.is_dir()


def test_nothing_is_left_either_where_the_run_fails() -> None:
    with pytest.raises(ZeroDivisionError), staged(SHIPPED[0]) as stage:
        raise ZeroDivisionError
    assert not stage.root.exists()


def test_the_scratch_directory_is_empty_and_apart_from_the_checkout() -> None:
    with staged(SHIPPED[0]) as stage:
        assert list(stage.scratch.iterdir()) == []
        assert not stage.scratch.is_relative_to(stage.root)


def test_two_runs_never_share_a_checkout() -> None:
    with staged(SHIPPED[0]) as one, staged(SHIPPED[0]) as other:
        assert one.root != other.root


@pytest.mark.parametrize("name", ["with space", "Überblick", "scratch", "-x", "a'b"])
def test_the_checkout_has_the_name_that_the_scenario_gives_it(name: str, tmp_path: Path) -> None:
    (scenario,) = load_scenarios(CONTRACT, write(tmp_path, TOLD | {"root_name": name}))
    with staged(scenario) as stage:
        assert stage.root.name == name
        assert stage.placeholders() == {
            "agent": "coach",
            "root": str(stage.root),
            "cadence": "daily",
            "format": "markdown",
            "repo": "r",
            "scratch": str(stage.scratch),
        }


def test_the_root_is_the_place_itself_and_no_link_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "link"))
    with staged(SHIPPED[0]) as stage:
        assert stage.root.is_relative_to(tmp_path / "real")


@pytest.mark.parametrize(
    "told",
    [
        "",
        "{",
        "[]",
        "5",
        b"\xff".decode("latin-1"),
        TOLD | {"agent": 5},
        TOLD | {"agent": None},
        {name: value for name, value in TOLD.items() if name != "cadence"},
        *(TOLD | {"root_name": name} for name in ("", ".", "..", "../x", "/etc", "a/b", 5)),
    ],
    ids=str,
)
def test_a_scenario_that_cannot_be_read_says_what_one_looks_like(told: object, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as error:
        load_scenarios(CONTRACT, write(tmp_path, told))
    assert str(tmp_path / "one" / "scenario.json") in str(error.value)
    assert '{"why", "repo", "agent", "cadence", "format"}' in str(error.value)


def test_a_scenario_without_a_description_or_a_checkout_is_named(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "one" / "checkout").rmdir()
    with pytest.raises(BadInput, match="one has no checkout/"):
        load_scenarios(CONTRACT, tmp_path)
    (tmp_path / "one" / "scenario.json").unlink()
    with pytest.raises(BadInput, match=r"scenario.json is not a scenario: FileNotFoundError"):
        load_scenarios(CONTRACT, tmp_path)


def test_scenarios_are_chosen_by_name_and_unknown_ones_refused_with_those_there_are() -> None:
    assert [each.name for each in load_scenarios(CONTRACT, names=("daily-json",))] == ["daily-json"]
    with pytest.raises(BadInput, match=r"no scenario nope in [^\n]*\n  there: daily-json, "):
        load_scenarios(CONTRACT, names=("nope", "daily-json"))


def test_a_folder_without_scenarios_is_never_a_pass(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no scenario at all in [^\n]*\n  there: none"):
        load_scenarios(CONTRACT, tmp_path)
    with pytest.raises(BadInput, match="there is no folder of scenarios at"):
        load_scenarios(CONTRACT, tmp_path / "nowhere")


@pytest.mark.parametrize("scenario", SHIPPED, ids=lambda each: each.name)
def test_a_shipped_golden_keeps_the_contract_and_is_among_the_valid_payloads(scenario: Scenario) -> None:
    raw = scenario.golden_path.read_bytes()
    golden = json.loads(raw)
    assert check(raw, contract=load_contract(CONTRACT)).violations == ()
    assert (HOME / "valid" / f"bundle-{scenario.name}.json").read_bytes() == raw
    assert (golden["agent"], golden["cadence"], golden["repo"]) == (scenario.agent, scenario.cadence, scenario.repo)
    assert golden["bundle"]["format"] == scenario.format


@pytest.mark.parametrize("scenario", SHIPPED, ids=lambda each: each.name)
def test_the_bundle_of_a_shipped_golden_has_the_size_it_says(scenario: Scenario) -> None:
    bundle = json.loads(scenario.golden_path.read_bytes())["bundle"]
    (path,) = (HOME / "bundles").glob(f"bundle-{scenario.name}.*")
    assert path.stat().st_size == bundle["bytes"]
    assert path.suffix == {"markdown": ".md", "json": ".json"}[bundle["format"]]
