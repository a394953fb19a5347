"""Every benchmark can be run by its name, with the arguments that the suite gives it."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from tests.bench.__main__ import SUITE, keep
from tests.bench.process import Seen, run
from tests.bench.rows import BEGIN, END, Row

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", SUITE)
def test_each_name_of_the_suite_has_a_benchmark(name: str) -> None:
    module, *_ = SUITE[name]

    assert callable(import_module(f"tests.bench.{module}").measure)


def test_an_unknown_name_is_refused_with_those_that_there_are() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench", "smal_bundles"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "no benchmark smal_bundles; there are: small_bundles, " in done.stderr


def test_a_second_benchmark_leaves_the_figures_of_the_first_on_the_page(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(f"# Title\n\n{BEGIN}\n{END}\n\nthe rest\n", "utf-8")

    keep(page, "small_bundles", [Row("first", [1.0], benchmark="small_bundles")])
    keep(page, "backlog", [Row("second", [2.0], benchmark="backlog")])

    text = page.read_text("utf-8")
    assert text.index("| first |") < text.index("| second |") < text.index("the rest")


def test_what_a_program_took_is_its_own_and_that_of_its_children(tmp_path: Path) -> None:
    seen, work = Seen(), "import subprocess, sys; subprocess.run([sys.executable, '-c', 'sum(range(10**7))'])"

    took = run([sys.executable, "-c", work], log=tmp_path / "log", seen=seen)

    assert took.cpu_s > run([sys.executable, "-c", ""], log=tmp_path / "log").cpu_s
    assert took.wall_s > 0
    assert took.peak_mib > 1
    assert seen.memory


def test_a_program_that_fails_ends_the_benchmark_and_says_why(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"ended with 3: .*no room"):
        run([sys.executable, "-c", "import sys; print('no room', file=sys.stderr); sys.exit(3)"], log=tmp_path / "log")
