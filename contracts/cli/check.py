"""`contracts check`: payloads against their contract."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing, nullcontext
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import click

from contracts.check import Profile, Result, check_payload
from contracts.cli.reporting import ReportOptions, report_options, reporting
from contracts.corpus import is_case, read_case
from contracts.errors import BadInput, Exit, NothingChecked
from contracts.registry import Contract, load_contract
from contracts.violation import Severity, Violation, printable

BATCH: Final = 128
"""How many payloads travel to another process at once: a few milliseconds of checking for each round trip."""


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
    asked = _Asked(contract=load_contract(name) if name else None, profile=profile or "emitter")
    outcomes = _outcomes(asked, _units(files, jsonl=jsonl), jobs or os.cpu_count() or 1)
    unreadable = []
    with reporting(options, rules=("fixture/breaks",)) as run, closing(outcomes):
        for outcome in outcomes:
            if isinstance(outcome, BadInput):
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
    """What is checked as one payload: a file or one line of it; `raw` is None where it has still to be read."""

    file: str
    path: Path | None
    line: int | None = None
    raw: bytes | None = None

    @property
    def source(self) -> str:
        name = self.file if self.path else "<stdin>"
        return f"{name}:{self.line}" if self.line else name

    def unreadable(self, error: OSError) -> BadInput:
        return BadInput(f"cannot read {printable(self.file)}: {error.strerror or error}")


class _Asked(NamedTuple):
    """What the command line asks of every payload."""

    contract: Contract | None
    profile: Profile

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


def _units(files: tuple[str, ...], *, jsonl: bool) -> Iterator[_Unit | BadInput]:
    """List what there is to check, in order; an error stands where a file cannot be read."""
    for file in files:
        whole = _Unit(file, None if file == "-" else Path(file))
        try:
            if jsonl:
                yield from _lines(whole)
            elif whole.path:
                yield whole
            elif (raw := sys.stdin.buffer.read()).strip():
                yield whole._replace(raw=raw)
        except OSError as error:
            yield whole.unreadable(error)


def _lines(whole: _Unit) -> Iterator[_Unit]:
    with whole.path.open("rb") if whole.path else nullcontext(sys.stdin.buffer) as stream:
        for number, line in enumerate(stream, 1):
            if line.strip():
                yield _Unit(whole.file, whole.path, number, line)


def _outcomes(asked: _Asked, units: Iterator[_Unit | BadInput], jobs: int) -> Generator[Result | BadInput, None, None]:
    """Check each unit, in order."""
    if jobs == 1:
        yield from (_outcome(asked, unit) for unit in units)
        return
    from contracts.cli.jobs import in_order

    asked_for: deque[list[_Unit | BadInput]] = deque()

    def batches() -> Iterator[list[Any]]:
        while batch := list(islice(units, BATCH)):
            asked_for.append(batch)
            yield [tuple(each) if isinstance(each, _Unit) else each for each in batch]

    with closing(in_order(partial(_answers, asked), batches(), jobs)) as answered:
        for answers in answered:
            for unit, answer in zip(asked_for.popleft(), answers, strict=True):
                yield _passed(unit, answer) if isinstance(unit, _Unit) and isinstance(answer, str) else answer


def _answers(asked: _Asked, batch: list[Any]) -> list[Any]:
    """Check a batch in another process; what passes travels back as the name of its contract, at next to no cost."""
    outcomes = (_outcome(asked, _Unit(*each) if isinstance(each, tuple) else each) for each in batch)
    return [each if isinstance(each, BadInput) or each.violations else each.contract for each in outcomes]


def _outcome(asked: _Asked, unit: _Unit | BadInput) -> Result | BadInput:
    """Check one unit; the result goes without its payload, which no report shows and another process would send."""
    if isinstance(unit, BadInput):
        return unit
    try:
        if unit.path and not unit.line and is_case(unit.path):
            result = _case_result(unit.path, unit.source, asked.profile)
        else:
            raw = unit.path.read_bytes() if unit.raw is None and unit.path else unit.raw or b""
            result = check_payload(raw, source=unit.source, contract=asked.contract, profile=asked.profile)
    except BadInput as error:
        return error
    except OSError as error:
        return unit.unreadable(error)
    if not result.violations:
        return _passed(unit, result.contract)
    reproduce = asked.reproduce(unit)
    return result._replace(payload=None, fixture=unit.path, reproduce=reproduce, fixture_line=unit.line)


def _passed(unit: _Unit, contract: str | None) -> Result:
    return Result(unit.source, contract, None, (), fixture=unit.path, fixture_line=unit.line)


def _case_result(path: Path, source: str, profile: Profile) -> Result:
    case = read_case(path)
    result = check_payload(case.raw, source=source, contract=load_contract(case.contract), profile=profile)
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
