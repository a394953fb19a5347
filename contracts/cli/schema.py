"""`contracts schema`: the JSON Schemas of what we read and write, for editors and other programs."""

from __future__ import annotations

import click


@click.group()
def schema() -> None:
    """Print a JSON Schema: of our JSON report, of the configuration file, or of an event."""


@schema.command()
def report() -> None:
    """Print the schema of `--report json`; its `$defs` describe the lines of `--report ndjson`."""
    from contracts.reports.json_report import SCHEMA_FILE

    click.echo(SCHEMA_FILE.read_text("utf-8"), nl=False)


@schema.command()
def config() -> None:
    """Print the schema of contracts.toml, and of [tool.contracts] in pyproject.toml."""
    from contracts.config import SCHEMA_FILE

    click.echo(SCHEMA_FILE.read_text("utf-8"), nl=False)


@schema.command()
@click.argument("subject", metavar="SUBJECT[@VERSION]")
def contract(subject: str) -> None:
    """Print the schema of a contract's payload."""
    from contracts.registry import load_contract

    click.echo((load_contract(subject).folder / "schema.json").read_text("utf-8"), nl=False)
