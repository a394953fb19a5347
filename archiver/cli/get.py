"""`archiver ls` and `archiver get`: list an archive, fetch one bundle."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from datetime import datetime

import click

from archiver.settings import Settings, load_settings
from contracts.toolkit import Exit, NothingChecked, When, open_output, print_table, printable


@click.command()
@click.option("--repo", metavar="SLUG", help="Only this repo; narrows the listing.")
@click.option("--agent", metavar="SLUG", help="Only this agent; with --repo narrows the listing.")
@click.option("--since", type=When(), help="Only events from this day (2026-06-17) or RFC 3339 time on.")
@click.option("--json", "as_json", is_flag=True, help="One reference a line, as JSON with its key.")
def ls(repo: str | None, agent: str | None, since: datetime | None, *, as_json: bool) -> Exit:
    """List archived events: repo, agent, cadence, time, size and keys; by repo, then agent, then day.

    With --repo only that repo's references are listed. --json writes each line as it is found; the table is
    printed at the end.

    A damaged reference is named on standard error, and makes the exit status 1; the others are listed.
    """
    return asyncio.run(_ls(load_settings(), repo, agent, since, as_json=as_json))


@click.command()
@click.argument("name", metavar="EVENT_KEY | REF | BLOB")
@click.option("-o", "--output", metavar="FILE", default="-", help="Write to this file.  [default: standard output]")
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
def get(name: str, output: str, *, force: bool) -> Exit:
    """Fetch one bundle, by the key of its event, reference or blob.

    A reference key is found with one request; an event key alone costs a listing of all references.

    The digest is checked before the first byte is written; of a damaged bundle nothing is written.
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
                click.echo(f"damaged: {printable(entry.key)}: {printable(entry.why)}", err=True)
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
        click.echo(f"{strays} could not be listed; archiver verify shows what to do", err=True)
    return Exit.BROKEN if strays else Exit.OK


async def _get(settings: Settings, name: str, output: str, *, force: bool) -> None:
    from archiver.maintenance.reading import checked_bundle, copy_out, resolve
    from archiver.wiring import open_store

    with open_output(output, replace=force) as file:  # first: a file that is refused costs no download
        async with open_store(settings) as store:
            blob_key, digest, limit_bytes = await resolve(store, name, settings.max_bundle_bytes)
            async with checked_bundle(store, blob_key, digest, limit_bytes) as bundle:
                copy_out(bundle, file)
