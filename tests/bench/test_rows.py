"""The page of figures says what was measured, and no more."""

from __future__ import annotations

import math

import pytest

from tests.bench.rows import BEGIN, END, Results, Row, is_worse, placed, ratios, shown
from tests.bench.slowdown import reached


@pytest.mark.parametrize(
    ("values", "bar", "at_most", "verdict"),
    [
        ([0.9, 1.0, 1.1], 1.0, False, "met"),
        ([0.9, 0.99, 1.1], 1.0, False, "**not met**"),
        ([1.2, 1.3, 9.0], 1.3, True, "met"),
        ([1.2, 1.31, 1.2, 1.4, 1.5], 1.3, True, "**not met**"),
        ([math.inf], 10, True, "**not met**"),
        ([0.0], 0, True, "met"),
    ],
)
def test_a_bar_is_held_against_the_median(values: list[float], bar: float, *, at_most: bool, verdict: str) -> None:
    assert Row("it", values, bar=bar, at_most=at_most).verdict() == verdict


def test_a_figure_of_a_smaller_size_is_called_one() -> None:
    assert Row("it", [2.0], bar=1.0, is_full=False).verdict() == "met, at a smaller size"


def test_a_figure_without_a_bar_has_no_verdict() -> None:
    assert Row("it", [2.0]).verdict() == ""


def test_the_spread_is_that_of_all_rounds() -> None:
    assert Row("it", [3.0, 1.0, 2.0]).spread() == "1.00 to 3.00, 3 rounds"
    assert Row("it", [3.0]).spread() == "one round"


def test_ratios_are_of_the_same_round() -> None:
    assert ratios([1.0, 4.0], [2.0, 1.0]) == [0.5, 4.0]
    with pytest.raises(ValueError, match="zip"):
        ratios([1.0], [1.0, 2.0])


def test_a_benchmark_that_runs_alone_replaces_its_own_figures_only() -> None:
    kept, old = Row("a", [1.0], benchmark="one"), Row("b", [1.0], benchmark="two")

    results = Results({}, [kept, old]).with_rows("two", [Row("b", [2.0], benchmark="two")])

    assert [(row.what, row.value) for row in results.rows] == [("a", 1.0), ("b", 2.0)]


def test_results_come_back_from_their_json_as_they_were() -> None:
    results = Results({"machine": "2 cores"}, [Row("a", [1.0, 2.0], "s", 1.5, at_most=True, note="n", benchmark="one")])

    assert Results.from_json(results.to_json()) == results


def test_the_page_counts_the_bars_that_are_met_and_shows_them_first() -> None:
    rows = [
        Row("free", [5.0], benchmark="one"),
        Row("good | so", [2.0], bar=1.0, benchmark="two"),
        Row("bad", [0.5], bar=1.0, benchmark="one"),
    ]

    page = Results({"machine": "2 cores"}, rows).to_markdown(["one", "two", "three"])

    assert "- machine: 2 cores" in page
    assert "1 of 2 bars are met, 0 of these at a smaller size than the bar asks for. Not measured: three." in page
    assert page.index("| bad |") < page.index("| good \\| so |") < page.index("| free |")


def test_the_rest_of_the_page_stays() -> None:
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"

    assert placed(page, "new\n") == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    assert placed(placed(page, "new\n"), "new\n") == placed(page, "new\n")
    with pytest.raises(ValueError, match="expected the lines"):
        placed("no marks", "new")


@pytest.mark.parametrize(
    ("costs", "worse"),
    [
        ([1.2, 1.3, 1.15], True),
        ([1.05, 1.04, 1.06], False),
        ([1.5, 0.9, 1.5], False),
        ([0.5, 0.6, 0.7], False),
        ([2.0, 2.0], False),
    ],
)
def test_only_what_is_slower_in_each_of_several_rounds_is_called_slower(costs: list[float], *, worse: bool) -> None:
    assert is_worse(costs, 0.1) is worse


def test_the_second_in_which_a_rate_is_reached_is_counted_from_one() -> None:
    assert reached([1, 2, 3], 3) == 3
    assert reached([5], 3) == 1
    assert reached([1, 2], 3) == math.inf


def test_figures_are_shown_with_three_digits() -> None:
    assert [shown(value) for value in (0.123, 12.34, 1234.5, 0)] == ["0.12", "12.3", "1,234", "0.00"]
