"""The house rules that CONTRIBUTING states: each sentence there that can be a test is one here."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator

import click
import pytest

import contracts
from archiver.cli import archiver as archiver_cli
from contracts import Exit
from contracts.cli import contracts as contracts_cli
from tests.house.rules import EVERYTHING, IMPURE_CALLS, IMPURE_MODULES, MAY_NOT_IMPORT, ONLY_IN, PURE, ROOT, SOURCES


def tree(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text("utf-8"))


def imported_modules(path: str) -> Iterator[str]:
    """Every import, also those inside functions and under TYPE_CHECKING."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def public_definitions(path: str) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in tree(path).body:
        if isinstance(node, kinds) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from (each for each in node.body if isinstance(each, kinds) and not each.name.startswith("_"))


def commands(group: click.Group) -> dict[str, click.Command]:
    context = click.Context(group)
    found = {name: group.get_command(context, name) for name in group.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


def test_there_is_a_house_to_look_at() -> None:
    assert len(SOURCES) > 30
    assert set(PURE) <= set(SOURCES)
    assert {place for places in ONLY_IN.values() for place in places if place.endswith(".py")} <= set(SOURCES)


@pytest.mark.parametrize("path", EVERYTHING)
def test_no_file_outgrows_one_sitting(path: str) -> None:
    lines = len((ROOT / path).read_text("utf-8").splitlines())

    assert lines < 300, f"{path} has {lines} lines; split it by reason to change"


@pytest.mark.parametrize("path", SOURCES)
def test_imports_point_down(path: str) -> None:
    for place, above in MAY_NOT_IMPORT.items():
        if path.startswith(place):
            climbing = {name for name in imported_modules(path) if name.startswith(above)}

            assert not climbing, f"{path} imports {climbing}; see the map in CONTRIBUTING.md"


@pytest.mark.parametrize("path", [path for path in SOURCES if path.startswith("archiver/")])
def test_the_archiver_uses_only_public_names_of_contracts(path: str) -> None:
    used = {name for name in imported_modules(path) if name.startswith("contracts")}
    allowed = {"contracts", *(f"contracts.{name}" for name in contracts.__all__)}

    assert used <= allowed


@pytest.mark.parametrize("path", SOURCES)
def test_drivers_stay_where_they_belong(path: str) -> None:
    used = {name.partition(".")[0] for name in imported_modules(path)}
    strays = {driver for driver in used & ONLY_IN.keys() if not path.startswith(ONLY_IN[driver])}

    assert not strays, f"{path} imports {strays}, which belong in {[ONLY_IN[driver] for driver in strays]}"


@pytest.mark.parametrize("path", PURE)
def test_pure_modules_do_no_io_and_read_no_clock(path: str) -> None:
    modules = {name.partition(".")[0] for name in imported_modules(path)} & IMPURE_MODULES
    called = {
        node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name)
    } & IMPURE_CALLS

    assert not modules | called


@pytest.mark.parametrize("path", SOURCES)
def test_every_public_name_says_what_it_is(path: str) -> None:
    assert path.endswith("__init__.py") or ast.get_docstring(tree(path)), f"{path} has no docstring"
    silent = [
        node.name
        for node in public_definitions(path)
        if not ast.get_docstring(node)
        and not any(isinstance(each, ast.Name) and each.id == "override" for each in node.decorator_list)
    ]

    assert not silent, f"{path}: {silent} have no docstring"


def test_make_help_lists_every_target() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None

    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert {line.split()[0] for line in listed.splitlines()} == set(phony[1].split())


@pytest.mark.parametrize("group", [contracts_cli, archiver_cli], ids=["contracts", "archiver"])
def test_every_verb_is_in_the_readme_and_explains_itself(group: click.Group) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    for name, command in commands(group).items():
        assert f"{group.name} {name}" in readme, f"README.md does not mention `{group.name} {name}`"
        assert command.help, f"{group.name} {name} has no help"
        assert "\\b" not in command.help + (group.help or ""), (
            f"{group.name} {name} shows click's mark instead of obeying it"
        )
        for parameter in command.params:
            assert not isinstance(parameter, click.Option) or parameter.help, f"{group.name} {name} {parameter.name}"


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_commands_in_the_docs_exist(document: str) -> None:
    text = (ROOT / document).read_text("utf-8")
    known = {"contracts": set(commands(contracts_cli)), "archiver": set(commands(archiver_cli))}
    for program, verb in re.findall(
        r"^\s*(contracts|archiver) ([a-z-]+)",
        "\n".join(re.findall(r"```[a-z]*\n(.*?)```", text, re.DOTALL)),
        re.MULTILINE,
    ):
        assert verb in known[program], f"{document} shows `{program} {verb}`, which does not exist"


def test_the_readme_says_the_exit_statuses_as_they_are() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")

    assert {int(number) for number in re.findall(r"^\| (\d+) \|", readme, re.MULTILINE)} == {int(each) for each in Exit}


def test_the_map_in_contributing_names_every_module() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    on_the_map = set(re.findall(r"^\s*([a-z_0-9/]+\.py)\s", text, re.MULTILINE))

    assert on_the_map == {path for path in SOURCES if not path.endswith("__init__.py")}


def test_every_dependency_and_every_ignored_rule_has_its_reason_beside_it() -> None:
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    project = tomllib.loads(text)["project"]
    needed = [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]
    lines = text[text.index("[project]") :].splitlines()
    for requirement in needed:
        line = next(line for line in lines if f'"{requirement}"' in line)
        assert "#" in line or requirement.startswith("kaizen-event-kit"), f"{requirement} has no reason beside it"


def test_public_names_are_what_the_package_hands_out() -> None:
    for name in contracts.__all__:
        assert getattr(getattr(contracts, name), "__name__", name) == name  # a constant has none
