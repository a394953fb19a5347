"""`contracts check`: payloads against their contract."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import click

from contracts.check import Profile, Result, check_payload
from contracts.cli.reporting import ReportOptions, report_options, reporting
from contracts.corpus import is_case, read_case
from contracts.errors import BadInput, Exit, NothingChecked
from contracts.registry import Contract, load_contract
from contracts.violation import Severity, Violation, printable


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
@report_options
def check(
    files: tuple[str, ...], *, jsonl: bool, name: str | None, profile: Profile | None, options: ReportOptions
) -> Exit:
    """Check payload FILEs against their contract; '-' reads standard input.

    Says every violation at once, in document order. A file in a corpus's invalid/ or warnings/ folder is
    read as the case it is: the change it makes is applied, and it must break exactly the rules it names.
    """
    config = options.configured
    name = name or (config.contract if config else None)
    profile = profile or (cast("Profile | None", config.profile) if config else None)
    asked = _Asked(
        contract=load_contract(name) if name else None,
        profile=profile or "emitter",
        jsonl=jsonl,
    )
    unreadable = []
    with reporting(options, rules=("fixture/breaks",)) as run:
        for file in files:
            try:
                for result in _readable_results(file, asked):
                    run.add(result)
            except BadInput as error:
                unreadable.append(str(error))
        if unreadable:
            raise BadInput("\n".join(unreadable))
        if not run.tally.payloads:
            raise NothingChecked(
                "nothing was checked: the input is empty, expected one JSON payload"
                + (" a line" if jsonl else "")
                + "\n  if an emitter wrote to this pipe, it failed before it printed the event: look at its stderr"
            )
    return run.status


class _Asked(NamedTuple):
    """What the command line asks of every file."""

    contract: Contract | None
    profile: Profile
    jsonl: bool

    def reproduce(self, file: str, line: int | None = None) -> str | None:
        """Return the command that makes this check alone; None for what came through a pipe."""
        if file == "-":
            return None
        words = ["contracts", "check", "-" if line else f"./{file}" if file.startswith("-") else file]
        if self.contract:
            words += ["--contract", self.contract.name]
        if self.profile != "emitter":
            words += ["--profile", self.profile]
        command = shlex.join(words)
        return f"sed -n '{line}p' -- {shlex.quote(file)} | {command}" if line else command


def _readable_results(file: str, asked: _Asked) -> Iterator[Result]:
    """Tell a file that cannot be read from a report that cannot be written: only the first is raised in here."""
    try:
        yield from _results(file, asked)
    except OSError as error:
        raise BadInput(f"cannot read {printable(file)}: {error.strerror or error}") from None


def _results(file: str, asked: _Asked) -> Iterator[Result]:
    source = "<stdin>" if file == "-" else file
    fixture = None if file == "-" else Path(file)
    with ExitStack() as stack:
        stream: BinaryIO = stack.enter_context(fixture.open("rb")) if fixture else sys.stdin.buffer
        if asked.jsonl:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    result = check_payload(
                        line, source=f"{source}:{number}", contract=asked.contract, profile=asked.profile
                    )
                    reproduce = asked.reproduce(file, number) if result.violations else None
                    yield replace(result, fixture=fixture, fixture_line=number, reproduce=reproduce)
            return
        if fixture and is_case(fixture):
            result = _case_result(fixture, source, asked.profile)
        else:
            raw = stream.read()
            if not raw.strip() and fixture is None:
                return
            result = check_payload(raw, source=source, contract=asked.contract, profile=asked.profile)
        yield replace(result, fixture=fixture, reproduce=asked.reproduce(file))


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
    return replace(result, violations=(*result.violations, mismatch))
