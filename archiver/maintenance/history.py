"""Archived events in the order in which they occurred, from an archive of any size.

References are kept by repo, agent and day, and an order in time goes across all of them. So what is listed is noted by
day in a temporary file; then the days are read one after the other, and the events of each are put in order in
another. Memory holds a page of a listing and the few records that are being read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime

from archiver.core.keys import day_in, key_segment, ref_key, ref_prefix
from archiver.core.reference import Reference, read_reference
from archiver.maintenance.reading import Entry, Stray, entry_at
from archiver.maintenance.temp_tables import Table, TempTables
from archiver.ports import BlobStore
from archiver.stores.listing import in_any_order
from archiver.stores.parallel import in_turn
from contracts import Capture, parse_rfc3339
from contracts.toolkit import InvalidTimestamp


@dataclass(frozen=True, slots=True)
class Span:
    """Which events: of that repo and agent, from `since` on and before `until`; None is any."""

    repo: str | None = None
    agent: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def may_hold(self, ref_key: str) -> bool:
        """Say whether the event under a reference key may be one, by its day and its agent."""
        first, last = (at.astimezone(UTC).date().isoformat() if at else "" for at in (self.since, self.until))
        day = day_in(ref_key)
        is_in_time = first <= day and (not last or day <= last)
        return is_in_time and (self.agent is None or f"/agent={key_segment(self.agent)}/" in ref_key)

    def holds(self, at: datetime) -> bool:
        """Say whether an event that occurred then is one."""
        return (self.since is None or at >= self.since) and (self.until is None or at < self.until)


async def history(store: BlobStore, span: Span) -> AsyncIterator[Entry | Stray]:
    """Yield the references of a span's events by `occurred_at`, to the microsecond, ties by the events' keys.

    What is among the references and is none, or lies where another event belongs, comes first among those of its day.
    The first comes when all has been listed; with a repo, all of that repo.

    Raises:
        StoreUnavailable: the store failed.
        BadInput: there is no room for the temporary files.
    """
    today, gathered = "", _Gathered()
    async for key, instant, found in in_turn(_day_by_day(store, span), lambda key: _look(store, key)):
        if day_in(key) != today:
            for entry in gathered.in_order():
                yield entry
            today, gathered = day_in(key), _Gathered()
        if isinstance(found, Stray):
            yield found
        elif found and instant and span.holds(instant):
            gathered.add(instant, found)
    for entry in gathered.in_order():
        yield entry


async def _day_by_day(store: BlobStore, span: Span) -> AsyncIterator[str]:
    listed = Table(TempTables(), "by day")
    async with aclosing(in_any_order(store, ref_prefix(span.repo, span.agent))) as everything:
        async for each in everything:
            if span.may_hold(each.key):
                listed[f"{day_in(each.key)} {each.key}"] = None
    for noted in listed:
        yield noted.partition(" ")[2]


async def _look(store: BlobStore, key: str) -> tuple[str, datetime | None, Entry | Stray | None]:
    """Return the key, when its event occurred, and what is there."""
    found = await entry_at(store, key)
    if found is None or isinstance(found, Stray):
        return key, None, found
    entry, event = found
    if key != ref_key(event):
        why = f"the event in it belongs under {ref_key(event)}; archiver verify --repair copies it there"
        return key, None, Stray(key, why)
    return key, event.occurred_at, entry


class _Gathered:
    """The entries of one day, on disk."""

    def __init__(self) -> None:
        scratch = TempTables()
        self._keys, self._records = Table(scratch, "keys"), Table(scratch, "records")

    def add(self, occurred_at: datetime, entry: Entry) -> None:
        place = f"{occurred_at.isoformat(timespec='microseconds')} {entry.reference.event_sha256}"
        self._keys[place] = entry.key
        self._records[place] = entry.reference.to_json().decode()

    def in_order(self) -> Iterator[Entry]:
        for place, key in self._keys.items():
            yield Entry(key, read_reference(self._records.get(place).encode()))


def capture_of(entry: Entry) -> Capture:
    """Say of an archived event what a capture does: `at` is when the stream took it, or else when it occurred."""
    reference = entry.reference
    source = reference.source
    return Capture(
        subject=source.subject or str(reference.event["event"]),
        event=reference.event,
        at=_received_at(reference),
        origin=entry.key,
        headers={"Nats-Msg-Id": source.msg_id} if source.msg_id else {},
    )


def _received_at(reference: Reference) -> datetime:
    try:
        if reference.source.sequence:  # `archiver put` notes its own time, which says nothing of the event's
            return parse_rfc3339(reference.source.received_at)
    except InvalidTimestamp:
        pass
    return parse_rfc3339(reference.event["occurred_at"])
