"""Tables that fit a terminal and stay whole in a log file or a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence


def print_table(headers: Sequence[str], rows: Iterable[Sequence[str]], *, title: str | None = None) -> None:
    """Print rows under headers to standard output.

    On a terminal, long cells fold to its width; in a pipe or a file nothing is cut or folded, so that a
    key can be copied from a log. NO_COLOR is honoured.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for header in headers:
        table.add_column(header, overflow="fold")
    for row in rows:
        table.add_row(*(cell if cell.isprintable() else repr(cell) for cell in row))
    console = Console(file=sys.stdout, markup=False, highlight=False)
    if not console.is_terminal:
        console = Console(file=sys.stdout, markup=False, highlight=False, width=10_000)
        table.expand = False
    console.print(table)
