"""`contracts schema`: the JSON Schemas of what we read and write, for editors and other programs."""

from __future__ import annotations

import click

from contracts.cli.run import Group


@click.group(cls=Group)
def schema() -> None:
    """Print a JSON Schema: of our JSON reports, of the configuration file, or of an event; or an OpenAPI document."""


@schema.command()
def report() -> None:
    """Print the schema of `--report json`; its `$defs` describe the lines of `--report ndjson`."""
    from contracts.reports.json_report import SCHEMA_FILE

    click.echo(SCHEMA_FILE.read_text("utf-8"), nl=False)


@schema.command()
def replay() -> None:
    """Print the schema of the report that `contracts replay` leaves in the folder of its run."""
    from contracts.replay.send.report import SCHEMA_FILE

    click.echo(SCHEMA_FILE.read_text("utf-8"), nl=False)


@schema.command()
def config() -> None:
    """Print the schema of contracts.toml, and of [tool.contracts] in pyproject.toml."""
    from contracts.config.values import SCHEMA_FILE

    click.echo(SCHEMA_FILE.read_text("utf-8"), nl=False)


@schema.command()
@click.argument("subject", metavar="SUBJECT[@VERSION]")
def contract(subject: str) -> None:
    """Print the schema of a contract's payload."""
    from contracts.rules.registry import load_contract

    click.echo((load_contract(subject).folder / "schema.json").read_text("utf-8"), nl=False)


@schema.command()
@click.argument("subject", metavar="SUBJECT[@VERSION]")
@click.option("--path", default="/prepared", show_default=True, help="Path of the endpoint that returns the event.")
def openapi(subject: str, path: str) -> None:
    """Print an OpenAPI 3.1 document of an endpoint that returns the event: what `verify-emitter --openapi` reads.

    The query parameters are the event's enums at its top level; add those that your endpoint has.
    """
    import json

    from contracts.errors import BadInput
    from contracts.rules.registry import load_contract

    if not path.startswith("/"):
        raise BadInput(f"--path {path!r} does not start with '/'")
    chosen = load_contract(subject)
    payload = {key: value for key, value in chosen.schema.items() if key != "$schema"}
    enums = {name: each for name, each in payload["properties"].items() if "enum" in each}
    parameters = [{"name": name, "in": "query", "schema": {"enum": each["enum"]}} for name, each in enums.items()]
    answer = {"description": chosen.summary, "content": {"application/json": {"schema": payload}}}
    document = {
        "openapi": "3.1.0",
        "info": {"title": chosen.subject, "version": chosen.version},
        "paths": {path: {"get": {"parameters": parameters, "responses": {"200": answer}}}},
    }
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))
