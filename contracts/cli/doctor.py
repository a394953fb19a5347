"""`contracts doctor`: what is installed, and what this machine can reach."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Final

import click

from contracts.errors import Exit, Unreachable
from contracts.fixtures.corpus import cases
from contracts.model.counted import counted
from contracts.rules.registry import load_contract, subjects

_EXTRAS: Final = {"nats": "nats", "generate": "hypothesis", "http": "schemathesis", "archiver": "boto3"}


@click.command()
@click.option(
    "--nats", "url", metavar="URL", help="NATS server to reach.  [default: $NATS_URL, or the context of `nats`]"
)
def doctor(url: str | None) -> Exit:
    """Show which contracts are installed, and what this machine has and can reach.

    Exit status 4 where NATS is named and does not answer.
    """
    click.echo(f"kaizen-event-kit {version('kaizen-event-kit')}, Python {sys.version.split()[0]}")
    for subject, versions in subjects().items():
        for number in versions:
            contract = load_contract(f"{subject}@{number}")
            fixtures = sum(1 for _ in cases(contract.name))
            click.echo(
                f"contract {contract.name}: {counted(len(contract.rules), 'rule')}, {counted(fixtures, 'fixture')}"
            )
    for extra, module in _EXTRAS.items():
        missing = f"not installed (pip install 'kaizen-event-kit[{extra}]')"
        click.echo(f"extra [{extra}]: {missing if find_spec(module) is None else _version(module)}")
    program = shutil.which("kaizen-agentic")
    click.echo(f"program kaizen-agentic: {program or 'not on PATH (--program names another one)'}")
    return _doctor_nats(url)


def _doctor_nats(url: str | None) -> Exit:
    if find_spec("nats") is None:
        return Exit.OK
    from contracts.bus.access import NatsAccess
    from contracts.bus.connection import describe_server

    access = NatsAccess.from_environment(os.environ, url=url)
    if access is None:
        click.echo("NATS: not named (--nats URL, NATS_URL or NATS_CONTEXT)")
        return Exit.OK
    try:
        for line in asyncio.run(describe_server(access, [f"{subject}" for subject in subjects()])):
            click.echo(f"NATS {access.place}: {line}")
    except Unreachable as error:
        click.echo(f"NATS {access.place}: {error.why}")
        return Exit.UNREACHABLE
    return Exit.OK


def _version(module: str) -> str:
    try:
        return f"{module} {version({'nats': 'nats-py'}.get(module, module))}"
    except PackageNotFoundError:
        return f"{module} is there"
