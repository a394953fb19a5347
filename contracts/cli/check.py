"""`contracts check`: payloads against their contract."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterator
from contextlib import closing, nullcontext
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias, cast

import click

from contracts import checker
from contracts.checker import Profile, Result
from contracts.cli.reporting import ReportOptions, report_options, reporting
from contracts.errors import BadInput, Exit, NothingChecked
from contracts.fixtures.corpus import is_case, read_case
from contracts.model.violation import Severity, Violation, printable
from contracts.rules.registry import Contract, load_contract

PIECE_BYTES: Final = 1 << 16
"""How many bytes of lines travel to another process at once: some milliseconds of checking for each round trip."""

_FILES: Final = 128  # that travel at once


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE... | -")
@click.option("--jsonl", is_flag=True, help="Read one payload a line; blank lines are passed over.")
@click.option(
    "--contract",
    "name",
    metavar="SUBJECT[@VERSION]",
    help="Check against this contract.  [default: the one that the payload names]",
)
@click.option(
    "--profile",
    type=click.Choice(["emitter", "consumer"]),
    help="An emitter may send only what the contract names; a consumer reads past keys it does not know."
    "  [default: emitter]",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=0),
    default=1,
    metavar="N",
    help="Check in N processes at once, 0 for one a core. They read ahead: for thousands of payloads.  [default: 1]",
)
@report_options
def check(
    files: tuple[str, ...],
    *,
    jsonl: bool,
    name: str | None,
    profile: Profile | None,
    jobs: int,
    options: ReportOptions,
) -> Exit:
    """Check payload FILEs against their contract; '-' reads standard input.

    Says every violation at once, in document order. A file in a corpus's invalid/ or warnings/ folder is
    read as the case it is: the change it makes is applied, and it must break exactly the rules it names.
    """
    config = options.configured
    name = name or (config.contract if config else None)
    profile = profile or (cast("Profile | None", config.profile) if config else None)
    contract, jobs = load_contract(name) if name else None, jobs or os.cpu_count() or 1
    units = _units(files, (PIECE_BYTES if jobs > 1 else 1) if jsonl else None)
    unreadable = []
    with reporting(options, rules=("fixture/breaks",)) as run:
        asked = _Asked(contract, profile or "emitter", run.needs_passes)
        with closing(_outcomes(asked, units, jobs, at_once=1 if jsonl else _FILES)) as outcomes:
            for outcome in outcomes:
                if isinstance(outcome, int):
                    run.passed(outcome)
                elif isinstance(outcome, BadInput):
                    unreadable.append(str(outcome))
                else:
                    run.add(outcome)
        if unreadable:
            raise BadInput("\n".join(unreadable))
        if not run.tally.payloads:
            raise NothingChecked(
                "nothing was checked: the input is empty, expected one JSON payload"
                + (" a line" if jsonl else "")
                + "\n  if an emitter wrote to this pipe, it failed before it printed the event: look at its stderr"
            )
    return run.status


class _Unit(NamedTuple):
    """A payload: a file or one line of it; or, with `lines`, those lines, of which `line` is the first.

    `raw` is None where it has still to be read.
    """

    file: str
    path: Path | None
    line: int | None = None
    raw: bytes | None = None
    lines: list[bytes] | None = None

    @property
    def source(self) -> str:
        name = self.file if self.path else "<stdin>"
        return f"{name}:{self.line}" if self.line else name

    def payloads(self) -> Iterator[_Unit]:
        """List what is checked as one payload each."""
        if self.lines is None:
            yield self
            return
        for number, raw in enumerate(self.lines, self.line or 1):
            if raw.strip():
                yield _Unit(self.file, self.path, number, raw)

    def unreadable(self, error: OSError) -> BadInput:
        return BadInput(f"cannot read {printable(self.file)}: {error.strerror or error}")


class _Asked(NamedTuple):
    """What is asked of every payload; of one that passes, nothing but that it did, unless `needs_passes`."""

    contract: Contract | None
    profile: Profile
    needs_passes: bool

    def reproduce(self, unit: _Unit) -> str | None:
        """Return the command that makes this check alone; None for what came through a pipe."""
        if unit.path is None:
            return None
        import shlex

        file = f"./{unit.file}" if unit.file.startswith("-") else unit.file
        words = ["contracts", "check", "-" if unit.line else file]
        if self.contract:
            words += ["--contract", self.contract.name]
        if self.profile != "emitter":
            words += ["--profile", self.profile]
        command = shlex.join(words)
        return f"sed -n '{unit.line}p' -- {shlex.quote(unit.file)} | {command}" if unit.line else command


def _units(files: tuple[str, ...], lines_of: int | None) -> Iterator[_Unit | BadInput]:
    """List what there is to check, in order; an error stands where a file cannot be read.

    With `lines_of`, lines: as many at once as have so many bytes.
    """
    for file in files:
        whole = _Unit(file, None if file == "-" else Path(file))
        try:
            if lines_of:
                yield from _lines(whole, lines_of)
            elif whole.path:
                yield whole
            elif (raw := sys.stdin.buffer.read()).strip():
                yield whole._replace(raw=raw)
        except OSError as error:
            yield whole.unreadable(error)


def _lines(whole: _Unit, size: int) -> Iterator[_Unit]:
    with whole.path.open("rb") if whole.path else nullcontext(sys.stdin.buffer) as stream:
        number = 1
        while lines := stream.readlines(size):
            yield _Unit(whole.file, whole.path, number, None, lines)
            number += len(lines)


_Outcome: TypeAlias = "Result | BadInput | int"
"""What a check found, or how many payloads passed of which no more is wanted."""


def _outcomes(
    asked: _Asked, units: Iterator[_Unit | BadInput], jobs: int, *, at_once: int
) -> Generator[_Outcome, None, None]:
    """Check each unit, in order; `at_once` of them travel to another process together."""
    if jobs == 1:
        for unit in units:
            yield from _checked(asked, unit)
        return
    from contracts.cli.jobs import in_order

    batches = iter(lambda: [_plain(unit) for unit in islice(units, at_once)], [])
    with closing(in_order(partial(_answers, asked), batches, jobs)) as answered:
        for passed, answers in answered:
            yield passed
            for answer in answers:
                yield Result._make(answer) if isinstance(answer, tuple) else answer


def _answers(asked: _Asked, batch: list[Any]) -> tuple[int, list[Any]]:
    """Check a batch in another process: how many only passed, and all others, in order."""
    units = [_Unit._make(each) if isinstance(each, tuple) else each for each in batch]
    outcomes = [outcome for unit in units for outcome in _checked(asked, unit)]
    others = [_plain(outcome) for outcome in outcomes if not isinstance(outcome, int)]
    return len(outcomes) - len(others), others


def _plain(each: _Unit | Result | BadInput) -> tuple[Any, ...] | BadInput:
    """Return what travels: a plain tuple, which is pickled in a third of the time of a named one."""
    return tuple(each) if isinstance(each, tuple) else each


def _checked(asked: _Asked, unit: _Unit | BadInput) -> Iterator[_Outcome]:
    if isinstance(unit, BadInput):
        yield unit
        return
    for each in unit.payloads():
        yield _outcome(asked, each)


def _outcome(asked: _Asked, unit: _Unit) -> _Outcome:
    """Check one payload; the result goes without it, which no report shows and another process would send."""
    try:
        if unit.path and not unit.line and is_case(unit.path):
            result = _case_result(unit.path, unit.source, asked.profile)
        else:
            raw = unit.path.read_bytes() if unit.raw is None and unit.path else unit.raw or b""
            result = checker.check(raw, source=unit.source, contract=asked.contract, profile=asked.profile)
    except BadInput as error:
        return error
    except OSError as error:
        return unit.unreadable(error)
    if not (result.violations or asked.needs_passes):
        return 1
    reproduce = asked.reproduce(unit) if result.violations else None
    return result._replace(payload=None, fixture=unit.path, reproduce=reproduce, fixture_line=unit.line)


def _case_result(path: Path, source: str, profile: Profile) -> Result:
    case = read_case(path)
    result = checker.check(case.raw, source=source, contract=load_contract(case.contract), profile=profile)
    broken = {violation.rule for violation in result.violations}
    if broken == case.breaks:
        return result
    mismatch = Violation(
        rule="fixture/breaks",
        severity=Severity.ERROR,
        pointer="",
        found=f"broken rules: {', '.join(sorted(broken)) or 'none'}",
        expected=f"exactly those that the fixture names: {', '.join(sorted(case.breaks))}",
    )
    return result._replace(violations=(*result.violations, mismatch))
