"""`archiver verify`: check every reference and every blob of an archive."""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from archiver.cli.progress import clear, progress
from archiver.core.errors import StoreUnavailable
from archiver.settings import Settings, load_settings
from contracts.toolkit import Exit, NothingChecked, Span, When, counted, printable

if TYPE_CHECKING:
    from archiver.core.damage import Damage
    from archiver.maintenance.verify import Selection, Verification


@click.command()
@click.option("--sample", type=click.IntRange(min=1), metavar="N", help="Only N references, drawn at random.")
@click.option("--seed", type=int, help="Draw the same sample again.  [default: at random; printed]")
@click.option("--since", type=When(), help="Only events from this day (2026-06-17) or RFC 3339 time on.")
@click.option(
    "--grace", type=Span(), default="24h", show_default=True, help="A younger blob without reference is no orphan."
)
@click.option("--repair", is_flag=True, help="Repair what can be repaired with certainty; delete nothing.")
@click.option("--json", "as_json", is_flag=True, help="The report for programs, as one JSON document.")
def verify(
    sample: int | None,
    seed: int | None,
    since: datetime | None,
    grace: timedelta,
    *,
    repair: bool,
    as_json: bool,
) -> Exit:
    """Check that every reference is true and has its blob, and that every blob is whole and referred to.

    Every blob is read and hashed. With --sample or --since only the chosen references and their blobs are verified,
    and no orphans are found.

    \b
    --repair writes a missing or damaged blob again, from ARCHIVER_SPOOL or from
    what an interrupted gc left, if the digest is right, and copies a misplaced
    record to where it belongs. What else is damaged needs a copy or a version.

    \b
    Exit status: 0 whole (or repaired), 1 damaged, 3 nothing is there,
    4 the store failed (what was found until then is reported)
    """
    from archiver.maintenance.verify import Selection

    if seed is not None and sample is None:
        raise click.UsageError("--seed is of use with --sample only")
    drawn = seed if seed is not None else secrets.randbelow(2**31)
    return asyncio.run(_verify(load_settings(), Selection(since, sample, drawn), grace, repair=repair, as_json=as_json))


@dataclass
class _Report:
    """What was found, printed as it is found or, as JSON, at the end."""

    settings: Settings
    selection: Selection
    seen: Verification
    as_json: bool
    damage: int = 0
    notes: int = 0
    repaired: int = 0
    found: list[Damage] = field(default_factory=list)

    def add(self, damage: Damage) -> None:
        self.repaired += bool(damage.repaired)
        self.damage += damage.is_damage
        self.notes += not damage.is_damage and not damage.repaired
        if self.as_json:
            self.found.append(damage)
            return
        clear()
        click.echo(f"{damage.id}  {printable(damage.key)}")
        for name in ("found", "expected", "record", "repaired", "next"):
            if text := getattr(damage, name):
                click.echo(f"    {name:9} {printable(text)}")

    def end(self, stopped: StoreUnavailable | None) -> None:
        if self.as_json:
            click.echo(json.dumps(self._document(stopped), indent=2, ensure_ascii=False))
            return
        seen = self.seen
        state = f"{self.damage} damaged" if self.damage else "nothing damaged" if stopped else "whole"
        more = "".join(f", {n} {what}" for n, what in ((self.repaired, "repaired"), (self.notes, "to note")) if n)
        more += ", and not all was seen" if stopped else ""
        read = ", ".join(
            (counted(seen.records, "record"), counted(seen.blobs, "blob"), counted(seen.bytes_read, "byte") + " read")
        )
        click.echo(f"{read}: {state}{more}")
        if self.selection.sample is not None:
            click.echo(f"a sample; --seed {self.selection.seed} draws it again", err=True)

    def _document(self, stopped: StoreUnavailable | None) -> dict[str, Any]:
        chosen, seen = self.selection, self.seen
        return {
            "report": "archiver.verify",
            "version": "1",
            "bucket": self.settings.bucket,
            "prefix": self.settings.prefix.strip("/"),
            "selection": {
                "since": chosen.since.isoformat() if chosen.since else None,
                "sample": chosen.sample,
                "seed": chosen.seed if chosen.sample is not None else None,
            },
            "complete": stopped is None,
            "stopped_by": str(stopped) if stopped else None,
            "summary": {
                "records": seen.records,
                "blobs": seen.blobs,
                "bytes_read": seen.bytes_read,
                "damage": self.damage,
                "notes": self.notes,
                "repaired": self.repaired,
            },
            "findings": [
                {
                    "id": each.id,
                    "damage": each.is_damage,
                    "key": each.key,
                    "found": each.found,
                    "expected": each.expected,
                    "record": each.record or None,
                    "repaired": each.repaired or None,
                    "next": each.next,
                }
                for each in self.found
            ],
        }


async def _verify(settings: Settings, selection: Selection, grace: timedelta, *, repair: bool, as_json: bool) -> Exit:
    from archiver.bundles.spool import SpoolSource
    from archiver.maintenance.repair import Repairer
    from archiver.maintenance.verify import Verification
    from archiver.wiring import SystemClock, open_store

    async with open_store(settings) as store:
        spool = SpoolSource(settings.spool, settings.max_bundle_bytes) if settings.spool else None
        seen = Verification(
            store,
            SystemClock().now(),
            grace,
            Repairer(store, spool, settings.max_bundle_bytes) if repair else None,
            settings.max_bundle_bytes,
        )
        report, stopped = _Report(settings, selection, seen, as_json), None
        try:
            async with progress(seen):
                async for damage in seen.damage(selection):
                    report.add(damage)
        except StoreUnavailable as error:
            stopped = error
    is_empty = not (seen.records or report.damage or report.notes)
    if as_json or not is_empty:
        report.end(stopped)
    if stopped:
        raise stopped
    if is_empty:
        raise NothingChecked(f"nothing is archived in bucket {settings.bucket} that matches")
    return Exit.BROKEN if report.damage else Exit.OK
