"""`contracts check`: payloads against their contract."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, cast

import click

from contracts import checker
from contracts.checker import Profile, Result
from contracts.cli.payload_files import MOST_BYTES, Unit, find_units
from contracts.cli.reporting import ReportOptions, report_options, reporting
from contracts.errors import BadInput, Exit, KitError, NothingChecked
from contracts.fixtures.corpus import is_case, read_case
from contracts.model.strict_json import MalformedPayload
from contracts.model.violation import Severity, Violation, printable
from contracts.rules.registry import Contract, load_contract

if TYPE_CHECKING:
    from contracts.replay.events.capture import Capture

_CAPTURE: Final = "kaizen.capture/"
_AT_ONCE: Final = (128, 1 << 16)
"""How much travels to another process together: files, and bytes of them."""


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE... | DIR... | -")
@click.option(
    "--jsonl", is_flag=True, help="Read one payload a line; blank lines are skipped.  [default: where a file is so]"
)
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
    help="Check in N processes, 0 for one a core. They read ahead: for thousands of payloads.  [default: 1]",
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

    Reports the violations of a payload in document order, up to a hundred. A DIR stands for the .json, .jsonl and
    .ndjson files in it. JSON Lines, gzip, zstd and the captures of `contracts record` are recognised. A file in a
    corpus's invalid/ or warnings/ folder is read as the case it is: the change it makes is applied, and it must
    break exactly the rules it names.
    """
    config = options.configured
    name = name or (config.contract if config else None)
    profile = profile or (cast("Profile | None", config.profile) if config else None)
    contract, jobs = load_contract(name) if name else None, jobs or os.cpu_count() or 1
    failures: list[KitError] = []
    with reporting(options, rules=("fixture/breaks",)) as run:
        asked = _Asked(contract, profile or "emitter", run.needs_passes)
        with closing(_outcomes(asked, find_units(files, by_line=jsonl), jobs)) as outcomes:
            for outcome in outcomes:
                if isinstance(outcome, int):
                    run.passed(outcome)
                elif isinstance(outcome, KitError):
                    failures.append(outcome)
                else:
                    run.add(outcome)
        if unreadable := [str(each) for each in failures if isinstance(each, BadInput)]:
            raise BadInput("\n".join(unreadable))
        if failures:
            raise NothingChecked("\n".join(map(str, failures)))
        if not run.tally.payloads:
            raise NothingChecked(
                "nothing was checked: the input is empty, expected one JSON payload"
                + (" a line" if jsonl else "")
                + "\n  if an emitter wrote to this pipe, it failed before it printed the event: see its standard error"
            )
    return run.status


class _Asked(NamedTuple):
    """How each payload is checked. Without `needs_passes`, of those that pass only the number is returned."""

    contract: Contract | None
    profile: Profile
    needs_passes: bool

    def reproduce(self, unit: Unit) -> str | None:
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
        if not unit.line:
            return command
        line, name = f"sed -n '{unit.line}p'", shlex.quote(unit.file)
        return f"{unit.unpack} -- {name} | {line} | {command}" if unit.unpack else f"{line} -- {name} | {command}"


_Outcome: TypeAlias = "Result | KitError | int"
"""What a check found, or how many payloads passed of which only the number is wanted."""


def _outcomes(asked: _Asked, units: Iterator[Unit | KitError], jobs: int) -> Generator[_Outcome, None, None]:
    """Check each unit, in order."""
    if jobs == 1:
        for unit in units:
            yield from _checked(asked, unit)
        return
    from contracts.cli.jobs import in_order

    with closing(in_order(partial(_answers, asked), _batches(units), jobs)) as answered:
        for passed, answers in answered:
            yield passed
            for answer in answers:
                yield Result._make(answer) if isinstance(answer, tuple) else answer


def _batches(units: Iterator[Unit | KitError]) -> Iterator[list[Any]]:
    """Gather units that travel to another process together."""
    batch: list[Any] = []
    size, (most, most_bytes) = 0, _AT_ONCE
    for unit in units:
        batch.append(_plain(unit))
        if isinstance(unit, Unit):
            size += most_bytes if unit.lines else len(unit.raw)
        if len(batch) == most or size >= most_bytes:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _answers(asked: _Asked, batch: list[Any]) -> tuple[int, list[Any]]:
    """Check a batch in another process: how many only passed, and all others, in order."""
    units = [Unit._make(each) if isinstance(each, tuple) else each for each in batch]
    outcomes = [outcome for unit in units for outcome in _checked(asked, unit)]
    others = [_plain(outcome) for outcome in outcomes if not isinstance(outcome, int)]
    return len(outcomes) - len(others), others


def _plain(each: Unit | Result | KitError) -> tuple[Any, ...] | KitError:
    """Return what travels: a plain tuple, which is pickled in a third of the time of a named one."""
    return tuple(each) if isinstance(each, tuple) else each


def _checked(asked: _Asked, unit: Unit | KitError) -> Iterator[_Outcome]:
    if isinstance(unit, KitError):
        yield unit
        return
    for each in unit.payloads():
        yield _outcome(asked, each)


def _outcome(asked: _Asked, unit: Unit) -> _Outcome:
    """Check one payload; the result goes without it, which no report shows and another process would send."""
    try:
        if unit.path and not unit.line and is_case(unit.path):
            result = _case_result(unit.path, unit.source, asked.profile)
        else:
            result = _payload_result(asked, unit)
    except KitError as error:
        return error
    if not (result.violations or asked.needs_passes):
        return 1
    reproduce = asked.reproduce(unit) if result.violations else None
    return result._replace(payload=None, fixture=unit.path, reproduce=reproduce, fixture_line=unit.line)


def _payload_result(asked: _Asked, unit: Unit) -> Result:
    raw, source = unit.raw, unit.source
    if _CAPTURE.encode() in raw and (capture := _capture(unit)):
        raw, source = capture.payload, f"{source} ({capture.subject}, {capture.origin})"
    result = checker.check(raw, source=source, contract=asked.contract, profile=asked.profile)
    if not unit.is_cut:
        return result
    found = f"more than {MOST_BYTES:,} bytes"
    broken = (each._replace(found=found) if each.rule == "boundary/size" else each for each in result.violations)
    return result._replace(violations=tuple(broken))


def _capture(unit: Unit) -> Capture | None:
    """Read an event that `contracts record` wrote; None where it is a payload.

    Raises:
        BadInput: a capture, but of another version, or damaged.
    """
    from contracts.replay.events.capture import parse_capture, parse_event

    try:
        schema = parse_event(unit.raw).get("schema")
    except MalformedPayload:
        return None
    is_one = isinstance(schema, str) and schema.startswith(_CAPTURE)
    return parse_capture(unit.raw, where=printable(unit.source)) if is_one else None


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
