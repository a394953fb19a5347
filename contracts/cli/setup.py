"""`contracts init` and `contracts doctor`: a start in somebody else's repository, and what is there to work with."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import click

from contracts.errors import BadInput, Exit, Unreachable
from contracts.fixtures.corpus import ROOT, cases
from contracts.rules.registry import load_contract, subjects

_CONFIG = """\
# What `contracts` would otherwise have to be told; `contracts schema config` prints the JSON Schema for editors.
contract = "kaizen.schedule.prepared@1"

[emitters.{name}]
uri = '{uri}'
scenarios = "{scenarios}"
# program = "kaizen-agentic"   # compare with what the prepare command itself prints
"""
_JOB = """\
name: contracts
on: [push, pull_request]
jobs:
  emitter:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.12"
      - run: pip install 'kaizen-event-kit[nats]'
      # Annotations and the step summary come unasked. Exit status 1: contract broken; 3: the emitter said nothing.
      - run: contracts verify-emitter --report junit=contracts.xml
"""
_JOBS = {"github": ".github/workflows/contracts.yml", "gitea": ".gitea/workflows/contracts.yml"}
_SCENARIOS = "contracts/scenarios"
_FIRST = "weekly-markdown"
_DEFAULT_URI = (
    "cmd:contracts emit {agent} --root {root} --repo {repo} --cadence {cadence} --format {format} "
    "--spool {scratch} --stdout"
)
_EXTRAS = {"nats": "nats", "generate": "hypothesis", "http": "schemathesis", "archiver": "obstore"}


@click.command()
@click.option(
    "--emitter",
    "uri",
    default=_DEFAULT_URI,
    metavar="URI",
    help="Where the emitter speaks.  [default: the thin emitter]",
)
@click.option("--name", default="emitter", show_default=True, help="What to call it.")
@click.option(
    "--ci",
    "systems",
    type=click.Choice(sorted(_JOBS)),
    multiple=True,
    help="CI to write a job for; repeatable.  [default: github]",
)
@click.option(
    "--into", type=click.Path(path_type=Path), default=Path(), help="Repository to write into.  [default: here]"
)
def init(uri: str, name: str, systems: tuple[str, ...], into: Path) -> Exit:
    """Write contracts.toml, a CI job and a first scenario into a repository; nothing that is there is touched."""
    if not into.is_dir():
        raise BadInput(f"--into {into} is not a directory")
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name) or "'" in uri or not uri.isprintable():  # TOML holds no more
        raise BadInput("--name is letters, digits, '-' and '_'; --emitter is one line without single quotes")
    _write(into / "contracts.toml", _CONFIG.format(name=name, uri=uri, scenarios=_SCENARIOS))
    for system in systems or ("github",):
        _write(into / _JOBS[system], _JOB)
    scenario = into / _SCENARIOS / _FIRST
    if scenario.exists():
        click.echo(f"kept    {scenario}")
    else:
        shutil.copytree(ROOT / "kaizen.schedule.prepared" / "1" / "scenarios" / _FIRST, scenario)
        click.echo(f"wrote   {scenario}")
    click.echo("next:   contracts verify-emitter")
    return Exit.OK


@click.command()
@click.option("--nats", "url", metavar="URL", help="NATS server to reach.  [default: $NATS_URL]")
def doctor(url: str | None) -> Exit:
    """Say which contracts are installed, what this machine can do, and what it can reach.

    Exit status 4 where NATS is named and does not answer.
    """
    click.echo(f"kaizen-event-kit {version('kaizen-event-kit')}, Python {sys.version.split()[0]}")
    for subject, versions in subjects().items():
        for number in versions:
            contract = load_contract(f"{subject}@{number}")
            fixtures = sum(1 for _ in cases(contract.name))
            click.echo(f"contract {contract.name}: {len(contract.rules)} rules, {fixtures} fixtures")
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
    from contracts.bus.connection import look_around

    access = NatsAccess.from_environment(os.environ, url=url)
    if access is None:
        click.echo("NATS: not named (--nats URL or NATS_URL)")
        return Exit.OK
    try:
        for line in asyncio.run(look_around(access, [f"{subject}" for subject in subjects()])):
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


def _write(path: Path, text: str) -> None:
    if path.exists():
        click.echo(f"kept    {path}")
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror}") from None
    click.echo(f"wrote   {path}")
