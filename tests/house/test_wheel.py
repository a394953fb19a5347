"""What users install works where nothing else is: no checkout, no extras, another folder."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

import archiver
import contracts
from tests.support.wheel import CHECKOUT, Environment, base_dependencies, build_wheel, install

pytestmark = pytest.mark.slow

NEED_AN_EXTRA = {"Settings", "load_settings"}


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


@pytest.mark.parametrize(
    "words",
    [
        ["seal"],
        ["mutate", "--contract", "kaizen.schedule.archived", "--keep", "FIXTURES"],
        ["record", "EVENT", "--into", "FIXTURES/kaizen.schedule.prepared/1/valid", "--emitter-version", "1"],
    ],
    ids=lambda words: words[0],
)
def test_nothing_is_written_into_an_installed_package(words: list[str], installed: Environment, tmp_path: Path) -> None:
    fixtures = installed.site_packages / "contracts" / "_fixtures"
    event = fixtures / "kaizen.schedule.prepared" / "1" / "valid" / "spec-example.json"
    before = _files(fixtures)
    filled = [word.replace("FIXTURES", str(fixtures)).replace("EVENT", str(event)) for word in words]

    done = installed.run(installed.contracts, "fixtures", *filled, cwd=tmp_path, CI="")

    assert (done.returncode, done.stdout) == (2, "")
    assert "belongs to an installed package\n  run this in a checkout" in done.stderr
    assert _files(fixtures) == before


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


def test_the_package_works_for_those_who_import_it(installed: Environment, tmp_path: Path) -> None:
    script = "import contracts; print(contracts.__file__, [each.rule for each in contracts.check({}).violations])"

    done = installed.run(installed.python, "-W", "error", "-c", script, cwd=tmp_path)

    assert done.stdout == f"{installed.site_packages}/contracts/__init__.py ['event/required']\n"


@pytest.mark.parametrize("package", [contracts, archiver], ids=lambda package: package.__name__)
def test_every_public_name_can_be_imported_from_the_wheel(package: Any, installed: Environment, tmp_path: Path) -> None:
    lines = "\n".join(f"from {package.__name__} import {name}" for name in package.__all__ if name not in NEED_AN_EXTRA)

    done = installed.run(installed.python, "-W", "error", "-c", lines, cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")


def test_the_reader_of_an_archive_without_its_extra_says_what_to_install(
    installed: Environment, tmp_path: Path
) -> None:
    script = (
        "from archiver import open_archive\ntry: open_archive('s3://bucket')\nexcept Exception as error: print(error)"
    )

    done = installed.run(installed.python, "-c", script, cwd=tmp_path)

    assert "pip install 'kaizen-event-kit[archiver]'" in done.stdout


PROGRAM = """\
from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import date
from typing import Any

from archiver import ArchivedEvent, ArchiveReader, AsyncArchiveReader, open_archive
from contracts import (
    BadInput, Capture, Contract, InvalidEvent, PreparedEvent, Result, Severity, Violation, assert_conforms, check,
    event_key, load_contract, parse_rfc3339, payloads,
)


def verdicts(raw: bytes, text: str, mapping: Mapping[str, Any], contract: Contract) -> list[Result]:
    assert_conforms(mapping, contract, "consumer")
    return [check(raw), check(text, profile="consumer"), check(mapping, contract=contract, source="here")]


def errors(result: Result) -> list[Violation]:
    return [each for each in result.violations if each.severity is Severity.ERROR]


def read(raw: bytes) -> PreparedEvent | tuple[Violation, ...]:
    try:
        return PreparedEvent.parse(raw)
    except InvalidEvent as error:
        return error.violations


def bundles(archive: ArchiveReader) -> dict[str, bytes]:
    return {each.key: archive.read(each) for each in archive.find(repo="kaizen", day=date(2026, 6, 17))}


async def newest(archive: AsyncArchiveReader) -> ArchivedEvent | None:
    found = [each async for each in archive]
    return max(found, key=lambda each: each.event.occurred_at, default=None)


async def main(url: str) -> None:
    async with open_archive(url) as archive:
        print(await newest(archive))


def synchronous(url: str) -> bytes:
    with open_archive(url) as archive, archive.open("ab" * 32) as file:
        return file.read()


print(event_key({}), parse_rfc3339("2026-06-17T09:00:12Z").year, load_contract("x").rules, payloads, BadInput, Capture)
asyncio.run(main("s3://bucket"))
"""
WRONG = """\
from archiver import open_archive
from contracts import check, chek

check(7)
open_archive("s3://bucket").find()
"""


def test_a_program_that_uses_both_packages_is_checked_by_mypy_from_the_wheel(
    installed: Environment, tmp_path: Path
) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "wrong.py").write_text(WRONG)
    words = [sys.executable, "-m", "mypy", "--strict", "--python-executable", installed.python]

    sound = installed.run(*words, "program.py", cwd=tmp_path)
    wrong = installed.run(*words, "wrong.py", cwd=tmp_path)

    assert sound.stdout == "Success: no issues found in 1 source file\n"
    assert {line.split(":")[1] for line in wrong.stdout.splitlines() if "error:" in line} == {"2", "4", "5"}
