"""`archiver events`: archived events as captures, for a replay elsewhere."""

from __future__ import annotations

import asyncio
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from archiver.settings import Settings, load_settings
from contracts.toolkit import Exit, NothingChecked, Spool, When, printable

if TYPE_CHECKING:
    from archiver.maintenance.history import Span
    from archiver.maintenance.reading import Entry, Stray


@click.command()
@click.option("--since", type=When(), help="Only events from this day (2026-06-17), RFC 3339 time or age (24h) on.")
@click.option("--until", type=When(), help="Only events before this day, time or age.")
@click.option("--repo", metavar="SLUG", help="Only this repo; narrows the listing.")
@click.option("--agent", metavar="SLUG", help="Only this agent; with --repo narrows the listing.")
@click.option(
    "--with-bundles",
    "spool",
    metavar="SPOOL",
    type=click.Path(path_type=Path),
    help="Put each event's bundle into this directory, for the archiver whose ARCHIVER_SPOOL it is.",
)
def events(
    since: datetime | None, until: datetime | None, repo: str | None, agent: str | None, spool: Path | None
) -> Exit:
    """Write archived events, one capture (kaizen.capture/1) per line, for contracts replay --from-file -.

    Events are ordered by occurred_at across all repos and agents. Output starts once all references have been listed
    (with --repo, those of that repo). `at` is when the stream took an event, `origin` its reference.

    With --with-bundles, an event is written once its bundle is in the spool: unpacked, durable and with the right
    digest. A bundle that is already there stays.

    An event that cannot be written is named on standard error with what to do, and the exit status is 1. In a pipe,
    that status is lost without `set -o pipefail`.
    """
    from archiver.maintenance.history import Span

    return asyncio.run(_events(load_settings(), Span(repo, agent, since, until), spool))


async def _events(settings: Settings, span: Span, directory: Path | None) -> Exit:
    from archiver.core.errors import DigestMismatch, NotArchived
    from archiver.maintenance.history import capture_of, history
    from archiver.maintenance.reading import Stray
    from archiver.maintenance.respool import respool
    from archiver.stores.parallel import in_turn
    from archiver.wiring import open_store

    spool = None if directory is None else Spool(directory)
    written = skipped = 0
    async with open_store(settings) as store:

        async def with_bundle(found: Entry | Stray) -> Entry | Stray:
            if spool is None or isinstance(found, Stray):
                return found
            try:
                await respool(store, found, spool, settings.max_bundle_bytes)
            except (DigestMismatch, NotArchived) as error:
                return Stray(found.key, f"{error}\n  archiver verify --repair writes it again if a copy is left")
            return found

        async for found in in_turn(history(store, span), with_bundle):
            if isinstance(found, Stray):
                skipped += 1
                click.echo(f"skipped: {printable(found.key)}: {printable(found.why)}", err=True)
            else:
                written += 1
                sys.stdout.buffer.write(capture_of(found).to_line())
    if skipped:
        click.echo(f"{skipped} of {written + skipped} are not in the output; run archiver verify for details", err=True)
        return Exit.BROKEN
    if not written:
        raise NothingChecked(f"no archived event in bucket {settings.bucket} matches")
    return Exit.OK
