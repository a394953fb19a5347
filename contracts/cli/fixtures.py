"""`contracts fixtures`: what the golden fixtures show, and whether they and the contract can be trusted."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from math import floor
from pathlib import Path
from typing import TYPE_CHECKING

import click

from contracts.cli.run import LazyGroup
from contracts.errors import BadInput, Exit
from contracts.model.counted import counted
from contracts.output import write_output
from contracts.rules.registry import Contract, load_contract, subjects

if TYPE_CHECKING:
    from contracts.fixtures.mutations.score import Score

CONTRACT = click.option(
    "--contract", "name", metavar="SUBJECT[@VERSION]", help="This contract only.  [default: every one]"
)


@click.command(
    cls=LazyGroup,
    verbs={
        "list": "contracts.cli.fixtures:list_fixtures",
        "coverage": "contracts.cli.fixtures:coverage",
        "mutate": "contracts.cli.fixtures:mutate",
        "seal": "contracts.cli.fixtures:seal",
        "verify": "contracts.cli.fixtures:verify",
        "generate": "contracts.cli.fixtures_generate:generate",
        "record": "contracts.cli.fixtures_record:record",
    },
)
def fixtures() -> None:
    """Golden fixtures: what they show, whether they are still what they were, and new ones."""


def chosen(name: str | None) -> list[Contract]:
    """Load the contract that `--contract` names, or every version of every one."""
    if name:
        return [load_contract(name)]
    return [load_contract(f"{subject}@{version}") for subject, versions in subjects().items() for version in versions]


def refuse_in_ci(why: str) -> None:
    """Raise BadInput where CI is set: a golden that a pipeline makes for itself proves nothing."""
    if os.environ.get("CI"):
        raise BadInput(f"refused, because CI is set: {why}\n  do it on your own machine and commit the result")


@click.command("list")
@CONTRACT
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array instead of a table.")
def list_fixtures(name: str | None, *, as_json: bool) -> None:
    """List every fixture: folder, name, the rules that it breaks, and why it is there."""
    from contracts.cli.tables import print_table
    from contracts.fixtures.corpus import cases

    found = [case for contract in chosen(name) for case in cases(contract.name)]
    if as_json:
        entries = [
            {
                "contract": case.contract,
                "folder": case.path.parent.name,
                "name": case.path.stem,
                "path": str(case.path),
                "breaks": sorted(case.breaks),
                "why": case.why,
            }
            for case in found
        ]
        click.echo(json.dumps(entries, indent=2, ensure_ascii=False))
        return
    print_table(
        ("contract", "folder", "name", "breaks", "why"),
        (
            (case.contract, case.path.parent.name, case.path.stem, ", ".join(sorted(case.breaks)), case.why)
            for case in found
        ),
    )


@click.command()
@CONTRACT
@click.option(
    "--min",
    "least_percent",
    type=click.FloatRange(0, 100),
    default=100,
    show_default=True,
    metavar="PERCENT",
    help="How much must be shown.",
)
def coverage(name: str | None, *, least_percent: float) -> Exit:
    """Count what the fixtures show of each field, value, form and rule, and name every gap."""
    from contracts.cli.tables import print_table
    from contracts.fixtures.coverage import demands

    too_little = False
    for contract in chosen(name):
        found = list(demands(contract))
        gaps = [demand for demand in found if demand.fixture is None]
        asked, missing = Counter(demand.kind for demand in found), Counter(demand.kind for demand in gaps)
        shown = len(found) - len(gaps)
        too_little |= shown * 100 < least_percent * len(found)
        click.echo(contract.name)
        print_table(
            ("what", "shown", "of"), ((kind, str(asked[kind] - missing[kind]), str(asked[kind])) for kind in asked)
        )
        for gap in gaps:
            click.echo(f"gap: {gap.kind}: {gap.what}")
        click.echo(f"{shown} of {len(found)} shown: {_percent(100 * shown / len(found))}\n")
    return Exit.BROKEN if too_little else Exit.OK


@click.command()
@CONTRACT
@click.option(
    "--keep",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write each mutant that survives into this directory.",
)
def mutate(name: str | None, *, folder: Path | None) -> Exit:
    """Break every valid fixture in every single-rule way, and prove that the contract catches each."""
    from contracts.fixtures.corpus import refuse_installed
    from contracts.fixtures.mutations.score import score

    if folder is not None:
        refuse_installed(folder)
    missed = False
    for contract in chosen(name):
        result = score(contract)
        missed |= bool(result.survivors or result.without)
        _show_score(contract, result)
        for line in _survivors(contract, result, folder):
            click.echo(line)
        killed, survived = sum(result.killed.values()), sum(map(len, result.survivors.values()))
        rules = f"{len(result.without)} of {counted(len(result.killed), 'rule')}"
        click.echo(
            f"{killed:,} of {counted(killed + survived, 'mutant')} killed, {rules} "
            f"without a mutant: {_percent(result.percent)}\n"
        )
    return Exit.BROKEN if missed else Exit.OK


def _show_score(contract: Contract, result: Score) -> None:
    from contracts.cli.tables import print_table

    click.echo(contract.name)
    rules = [*contract.rules, *(rule for rule in result.survivors if rule not in contract.rules)]
    print_table(
        ("rule", "killed", "survived"),
        ((rule, str(result.killed.get(rule, 0)), str(len(result.survivors.get(rule, ())))) for rule in rules),
    )
    together = [rule for rule in result.killed if rule not in result.alone and rule not in result.without]
    if together:
        click.echo(f"never broken alone: {', '.join(together)}")
    for rule in result.without:
        click.echo(f"no mutant: {rule}")


def _survivors(contract: Contract, result: Score, folder: Path | None) -> Iterator[str]:
    number = 0
    for rule, survivors in result.survivors.items():
        for each in survivors:
            number += 1
            path = folder and folder / f"{number:04}-{rule.translate(_NOT_IN_NAMES)}.json"
            if path:
                try:
                    path.parent.mkdir(parents=True, exist_ok=True)
                except OSError as error:
                    raise BadInput(f"cannot keep a mutant in {path}: {error.strerror}") from None
                write_output(path, each.mutant.raw, replace=True)
            broken = ", ".join(sorted(each.broken)) or "nothing"
            yield f"survived: {each.fixture}, {each.mutant.how}: broke {broken}, expected {rule}"
            yield (
                f"  reproduce: contracts check --contract {contract.name} {path}"
                if path
                else f"  keep it: contracts fixtures mutate --contract {contract.name} --keep DIR"
            )


_NOT_IN_NAMES = str.maketrans({"/": "-", "[": "", "]": ""})


@click.command()
@CONTRACT
def seal(name: str | None) -> None:
    """Write the digest of every fixture into SEALS.json, once they were reviewed. Needs a checkout; refused in CI."""
    from contracts.fixtures.corpus import ROOT, refuse_installed
    from contracts.fixtures.seals import seal as write_seals

    found = chosen(name)
    refuse_installed(ROOT)
    refuse_in_ci("a seal states that the fixtures were reviewed")
    for contract in found:
        click.echo(f"{contract.name}: {counted(write_seals(contract.name), 'file')} sealed")


@click.command()
@CONTRACT
def verify(name: str | None) -> Exit:
    """Name every fixture that was edited, is missing or was never sealed."""
    from contracts.fixtures.seals import breaches

    broken = False
    for contract in chosen(name):
        found = breaches(contract.name)
        broken |= bool(found)
        for breach in found:
            click.echo(f"{breach.what}: {contract.name} {breach.name}")
        differ = "differs from its seal" if len(found) == 1 else "differ from their seals"
        click.echo(f"{contract.name}: {counted(len(found), 'file')} {differ}" if found else f"{contract.name}: ok")
    if broken:
        click.echo("  if each difference is meant: contracts fixtures seal", err=True)
    return Exit.BROKEN if broken else Exit.OK


def _percent(value: float) -> str:
    return f"{floor(value * 10) / 10:.1f} %"  # rounded down: 99.96 is not all
