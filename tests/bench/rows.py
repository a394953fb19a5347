"""What a benchmark hands back, and the page that is made of it. No clock, no processes: see `__main__.py`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

BEGIN, END = "<!-- measured: by make bench -->", "<!-- end of what was measured -->"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure, round by round, and the bar that it is held against.

    `bar` is the least that is wanted, or with `at_most` the most; None where the figure is for information.
    `is_full` says whether it was measured at the size that the bar asks for.
    """

    what: str
    values: Sequence[float]
    unit: str = "ratio"
    bar: float | None = None
    at_most: bool = False
    note: str = ""
    is_full: bool = True
    benchmark: str = ""
    measured_at: str = ""

    @property
    def value(self) -> float:
        return median(self.values)

    @property
    def holds(self) -> bool | None:
        if self.bar is None:
            return None
        return self.value <= self.bar if self.at_most else self.value >= self.bar

    def verdict(self) -> str:
        if self.holds is None:
            return ""
        return ("met" if self.holds else "**not met**") + ("" if self.is_full else ", at a smaller size")

    def wanted(self) -> str:
        return "" if self.bar is None else f"{'≤' if self.at_most else '≥'} {shown(self.bar)}"

    def spread(self) -> str:
        if len(self.values) < 2:
            return "one round"
        return f"{shown(min(self.values))} to {shown(max(self.values))}, {len(self.values)} rounds"

    def line(self) -> str:
        told = f"{self.what}: {shown(self.value)} {self.unit} ({self.spread()})"
        return (
            f"{told}; the bar is {self.wanted()}: {self.verdict().replace('*', '')}" if self.holds is not None else told
        )


@dataclass(frozen=True, slots=True)
class Results:
    """The figures of one machine, newest of each benchmark; `about` says which machine, versions and commit."""

    about: Mapping[str, str]
    rows: Sequence[Row] = field(default_factory=list)

    def with_rows(self, benchmark: str, rows: Iterable[Row]) -> Results:
        """Put one benchmark's figures in the place of those that it had."""
        return Results(self.about, [*(each for each in self.rows if each.benchmark != benchmark), *rows])

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Results:
        told: dict[str, Any] = json.loads(text)
        return cls(told["about"], [Row(**each) for each in told["rows"]])

    def to_markdown(self, order: Sequence[str]) -> str:
        """Tabulate: first what has a bar, then the rest; benchmarks in `order`."""
        rows = sorted(
            self.rows, key=lambda each: order.index(each.benchmark) if each.benchmark in order else len(order)
        )
        judged, told = ([row for row in rows if (row.bar is not None) is wanted] for wanted in (True, False))
        met = [row for row in judged if row.holds]
        smaller = sum(not row.is_full for row in met)
        sums = f"{len(met)} of {len(judged)} bars are met, {smaller} of these at a smaller size than the bar asks for."
        missing = [name for name in order if all(row.benchmark != name for row in rows)]
        lines = [f"- {name}: {value}" for name, value in self.about.items()]
        lines += ["", f"{sums} Not measured: {', '.join(missing) or 'nothing'}.", ""]
        lines += table(
            ("what", "measured", "spread", "bar", "", "how"),
            (
                (row.what, f"{shown(row.value)} {row.unit}", row.spread(), row.wanted(), row.verdict(), _how(row))
                for row in judged
            ),
        )
        lines += ["", "Beside them, without a bar:", ""]
        lines += table(
            ("what", "measured", "spread", "how"),
            ((row.what, f"{shown(row.value)} {row.unit}", row.spread(), _how(row)) for row in told),
        )
        return "\n".join(lines) + "\n"


def _how(row: Row) -> str:
    return "; ".join(filter(None, (f"`{row.benchmark}` {row.measured_at}", row.note)))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in lines]


def shown(value: float) -> str:
    """Show three digits or more: nobody reads the others."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Divide round by round: both of a round had the same machine to themselves, or to share."""
    return [mine / other for mine, other in zip(ours, theirs, strict=True)]


def placed(page: str, measured: str) -> str:
    """Put what was measured between its two marks on a page, and leave the rest of the page alone."""
    before, begun, rest = page.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not (begun and ended):
        raise ValueError(f"expected the lines {BEGIN!r} and {END!r} on the page, in that order")
    return f"{before}{BEGIN}\n\n{measured}\n{END}{after}"


def is_worse(costs: Sequence[float], slack: float) -> bool:
    """Say whether costs, as ratios new to old, show a regression: by more than `slack`, in each of some rounds."""
    return len(costs) >= 3 and median(costs) > 1 + slack and min(costs) > 1
