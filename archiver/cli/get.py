"""`archiver ls` and `archiver get`: the archive being read."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from datetime import datetime

import click

from archiver.settings import Settings, load_settings
from contracts.toolkit import Exit, NothingChecked, When, open_output, print_table


@click.command()
@click.option("--repo", metavar="SLUG", help="Only this repo; narrows the listing.")
@click.option("--agent", metavar="SLUG", help="Only this agent; with --repo narrows the listing.")
@click.option("--since", type=When(), help="Only events from this day (2026-06-17) or RFC 3339 time on.")
@click.option("--json", "as_json", is_flag=True, help="One reference a line, as JSON with its key.")
def ls(repo: str | None, agent: str | None, since: datetime | None, *, as_json: bool) -> Exit:
    """List what is archived: repo, agent, cadence, time, size and keys; repo by repo, agent by agent, day by day.

    With --repo it takes as long as that repo has references, however many the archive has. --json writes each line
    as it is found; the table is held until its columns are known.

    An object among the references that is none is named on the error stream, and makes the exit status 1.
    """
    return asyncio.run(_ls(load_settings(), repo, agent, since, as_json=as_json))


@click.command()
@click.argument("name", metavar="EVENT_KEY | REF | BLOB")
@click.option("-o", "--output", metavar="FILE", default="-", help="Write to this file.  [default: standard output]")
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
def get(name: str, output: str, *, force: bool) -> Exit:
    """Fetch one bundle, by the key of its event, reference or blob.

    A reference key is found with one request; an event key alone costs a listing of all references.

    Its digest is checked before the first byte is handed out; a damaged one is not handed out at all.
    """
    if output == "-" and sys.stdout.isatty():
        click.echo("(bundle follows on standard output; -o FILE writes it to a file)", err=True)
    asyncio.run(_get(load_settings(), name, output, force=force))
    return Exit.OK


async def _ls(
    settings: Settings, repo: str | None, agent: str | None, since: datetime | None, *, as_json: bool
) -> Exit:
    from archiver.maintenance.reading import Stray, references
    from archiver.wiring import open_store

    rows, strays = [], 0
    async with open_store(settings) as store:
        async for entry in references(store, repo=repo, agent=agent, since=since):
            if isinstance(entry, Stray):
                strays += 1
                click.echo(f"warning: {entry.key} is no reference: {entry.why}", err=True)
                continue
            event, bundle = entry.reference.event, entry.reference.bundle
            if as_json:
                click.echo(json.dumps({"ref_key": entry.key, **asdict(entry.reference)}, ensure_ascii=False))
            else:
                head = (event["repo"], event["agent"], event["cadence"], event["occurred_at"])
                rows.append((*head, str(bundle.bytes), bundle.key, entry.key))
    if rows:
        print_table(("repo", "agent", "cadence", "occurred at", "bytes", "blob", "reference"), rows)
    elif not as_json and not strays:
        raise NothingChecked(f"nothing is archived in bucket {settings.bucket} that matches")
    if strays:
        click.echo(f"archiver verify says more about the {strays} that could not be listed", err=True)
    return Exit.BROKEN if strays else Exit.OK


async def _get(settings: Settings, name: str, output: str, *, force: bool) -> None:
    from archiver.maintenance.reading import checked_bundle, copy_out, resolve
    from archiver.wiring import open_store

    with open_output(output, replace=force) as file:  # first: a file that is refused costs no download
        async with open_store(settings) as store:
            blob_key, digest, size = await resolve(store, name)
            limit_bytes = settings.max_bundle_bytes if size is None else size
            async with checked_bundle(store, blob_key, digest, limit_bytes) as bundle:
                copy_out(bundle, file)
