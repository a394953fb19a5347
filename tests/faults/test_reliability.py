"""docs/reliability.md has a row for every fault, and every fault has a test."""

from __future__ import annotations

import re

import pytest

from tests.faults.report import FAULTS, Told, gaps, rounded, write
from tests.house.test_house import ROOT
from tests.support.inner_pytest import Run

# 27 is about a command that is run again, which is not built.
NUMBERS = [number for number in range(1, 36) if number != 27]


def test_every_fault_is_named() -> None:
    assert list(FAULTS) == NUMBERS


def test_every_fault_has_a_row_in_the_committed_table() -> None:
    rows = re.findall(r"^\| (\d+) \| (.+?) \|", (ROOT / "docs/reliability.md").read_text("utf-8"), re.MULTILINE)

    assert [(int(number), name) for number, name in rows] == list(FAULTS.items())


def test_every_fault_has_a_test() -> None:
    texts = (path.read_text("utf-8") for path in (ROOT / "tests/faults").glob("test_*.py"))
    tested = {int(number) for text in texts for number in re.findall(r"\bfault\(\s*(?:\*\()?(\d+),", text)}

    assert tested == set(NUMBERS)


def test_tests_of_one_fault_make_one_row_with_the_longest_recovery(tmp_path) -> None:
    told = [Told(number, "injection", "outcome", None) for number in NUMBERS]
    told += [Told(5, "another", "outcome", 1.2), Told(5, "injection", "outcome", 4.9)]

    write(tmp_path / "docs" / "table.md", told)

    rows = [line for line in (tmp_path / "docs" / "table.md").read_text().splitlines() if line.startswith("| ")][1:]
    assert len(rows) == len(NUMBERS)
    assert rows[4] == f"| 5 | {FAULTS[5]} | another<br>injection | outcome | ≤ 5 |"
    assert rows[5] == f"| 6 | {FAULTS[6]} | injection | outcome |  |"
    assert gaps(told) == []
    broken = Told(6, "worse", "outcome", 99.0, broken="a defect")
    write(tmp_path / "docs" / "table.md", [*told, broken])
    shown = f"| 6 | {FAULTS[6]} | injection<br>worse | outcome<br>**does not hold** for worse: a defect |  |"
    assert shown in (tmp_path / "docs" / "table.md").read_text().splitlines()
    assert gaps([broken]) == NUMBERS, "a test that fails, if expectedly, is no row of its own"
    assert gaps(each for each in told if each.number not in {7, 12}) == [7, 12]


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.04, "≤ 1"), (1.0, "≤ 1"), (1.01, "≤ 2"), (42.0, "≤ 60"), (301.0, "> 300")]
)
def test_times_are_rounded_up_so_that_the_page_stays_the_same(seconds: float, shown: str) -> None:
    assert rounded(seconds) == shown


CONFTEST = """
from tests.faults.conftest import pytest_addoption, pytest_configure, pytest_runtest_makereport
"""
INNER = """
import pytest
from tests.faults.report import FAULTS

@pytest.mark.parametrize("number", [pytest.param(each, marks=pytest.mark.fault(each, "i", "o")) for each in FAULTS])
def test_fault(number):
    assert number != {broken}

@pytest.mark.fault(5, "another", "o")
def test_another():
    pass

@pytest.mark.xfail(reason="a defect")
@pytest.mark.fault(6, "worse", "o")
def test_worse():
    assert False
"""


@pytest.mark.parametrize("processes", ["0", "2"])
@pytest.mark.parametrize("broken", [0, 5])
def test_the_table_is_made_of_tests_that_passed_and_has_no_gap(
    pytester: pytest.Pytester, run: Run, monkeypatch: pytest.MonkeyPatch, broken: int, processes: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(INNER.format(broken=broken))
    pytester.makeini("[pytest]\nmarkers = fault")

    said = run("-n", processes, "--reliability", "docs/table.md").stdout.str()

    table = pytester.path / "docs" / "table.md"
    if broken:
        assert "left as it was: no passed test of faults [5]" in said
        assert not table.exists()
    else:
        assert "wrote docs/table.md" in said
        assert f"| 5 | {FAULTS[5]} | another<br>i | o |  |" in table.read_text("utf-8")
        assert "o<br>**does not hold** for worse: a defect" in table.read_text("utf-8")
