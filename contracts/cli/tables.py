"""Tables that fit a terminal and stay whole in a log file or a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from contracts.model.violation import printable


def print_table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under headers to standard output.

    No cell is ever cut or folded, so that a key can be copied: where a terminal is too narrow for the table,
    each row becomes a block of `header  value` lines. NO_COLOR is honoured.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for header in headers:
        table.add_column(header, no_wrap=True)
    shown = [[printable(cell) for cell in row] for row in rows]
    for row in shown:
        table.add_row(*row)
    console = Console(file=sys.stdout, markup=False, highlight=False)
    if not console.is_terminal:
        console = Console(file=sys.stdout, markup=False, highlight=False, width=10_000)
    if console.measure(table, options=console.options.update(max_width=10_000)).maximum <= console.width:
        console.print(table)
        return
    width = max(len(header) for header in headers)
    for row in shown:
        for header, cell in zip(headers, row, strict=True):
            console.print(f"{header:{width}}  {cell}", soft_wrap=True)
        console.print()
