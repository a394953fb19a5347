"""What users install works where nothing else is: no checkout, no extras, another folder."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.support.wheel import CHECKOUT, Environment, base_dependencies, build_wheel, install

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return install(wheel, tmp_path_factory.mktemp("empty") / "venv")


@pytest.fixture
def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.mark.parametrize(
    ("folder", "place"), [("fixtures", "contracts/_fixtures/"), ("contracts", "contracts/"), ("archiver", "archiver/")]
)
def test_the_wheel_holds_every_file_of_the_checkout_as_it_is(
    folder: str, place: str, contents: dict[str, bytes]
) -> None:
    shipped = {name.removeprefix(place): data for name, data in contents.items() if name.startswith(place)}
    if folder == "contracts":
        shipped = {name: data for name, data in shipped.items() if not name.startswith("_fixtures/")}

    assert shipped == _files(CHECKOUT / folder)
    assert shipped


def test_the_wheel_holds_two_typed_packages_and_nothing_else(contents: dict[str, bytes]) -> None:
    tops = {name.partition("/")[0] for name in contents if ".dist-info/" not in name}

    assert tops == {"contracts", "archiver"}
    assert {"contracts/py.typed", "archiver/py.typed"} <= set(contents)
    assert not [name for name in contents if Path(name).name.startswith("test_") or "__pycache__" in name]


def test_the_base_install_is_light(installed: Environment) -> None:
    names = {path.name.partition("-")[0].lower() for path in installed.site_packages.glob("*.dist-info")}

    assert names == {package.name.lower().replace("-", "_") for package in base_dependencies()} | {"kaizen_event_kit"}
    assert not names & {"boto3", "aiohappyeyeballs", "nats_py", "pydantic", "structlog", "pytest"}


def test_payloads_are_checked_from_another_folder_with_fixtures_out_of_the_wheel(
    installed: Environment, tmp_path: Path
) -> None:
    version = installed.site_packages / "contracts" / "_fixtures" / "kaizen.schedule.prepared" / "1"
    valid = sorted((version / "valid").glob("*.json"))

    passed = installed.run(installed.contracts, "check", *valid, cwd=tmp_path)
    failed = installed.run(
        installed.contracts, "check", "--report", "json", version / "invalid" / "cadence-unknown.json", cwd=tmp_path
    )

    assert (passed.returncode, passed.stderr) == (0, "")
    assert passed.stdout == f"{len(valid)} of {len(valid)} payloads pass: 0 errors, 0 warnings\n"
    (result,) = json.loads(failed.stdout)["results"]
    assert failed.returncode == 1
    assert [violation["rule"] for violation in result["findings"]] == ["cadence/enum"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list"], "kaizen.schedule.prepared"),
        (["show", "kaizen.schedule.prepared"], "bundle.agent_prompt_found"),
        (["explain", "boundary/secret"], "never secrets or full repo contents"),
        (["--version"], "contracts, version 0."),
        (["--help"], "Exit status of every verb"),
    ],
)
def test_every_verb_works_without_the_checkout(
    arguments: list[str], said: str, installed: Environment, tmp_path: Path
) -> None:
    done = installed.run(installed.contracts, *arguments, cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert said in done.stdout
    assert str(CHECKOUT) not in done.stdout


def test_the_example_that_explain_gives_is_in_the_wheel(installed: Environment, tmp_path: Path) -> None:
    told = installed.run(
        installed.contracts, "explain", "--contract", "kaizen.schedule.prepared", "agent/pattern", cwd=tmp_path
    )
    command = next(line for line in told.stdout.splitlines() if "contracts check" in line).split()

    done = installed.run(installed.contracts, *command[1:], cwd=tmp_path)

    assert done.returncode == 1
    assert "[agent/pattern]" in done.stdout


def test_a_secret_is_seen_by_the_base_install(installed: Environment, tmp_path: Path) -> None:
    (path,) = (installed.site_packages / "contracts").glob("_fixtures/*prepared/1/invalid/secret-in-environment.json")

    done = installed.run(installed.contracts, "check", path, cwd=tmp_path)

    assert done.returncode == 1
    assert "[boundary/secret]" in done.stdout


def test_the_stand_in_emits_from_the_wheel(installed: Environment, tmp_path: Path) -> None:
    stand_in = installed.site_packages / "contracts" / "_fixtures" / "emitters" / "kaizen-agentic"
    stand_in.chmod(0o755)
    usual: list[Any] = ["coach", "--root", tmp_path, "--repo", "kaizen", "--cadence", "daily", "--spool", tmp_path]

    done = installed.run(installed.contracts, "emit", *usual, "--program", stand_in, "--stdout", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["agent"] == "coach"


def test_publishing_without_its_extra_says_what_to_install(installed: Environment, tmp_path: Path) -> None:
    stand_in = installed.site_packages / "contracts" / "_fixtures" / "emitters" / "kaizen-agentic"
    stand_in.chmod(0o755)
    usual: list[Any] = ["coach", "--root", tmp_path, "--repo", "kaizen", "--cadence", "daily", "--spool", tmp_path]

    done = installed.run(installed.contracts, "emit", *usual, "--program", stand_in, "--nats", "nats://h", cwd=tmp_path)

    assert done.returncode == 2
    assert "pip install 'kaizen-event-kit[nats]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_archiver_without_its_extra_says_what_to_install(installed: Environment, tmp_path: Path) -> None:
    done = installed.run(installed.home / "bin" / "archiver", "config", cwd=tmp_path)

    assert done.returncode == 2
    assert "kaizen-event-kit[archiver]" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_package_is_typed_for_those_who_import_it(installed: Environment, tmp_path: Path) -> None:
    script = (
        "import contracts\n"
        "raw = b'{}'\n"
        "print(contracts.__file__, [violation.rule for violation in contracts.check(raw).violations])"
    )

    done = installed.run(installed.python, "-c", script, cwd=tmp_path)

    assert done.stdout == f"{installed.site_packages}/contracts/__init__.py ['event/required']\n"
