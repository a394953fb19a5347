"""Events that need no server: golden fixtures, files of captures, standard input; read line by line."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Final

from contracts.errors import BadInput
from contracts.fixtures.corpus import cases
from contracts.model.strict_json import MalformedPayload
from contracts.replay.events.capture import LONGEST_LINE_BYTES, Capture, Found, Unusable, parse_capture, parse_event
from contracts.rules.registry import Contract

_NEVER_SENT: Final = ("boundary/", "payload/")


def from_fixtures(contracts: Iterable[Contract], *, invalid: bool = False) -> Iterator[Capture]:
    """Yield the golden fixtures of contracts: the valid ones, and with `invalid` those that break it.

    Fixtures that no replay may send, and texts that are no events, are no part of it.
    """
    for contract in contracts:
        for case in cases(contract.name, "valid", *(("warnings", "invalid") if invalid else ())):
            if not any(rule.startswith(_NEVER_SENT) for rule in case.breaks):
                yield Capture(contract.subject, parse_event(case.raw), origin=f"fixture {contract.name} {case.name}")


def from_file(file: str) -> Iterator[Found]:
    """Yield what is in a file, '-' being standard input: a capture or a payload a line, blank lines passed over.

    A file that is named *.json holds one payload, however many lines it has.

    Raises:
        BadInput: it cannot be read, a line is longer than any message, or is a capture of another version.
    """
    where = "<stdin>" if file == "-" else file
    try:
        with nullcontext(sys.stdin.buffer) if file == "-" else Path(file).open("rb") as stream:
            if file.endswith(".json"):
                yield _found(_at_most(stream.read(LONGEST_LINE_BYTES + 1), where), where)
            else:
                yield from _lines(stream, where)
    except OSError as error:
        raise BadInput(f"cannot read {where}: {error.strerror or error}") from None


def _lines(stream: IO[bytes], where: str) -> Iterator[Found]:
    number = 0
    while line := stream.readline(LONGEST_LINE_BYTES + 1):
        number += 1
        if line.strip():
            yield _found(_at_most(line, f"{where}:{number}"), f"{where}:{number}")


def _at_most(raw: bytes, where: str) -> bytes:
    if len(raw) > LONGEST_LINE_BYTES:
        raise BadInput(f"{where} is longer than any message: more than {LONGEST_LINE_BYTES} bytes on one line")
    return raw


def _found(raw: bytes, where: str) -> Found:
    try:
        return parse_capture(raw, where=where)
    except MalformedPayload as error:
        return Unusable.because(error, where)
