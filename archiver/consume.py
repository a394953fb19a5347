"""Fetch messages, have each one worked on, and carry the outcome out; until idle, or until told to stop.

Told to stop, it fetches nothing more, finishes what is in hand within the grace period and hands the rest back.
One message's defect stays one message's: it is logged with its traceback, handed back, and the others go on.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import assert_never

from structlog.typing import FilteringBoundLogger

from archiver.core.announcement import FAILED, dead_letter, dead_letter_id
from archiver.core.backoff import INFRASTRUCTURE
from archiver.core.outcome import Ack, Dead, Outcome, Retry
from archiver.core.values import Message
from archiver.errors import BusUnavailable
from archiver.ports import Announcer, Clock, Delivery, Inbox

_FETCH_WAIT_S = 1.0
_PROGRESS_FOR_S = 600.0  # a worker that needs longer than ten minutes for one message is stuck


@dataclass(frozen=True, slots=True)
class Consumer:
    """One worker. `slots` is how many messages it works on at once; times are seconds."""

    inbox: Inbox
    process: Callable[[Message], Awaitable[Outcome]]
    dead_letters: Announcer
    clock: Clock
    log: FilteringBoundLogger
    worker: str
    slots: int
    ack_wait_s: float
    grace_s: float
    tally: Counter[str] = field(default_factory=Counter)

    async def run(self, stop: asyncio.Event, *, until_idle: bool) -> Counter[str]:
        """Work until `stop` is set or, with `until_idle`, until nothing is waiting; return counts by outcome."""
        working: set[asyncio.Task[None]] = set()
        while not stop.is_set():
            free = self.slots - len(working)
            if free == 0:
                await _first_of(working, stop)
                working = {task for task in working if not task.done()}
                continue
            deliveries = await self._fetch(free, stop)
            for delivery in deliveries:
                working.add(asyncio.create_task(self._handle(delivery)))
            working = {task for task in working if not task.done()}
            if until_idle and not deliveries and not working and await self._is_idle():
                break
        await self._drain(working)
        return self.tally

    async def _fetch(self, limit: int, stop: asyncio.Event) -> Sequence[Delivery]:
        try:
            return await self.inbox.fetch(limit, _FETCH_WAIT_S)
        except BusUnavailable as error:
            self.log.warning("bus unavailable", why=str(error))
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _FETCH_WAIT_S)
            return []

    async def _is_idle(self) -> bool:
        try:
            backlog = await self.inbox.backlog()
        except BusUnavailable as error:
            self.log.warning("bus unavailable", why=str(error))
            return False
        return backlog.undelivered == 0 and backlog.unanswered == 0

    async def _drain(self, working: set[asyncio.Task[None]]) -> None:
        if not working:
            return
        self.log.info("finishing what is in hand", messages=len(working), grace_s=self.grace_s)
        _, late = await asyncio.wait(working, timeout=self.grace_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _handle(self, delivery: Delivery) -> None:
        message = delivery.message
        log = self.log.bind(sequence=message.sequence, deliveries=message.deliveries)
        try:
            async with self._progress(delivery):
                try:
                    outcome = await self.process(message)
                except Exception as defect:
                    log.exception("defect in the archiver; please report it")
                    outcome = Retry(INFRASTRUCTURE.longest_s, f"defect: {defect!r}")
            await self._carry_out(delivery, outcome, log)
        except BusUnavailable as error:
            # Unanswered, it comes again, and what is stored already is found.
            self.tally["unanswered"] += 1
            log.warning("not answered", why=str(error))
        except asyncio.CancelledError:
            self.tally["handed back"] += 1
            with suppress(BusUnavailable):
                await delivery.retry(0)
            raise

    async def _carry_out(self, delivery: Delivery, outcome: Outcome, log: FilteringBoundLogger) -> None:
        match outcome:
            case Ack():
                await delivery.acknowledge()
                name = "archived again" if outcome.repeated else "archived"
                log.info(name, event_key=outcome.event_key, ref_key=outcome.ref_key, bytes=outcome.bundle_bytes)
            case Retry():
                await delivery.retry(outcome.after_s)
                name = "retried"
                log.warning(name, after_s=round(outcome.after_s, 1), why=outcome.why)
            case Dead():
                await self._bury(delivery, outcome)
                name = "dead-lettered"
                log.error(name, reason=outcome.reason, detail=outcome.detail)
            case _:
                assert_never(outcome)
        self.tally[name] += 1

    async def _bury(self, delivery: Delivery, dead: Dead) -> None:
        """Terminate only what has a dead letter: a message that is in neither place is lost."""
        message = delivery.message
        letter = dead_letter(message, dead, failed_at=self.clock.now(), worker=self.worker)
        await self.dead_letters.announce(FAILED, letter, message_id=dead_letter_id(message))
        await delivery.terminate()

    @asynccontextmanager
    async def _progress(self, delivery: Delivery) -> AsyncIterator[None]:
        """Ask for more time while the work lasts."""

        async def tick() -> None:
            for _ in range(int(_PROGRESS_FOR_S / (self.ack_wait_s / 3))):
                await asyncio.sleep(self.ack_wait_s / 3)
                with suppress(BusUnavailable):
                    await delivery.still_working()

        ticker = asyncio.create_task(tick())
        try:
            yield
        finally:
            ticker.cancel()


async def _first_of(working: set[asyncio.Task[None]], stop: asyncio.Event) -> None:
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({*working, stopped}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
