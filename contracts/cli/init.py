"""`contracts init`: a configuration, a CI job and a first scenario for an emitter's repository."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import click

from contracts.errors import BadInput, Exit
from contracts.fixtures.corpus import ROOT

_CONFIG = """\
# Defaults of `contracts`; `contracts schema config` prints the JSON Schema for editors.
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
      # Not on PyPI: install a wheel, or 'kaizen-event-kit[nats] @ git+https://HOST/REPOSITORY@TAG'.
      - run: pip install 'kaizen-event-kit[nats]'
      # Annotations and the step summary are on by default. Exit status 1: contract broken; 3: no event was seen.
      - run: contracts verify-emitter --report junit=contracts.xml
"""
_JOBS = {"github": ".github/workflows/contracts.yml", "gitea": ".gitea/workflows/contracts.yml"}
_SCENARIOS = "contracts/scenarios"
_FIRST = "weekly-markdown"
_DEFAULT_URI = (
    "cmd:contracts emit {agent} --root {root} --repo {repo} --cadence {cadence} --format {format} "
    "--spool {scratch} --stdout"
)


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
