"""Observe what an emitter wrote: a file, a directory of them, JSONL, or standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from contracts.errors import BadInput
from contracts.observe.observation import Observation, Observed, broken, split_events

_LINES = (".jsonl", ".ndjson")


def observe_files(target: str) -> Observed:
    """Read the events of a file, of every .json, .jsonl and .ndjson file of a directory, or of '-'.

    Raises:
        BadInput: it cannot be read.
    """
    if target == "-":
        found = tuple(_numbered(sys.stdin.buffer.read(), "<stdin>"))
    else:
        found = tuple(each for path in _paths(Path(target)) for each in _numbered(_read(path), str(path)))
    return Observed(found, () if found else (broken("emitter/nothing", f"no event in {target}"),))


def _paths(target: Path) -> list[Path]:
    if not target.is_dir():
        return [target]
    return sorted(path for path in target.rglob("*") if path.suffix in {".json", *_LINES} and not path.is_dir())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from None


def _numbered(raw: bytes, where: str) -> Iterator[Observation]:
    """Name events by their line number; every line of JSONL is one, even a broken one."""
    lines = [(number, line) for number, line in enumerate(raw.splitlines(), 1) if line.strip()]
    if len(lines) > 1 and (where.endswith(_LINES) or len(split_events(raw)) > 1):
        yield from (Observation(line, f"{where}:{number}") for number, line in lines)
    else:
        yield from (Observation(event, where) for event in split_events(raw))
