"""How far a long look over the archive is, told on a terminal: on the error stream, and gone when it is done."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Protocol

import click

_BETWEEN_LINES_S = 0.5


class Look(Protocol):
    """What counts as it goes: objects listed, records read, and of how many; `chosen` is 0 until that is known."""

    listed: int
    records: int
    chosen: int


@asynccontextmanager
async def progress(seen: Look) -> AsyncIterator[None]:
    """Tell how far it is until the block ends, if the error stream is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    telling = asyncio.create_task(_tell(seen))
    try:
        yield
    finally:
        telling.cancel()
        with suppress(asyncio.CancelledError):
            await telling
        clear()


def clear() -> None:
    """Take the line away, so that something else can be said."""
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", nl=False, err=True)


def how_far(seen: Look, listing_s: float, reading_s: float) -> str:
    """Say it in words: `listing_s` and `reading_s` are the seconds that each took so far."""
    if not seen.chosen:
        return f"{seen.listed:,} objects listed, {_rate(seen.listed, listing_s)}"
    said = f"{seen.records:,} of {seen.chosen:,} records, {_rate(seen.records, reading_s)}"
    left = max(0, seen.chosen - seen.records)
    return f"{said}, {_span(left * reading_s / seen.records)} left" if left and seen.records else said


async def _tell(seen: Look) -> None:
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
