"""The names of payloads in reports and waivers."""

from __future__ import annotations

from pathlib import Path

from contracts.checker import Result
from contracts.model.secrets import mask
from contracts.model.violation import printable


def shown_source(result: Result) -> str:
    """Return what reports call a payload: printable, and without the credentials of a URL."""
    return printable(mask(result.source) if "//" in result.source else result.source)


def names_of(source: str, fixture: Path | None) -> set[str]:
    """Return the names by which a waiver may call a payload: its source, and the file that it is about."""
    return {source} if fixture is None else {source, fixture.as_posix()}
