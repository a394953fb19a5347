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

from archiver.core.keys import day_in, key_segment, ref_prefix
from archiver.core.reference import Reference, read_reference
from archiver.maintenance.reading import Entry, Stray, entry_at
from archiver.maintenance.temp_tables import Table, TempTables
from archiver.ports import BlobStore
from archiver.stores.listing import in_any_order
from archiver.stores.parallel import in_turn
from contracts import Capture, PreparedEvent, parse_rfc3339
from contracts.toolkit import InvalidTimestamp


@dataclass(frozen=True, slots=True)
class Span:
    """Which events: of that repo and agent, from `since` on and before `until`; None is any."""

    repo: str | None = None
    agent: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def may_hold(self, ref_key: str) -> bool:
        """Return whether the event under a reference key may be in it, by its day and its agent."""
        first, last = (at.astimezone(UTC).date().isoformat() if at else "" for at in (self.since, self.until))
        day = day_in(ref_key)
        is_in_time = first <= day and (not last or day <= last)
        return is_in_time and (self.agent is None or f"/agent={key_segment(self.agent)}/" in ref_key)

    def holds(self, at: datetime) -> bool:
        """Return whether an event that occurred at that time is in it."""
        return (self.since is None or at >= self.since) and (self.until is None or at < self.until)


async def history(store: BlobStore, span: Span) -> AsyncIterator[Entry | Stray]:
    """Yield the references of a span's events by `occurred_at`, to the microsecond, ties by the events' keys.

    An object that is not a sound reference comes first among those of its day. The first result comes when everything
    has been listed; with a repo, everything of that repo.

    Raises:
        StoreUnavailable: the store failed.
        BadInput: there is no room for the temporary files.
    """
    today, gathered = "", _Gathered()
    async for key, found in in_turn(_day_by_day(store, span), lambda key: _look(store, key)):
        if day_in(key) != today:
            for entry in gathered.in_order():
                yield entry
            today, gathered = day_in(key), _Gathered()
        if isinstance(found, Stray):
            yield found
        elif found and span.holds(found.event.occurred_at):
            gathered.add(found)
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


async def _look(store: BlobStore, key: str) -> tuple[str, Entry | Stray | None]:
    return key, await entry_at(store, key)


class _Gathered:
    """The entries of one day, on disk."""

    def __init__(self) -> None:
        tables = TempTables()
        self._keys, self._records = Table(tables, "keys"), Table(tables, "records")

    def add(self, entry: Entry) -> None:
        place = f"{entry.event.occurred_at.isoformat(timespec='microseconds')} {entry.event.key}"
        self._keys[place] = entry.key
        self._records[place] = entry.reference.to_json().decode()

    def in_order(self) -> Iterator[Entry]:
        for place, key in self._keys.items():
            reference = read_reference(self._records.get(place).encode())
            yield Entry(key, reference, PreparedEvent.from_checked(reference.event))


def capture_of(entry: Entry) -> Capture:
    """Make a capture of an archived event: `at` is when the stream took it, otherwise when it occurred."""
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
        if reference.source.sequence:  # `archiver put` writes the time of the put here
            return parse_rfc3339(reference.source.received_at)
    except InvalidTimestamp:
        pass
    return parse_rfc3339(reference.event["occurred_at"])
