"""`contracts check`: payloads against their contract."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import click

from contracts.check import Profile, Result, check_payload
from contracts.corpus import is_case, read_case
from contracts.errors import BadInput, Exit, NothingChecked
from contracts.registry import Contract, load_contract
from contracts.reports import FORMATS, open_report
from contracts.violation import Severity, Violation


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
    default="emitter",
    show_default=True,
    help="An emitter may send only what the contract names; a consumer reads past keys it does not know.",
)
@click.option(
    "--report",
    "reports",
    multiple=True,
    metavar="FORMAT[=PATH]",
    help=f"Write a report ({', '.join(FORMATS)}) to PATH, or to standard output; repeatable.  [default: text]",
)
@click.option(
    "--fail-on",
    type=click.Choice(["error", "warning"]),
    default="error",
    show_default=True,
    help="The least severity that fails the run.",
)
def check(
    files: tuple[str, ...],
    *,
    jsonl: bool,
    name: str | None,
    profile: Profile,
    reports: tuple[str, ...],
    fail_on: str,
) -> Exit:
    """Check payload FILEs against their contract; '-' reads standard input.

    Says every violation at once, in document order. A file in a corpus's invalid/ or warnings/ folder is
    read as the case it is: the change it makes is applied, and it must break exactly the rules it names.
    """
    contract = load_contract(name) if name else None
    checked, failed, unreadable = 0, 0, []
    with ExitStack() as stack:
        outputs = [
            stack.enter_context(open_report(each, Severity(fail_on))) for each in _one_on_stdout(reports or ("text",))
        ]
        for file in files:
            try:
                for result in _results(file, contract, profile, jsonl=jsonl):
                    checked += 1
                    failed += not result.passes(Severity(fail_on))
                    for output in outputs:
                        output.add(result)
            except OSError as error:
                unreadable.append(f"cannot read {file}: {error.strerror or error}")
    if unreadable:
        raise BadInput("\n".join(unreadable))
    if not checked:
        raise NothingChecked(
            "nothing was checked: the input is empty, expected one JSON payload"
            + (" a line" if jsonl else "")
            + "\n  if an emitter wrote to this pipe, it failed before it printed the event: look at its stderr"
        )
    return Exit.BROKEN if failed else Exit.OK


def _one_on_stdout(reports: tuple[str, ...]) -> tuple[str, ...]:
    on_stdout = [report for report in reports if "=" not in report]
    if len(on_stdout) > 1:
        raise click.UsageError(
            f"standard output carries one report, got {len(on_stdout)}: {', '.join(on_stdout)}\n"
            f"  give all but one a file, for example: --report {on_stdout[-1]}=report.{on_stdout[-1]}"
        )
    return reports


def _results(file: str, contract: Contract | None, profile: Profile, *, jsonl: bool) -> Iterator[Result]:
    source = "<stdin>" if file == "-" else file
    with ExitStack() as stack:
        stream: BinaryIO = sys.stdin.buffer if file == "-" else stack.enter_context(Path(file).open("rb"))
        if jsonl:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    yield check_payload(line, source=f"{source}:{number}", contract=contract, profile=profile)
            return
        if file != "-" and is_case(Path(file)):
            yield _case_result(Path(file), source, profile)
            return
        raw = stream.read()
        if raw.strip() or file != "-":
            yield check_payload(raw, source=source, contract=contract, profile=profile)


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
