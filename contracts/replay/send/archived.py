"""Match the events of a run with what the archiver announces of them, and measure how long that took.

The subscription is confirmed before the first message goes out. Of each event its key is remembered, 32 bytes.
"""

from __future__ import annotations

import asyncio
import json
from array import array
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from contracts.bus.connection import round_trip
from contracts.errors import BadInput
from contracts.replay.plan.messages import Outgoing
from contracts.replay.send.report import Archived
from contracts.replay.send.stream_lookup import published_since

PREPARED: Final = "kaizen.schedule.prepared"
"""The event that an archiver archives; the subject of a run's messages ends with it."""
ARCHIVED: Final = "kaizen.schedule.archived"
"""What it announces then, under the same prefix."""


class Awaited:
    """The events of a run on their way through the archiver."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._clock = asyncio.get_running_loop().time
        self._confirmed: dict[bytes, float] = {}  # not announced yet: when it was confirmed
        self._announced: dict[bytes, float] = {}  # before its confirmation came: when
        self._on_the_way: set[bytes] = set()
        self._done: set[bytes] = set()
        self._latencies = array("d")
        self._changed = asyncio.Event()
        self._prefixes: set[str] = set()
        self._began = datetime.now(UTC)

    async def listen(self, subject: str) -> None:
        """Be there when what is sent to this subject is announced.

        Raises:
            BadInput: no archiver reads this subject.
        """
        if not subject.endswith(PREPARED):
            raise BadInput(f"--await-archived: {subject} is not archived; expected a subject that ends in {PREPARED}")
        prefix = subject.removesuffix(PREPARED)
        if prefix not in self._prefixes:
            self._prefixes.add(prefix)
            await self._client.subscribe(prefix + ARCHIVED, cb=self._hear)
            await round_trip(self._client)

    def sending(self, message: Outgoing) -> None:
        """Expect an event: its announcement may come before its confirmation."""
        key = bytes.fromhex(message.event_key)
        if key not in self._confirmed and key not in self._done:
            self._on_the_way.add(key)

    def confirmed(self, message: Outgoing) -> None:
        """Count from now how long the archiver takes."""
        key = bytes.fromhex(message.event_key)
        if key in self._on_the_way:
            self._on_the_way.discard(key)
            if key in self._announced:
                del self._announced[key]
                self._match(key, 0.0)
            else:
                self._confirmed[key] = self._clock()

    def given_up(self, message: Outgoing) -> None:
        """Expect it no more."""
        self._on_the_way.discard(bytes.fromhex(message.event_key))

    async def finish(self, within_s: float) -> Archived:
        """Wait until all are announced, at most that long, and return the result."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self._confirmed:
                    self._changed.clear()
                    await self._changed.wait()
        unheard = await self._look_back() if self._confirmed else 0
        times = sorted(self._latencies)
        return Archived(
            awaited=len(times) + unheard + len(self._confirmed),
            archived=len(times) + unheard,
            never=tuple(key.hex() for key in self._confirmed),
            p50_s=_percentile(times, 50),
            p95_s=_percentile(times, 95),
            p99_s=_percentile(times, 99),
        )

    async def _look_back(self) -> int:
        """Find what was announced while the connection was away, where a stream keeps it; nobody can time that."""
        found = 0
        with suppress(NatsError, OSError, TimeoutError):
            for prefix in self._prefixes:
                async with aclosing(published_since(self._client, prefix + ARCHIVED, self._began)) as announcements:
                    async for data in announcements:
                        found += self._confirmed.pop(_source(data), None) is not None
        return found

    async def _hear(self, message: Msg) -> None:
        key = _source(message.data)
        if key in self._confirmed:
            self._match(key, self._clock() - self._confirmed.pop(key))
        elif key in self._on_the_way:
            self._announced.setdefault(key, self._clock())

    def _match(self, key: bytes, latency_s: float) -> None:
        self._done.add(key)
        self._latencies.append(latency_s)
        self._changed.set()


def _source(announcement: bytes) -> bytes:
    """Return the key of the event that was archived; empty where the announcement cannot be read."""
    try:
        return bytes.fromhex(json.loads(announcement)["source_event"]["sha256"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return b""


def _percentile(times: list[float], percent: int) -> float | None:
    """Return the nearest-rank percentile of sorted times."""
    return times[-(-len(times) * percent // 100) - 1] if times else None
