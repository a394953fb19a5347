"""`contracts fixtures generate`: random payloads."""

from __future__ import annotations

import json
import os
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click

from contracts.cli.fixtures import CONTRACT, chosen
from contracts.errors import BadInput, Exit, NothingChecked
from contracts.rules.registry import Contract

if TYPE_CHECKING:
    from contracts.fixtures.mutations.mutants import Mutant

_PATIENCE = 500
"""Values in a row of which none is new: then there are no more."""


@click.command()
@click.option("--valid", type=click.IntRange(min=1), metavar="N", help="N payloads that break no rule, one a line.")
@click.option("--invalid", type=click.IntRange(min=1), metavar="N", help="N payloads that each break one rule.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed makes the same bytes.")
@CONTRACT
def generate(*, valid: int | None, invalid: int | None, seed: int, name: str | None) -> Exit:
    """Print made-up payloads as JSONL, all different; for each contract, unless one is named.

    A line of --valid is a payload. A line of --invalid is {"breaks": [rule], "how", "raw", "base"}: the broken
    payload as text in `raw` (octets that are no UTF-8 in `raw_base64`), and the valid payload that it was made from.
    If one turns up that the contract does not catch, the smallest such is printed and the status is 1.
    """
    if (valid is None) == (invalid is None):
        raise click.UsageError("give one of --valid N and --invalid N")
    with _scratch():
        try:
            import contracts.fixtures.generate as made
        except ModuleNotFoundError as error:
            if error.name != "hypothesis":
                raise
            raise BadInput(
                "generate needs the package 'hypothesis'\n  pip install 'kaizen-event-kit[generate]'"
            ) from None
        uncaught = [
            each
            for contract in chosen(name)
            for each in (
                _print_valid(made, contract, valid, seed)
                if valid
                else _print_invalid(made, contract, invalid or 0, seed)
            )
        ]
    for line in uncaught:
        click.echo(line, err=True)
    return Exit.BROKEN if uncaught else Exit.OK


@contextmanager
def _scratch() -> Iterator[None]:
    """Give Hypothesis a directory for its caches: by default it makes one in the working directory."""
    if "HYPOTHESIS_STORAGE_DIRECTORY" in os.environ:
        yield
        return
    with TemporaryDirectory(prefix="contracts-") as folder:
        os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = folder
        try:
            yield
        finally:
            del os.environ["HYPOTHESIS_STORAGE_DIRECTORY"]


def _print_valid(made: ModuleType, contract: Contract, count: int, seed: int) -> list[str]:
    found = (made.payload_bytes(payload) for payload in made.generate(made.payloads(contract), seed_number=seed))
    for raw in _different(found, count, contract):
        click.echo(raw)
    return []


def _print_invalid(made: ModuleType, contract: Contract, count: int, seed: int) -> list[str]:
    """Print broken payloads until there are enough, or one is not caught; return the message about that one."""
    strategy = made.broken_mutants(contract)
    uncaught: list[Mutant] = []

    def lines() -> Iterator[bytes]:
        for base, mutant in made.generate(strategy, seed_number=seed):
            broken = made.broken_rules(contract, mutant)
            if broken == {mutant.rule}:
                yield _line(base, mutant)
            elif mutant.rule not in broken:
                uncaught.append(mutant)
                return

    for line in _different(lines(), count, contract, is_enough=lambda: bool(uncaught)):
        click.echo(line)
    if not uncaught:
        return []
    smallest = made.counterexample(
        strategy, lambda each: each[1].rule in made.broken_rules(contract, each[1]), seed_number=seed
    )
    mutant = smallest[1] if smallest else uncaught[0]
    return [f"not caught by {contract.name}: {mutant.how}, expected {mutant.rule}", f"  {mutant.raw!r}"]


def _line(base: dict[str, Any], mutant: Mutant) -> bytes:
    try:
        raw = {"raw": mutant.raw.decode()}
    except UnicodeDecodeError:
        raw = {"raw_base64": b64encode(mutant.raw).decode()}
    line = {"breaks": [mutant.rule], "how": mutant.how, **raw, "base": base}
    return json.dumps(line, ensure_ascii=False).encode()


def _different(
    lines: Iterator[bytes], count: int, contract: Contract, *, is_enough: Callable[[], bool] = lambda: False
) -> Iterator[bytes]:
    seen: set[bytes] = set()
    repeats = 0
    for line in lines:
        digest = sha256(line).digest()
        repeats = repeats + 1 if digest in seen else 0
        if digest not in seen:
            seen.add(digest)
            yield line
        if len(seen) == count:
            return
        if repeats > _PATIENCE:
            break
    if not is_enough():
        raise NothingChecked(f"{contract.name} has no more than {len(seen)} different payloads to offer, not {count}")
