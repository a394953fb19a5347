"""`archiver gc`: delete what nothing refers to."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from archiver.cli.span import Span
from archiver.settings import Settings, load_settings
from contracts import Exit

if TYPE_CHECKING:
    from archiver.sweep import Swept


@click.command()
@click.option("--older-than", type=Span(), default="24h", show_default=True, help="Leave what is younger alone.")
@click.option("--execute", is_flag=True, help="Delete; without this, only tell what would be deleted.")
def gc(older_than: timedelta, *, execute: bool) -> Exit:
    """Delete blobs that no reference and no conflict record refers to, and what probes left behind.

    Safe beside workers: what is referred to while gc runs is put back. In a bucket with versions, deleting
    hides the object, and its versions stay.

    \b
    With ARCHIVER_GC_ACCESS_KEY_ID and ARCHIVER_GC_SECRET_ACCESS_KEY it goes by
    an identity of its own, so that no worker needs the right to delete.

    \b
    Exit status: 0 done, or nothing to do; 1 something was not deleted;
    4 the store failed
    """
    return asyncio.run(_gc(load_settings().for_gc, older_than, execute=execute))


async def _gc(settings: Settings, older_than: timedelta, *, execute: bool) -> Exit:
    from archiver.sweep import Sweep
    from archiver.wiring import SystemClock, open_store

    async with open_store(settings) as store:
        sweep = Sweep(store, run=uuid.uuid4().hex, older_than=older_than)
        # What may be deleted is old by the store's own clock; to look, this machine's will do.
        now = await sweep.store_time() if execute else SystemClock().now()
        leftovers = await sweep.leftovers(now)
        if not execute:
            for each in leftovers:
                click.echo(f"{each.what:6}  {each.size_bytes:>11,}  {each.key}")
            click.echo(_sum(leftovers, "would be deleted") + ("; archiver gc --execute does it" if leftovers else ""))
            return Exit.OK
        gone, left = [], 0
        async for each in sweep.delete(leftovers):
            click.echo(f"{each.what:6}  {each.size_bytes:>11,}  {each.key}")
            if each.why:
                left += 1
                click.echo(f"    not deleted: {each.why}")
            else:
                gone.append(each)
        click.echo(_sum(gone, "deleted") + (f", {left} not" if left else ""))
    return Exit.BROKEN if left else Exit.OK


def _sum(swept: Sequence[Swept], what: str) -> str:
    objects = "1 object" if len(swept) == 1 else f"{len(swept):,} objects"
    return f"{objects}, {sum(each.size_bytes for each in swept):,} bytes {what}"
