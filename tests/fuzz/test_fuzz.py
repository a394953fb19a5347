"""The fuzzer finds what it is made to find: it breaks where a promise does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from contracts import checker
from contracts.errors import Exit
from contracts.reports.text import TextReport
from tests.fuzz import targets
from tests.fuzz.inputs import LIMIT_BYTES, as_bytes, mutated, planted, structured
from tests.fuzz.targets import TARGETS, Broken


def nothing(_name: str, _raw: bytes) -> None:
    """Keep no input."""


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.__name__)
def test_every_target_holds_for_its_first_input(target: Callable[..., None]) -> None:
    target(Random(0), nothing)


def test_an_input_is_made_again_from_its_seed_and_is_within_the_limit() -> None:
    for number in range(50):
        for make in (mutated, lambda random: as_bytes(random, structured(random)), planted):
            first, second = (make(Random(number)) for _ in range(2))
            assert first == second
            assert isinstance(first, tuple) or len(first) <= LIMIT_BYTES


def _fails(*_arguments: Any, **_named: Any) -> Any:
    raise IndexError


def test_a_defect_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checker, "check", _fails)

    with pytest.raises(Broken, match=f"status {Exit.DEFECT:d}"):
        targets._check(Random(0), nothing, b",1", None)


def test_a_secret_that_is_shown_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TextReport, "close", lambda self, _: self._output.write("hunter22\n"))

    with pytest.raises(Broken, match="the planted secret 'hunter22' is shown in: "):
        targets._check(Random(0), nothing, b"[]", "hunter22")


def test_a_report_that_its_reader_refuses_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TextReport, "close", lambda self, _: self._output.write("::error::\x1b\n"))

    with pytest.raises(Broken, match="the text report is refused by its reader"):
        targets._check(Random(0), nothing, b"[]", None)


def test_what_costs_too_much_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "MOST_CPU_S", 0.0)

    with pytest.raises(Broken, match="s of CPU"):
        targets._check(Random(0), nothing, b"[]", None)


def test_the_working_directory_stays_where_it_was() -> None:
    before = Path.cwd()

    targets._check(Random(0), nothing, b"[]", None)

    assert Path.cwd() == before
