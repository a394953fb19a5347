"""Progress of a long run over an archive: one line on standard error, on a terminal only, removed at the end."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Protocol

import click

from contracts.toolkit import counted

_BETWEEN_LINES_S = 0.5


class Run(Protocol):
    """Counts objects listed and records read, of `chosen` records; 0 until that is known."""

    listed: int
    records: int
    chosen: int


@asynccontextmanager
async def progress(seen: Run) -> AsyncIterator[None]:
    """Show the progress until the block ends, if standard error is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    showing = asyncio.create_task(_show(seen))
    try:
        yield
    finally:
        showing.cancel()
        with suppress(asyncio.CancelledError):
            await showing
        clear()


def clear() -> None:
    """Remove the line, so that something else can be printed."""
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", nl=False, err=True)


def how_far(seen: Run, listing_s: float, reading_s: float) -> str:
    """Describe the progress; `listing_s` and `reading_s` are the seconds that each took so far."""
    if not seen.chosen:
        return f"{counted(seen.listed, 'object')} listed, {_rate(seen.listed, listing_s)}"
    text = f"{seen.records:,} of {counted(seen.chosen, 'record')}, {_rate(seen.records, reading_s)}"
    left = max(0, seen.chosen - seen.records)
    return f"{text}, {_span(left * reading_s / seen.records)} left" if left and seen.records else text


async def _show(seen: Run) -> None:
    began = reading = time.monotonic()
    while True:
        await asyncio.sleep(_BETWEEN_LINES_S)
        now = time.monotonic()
        if not seen.chosen:
            reading = now
        clear()
        click.echo(how_far(seen, now - began, now - reading), nl=False, err=True)


def _rate(count: int, taken_s: float) -> str:
    return f"{count / taken_s if taken_s else 0:,.0f}/s"


def _span(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
