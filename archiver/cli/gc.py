"""`archiver gc`: delete what nothing refers to."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from archiver.cli.progress import clear, progress
from archiver.settings import Settings, load_settings
from contracts.toolkit import Exit, Span, counted, printable

if TYPE_CHECKING:
    from archiver.maintenance.gc import Garbage


@click.command()
@click.option("--older-than", type=Span(), default="24h", show_default=True, help="Leave what is younger alone.")
@click.option("--execute", is_flag=True, help="Delete; without this, only list what would be deleted.")
def gc(older_than: timedelta, *, execute: bool) -> Exit:
    """Delete blobs that no reference and no conflict record refers to, and what probes left behind.

    Safe beside workers: what is referred to while gc runs is put back. In a bucket with versions, deleting
    hides the object, and its versions stay.

    \b
    With ARCHIVER_GC_ACCESS_KEY_ID and ARCHIVER_GC_SECRET_ACCESS_KEY it uses
    a separate identity, so that no worker needs the right to delete.

    \b
    Exit status: 0 done, or nothing to do; 1 something was not deleted;
    4 the store failed
    """
    return asyncio.run(_gc(load_settings().for_gc, older_than, execute=execute))


async def _gc(settings: Settings, older_than: timedelta, *, execute: bool) -> Exit:
    from archiver.maintenance.gc import Collection
    from archiver.wiring import SystemClock, open_store

    async with open_store(settings) as store:
        collection = Collection(store, uuid.uuid4().hex, older_than, settings.max_bundle_bytes)
        # Age counts by the store's clock where objects are deleted; to list them, this machine's is enough.
        now = await collection.store_time() if execute else SystemClock().now()
        async with progress(collection):
            await collection.scan(now)
        if not execute:
            found = _Sum()
            for each in collection.leftovers():
                _print(each)
                found.add(each)
            click.echo(f"{found} would be deleted" + ("; archiver gc --execute does it" if found.objects else ""))
            return Exit.OK
        gone, left = _Sum(), 0
        async with progress(collection):
            async for each in collection.delete():
                _print(each)
                if each.why:
                    left += 1
                    click.echo(f"    not deleted: {each.why}")
                else:
                    gone.add(each)
    click.echo(f"{gone} deleted" + (f", {left} not" if left else ""))
    return Exit.BROKEN if left else Exit.OK


def _print(each: Garbage) -> None:
    clear()
    click.echo(f"{each.what:6}  {each.size_bytes:>11,}  {printable(each.key)}")


@dataclass
class _Sum:
    """How many objects of how many bytes."""

    objects: int = 0
    size_bytes: int = 0

    def add(self, each: Garbage) -> None:
        self.objects += 1
        self.size_bytes += each.size_bytes

    def __str__(self) -> str:
        return f"{counted(self.objects, 'object')}, {counted(self.size_bytes, 'byte')}"
