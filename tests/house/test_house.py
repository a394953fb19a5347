"""The house rules that CONTRIBUTING states: each sentence there that can be a test is one here."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator

import pytest

import contracts
from tests.house.rules import IMPURE_CALLS, PURE, ROOT, SOURCES


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


def test_there_is_a_house_to_look_at() -> None:
    assert len(SOURCES) > 30
    assert set(PURE) <= set(SOURCES)


@pytest.mark.parametrize("path", PURE)
def test_pure_modules_do_no_io_and_read_no_clock(path: str) -> None:
    called = {
        node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name)
    } & IMPURE_CALLS

    assert not called


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


def test_the_name_of_a_test_has_at_most_80_characters() -> None:
    names = re.findall(r"def (test_\w+)", "\n".join(path.read_text("utf-8") for path in ROOT.glob("tests/**/*.py")))

    assert [name for name in names if len(name) > 80] == []
