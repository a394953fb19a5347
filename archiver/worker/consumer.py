"""Fetch messages, process each one, and carry out the outcome; until idle, or until stopped.

When stopped, it fetches nothing more, finishes the messages in hand within the grace period and returns the rest to the
queue. While the breaker is open it fetches nothing either, and probes the store and the bundle sources.
A defect met by one message is logged with its traceback and that message retried; the others go on.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from typing import assert_never

from structlog.typing import FilteringBoundLogger

from archiver.core.announcement import FAILED, dead_letter, dead_letter_id
from archiver.core.backoff import BACKOFF
from archiver.core.breaker import Breaker, State, works
from archiver.core.dead_letter import is_dead_letter_of
from archiver.core.errors import (
    BusSilent,
    BusUnavailable,
    ConsumerMissing,
    NotAllDone,
    SourceUnavailable,
    StoreUnavailable,
)
from archiver.core.limiter import Limiter
from archiver.core.outcome import Ack, Cause, Dead, Ignored, Outcome, Retry
from archiver.core.replay import run_of
from archiver.core.values import Message
from archiver.ports import Announcer, Clock, Delivery, Inbox
from archiver.worker.health import Health
from archiver.worker.watchdog import Watchdog

_FETCH_WAIT_S = 1.0
_PROGRESS_FOR_S = 600.0  # a worker that needs longer than ten minutes for one message is stuck
_REPORT_EVERY_S = 30.0
_GONE_AT = 3  # answers in a row: while JetStream elects a leader, one may be wrong
_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class _Retried:
    """Why a message was retried last, and how many events this worker had archived then."""

    retry: Retry
    archived: int


@dataclass(slots=True)
class _Idle:
    """What a job that runs until idle has seen: when an event was last finished, and how many are waiting."""

    progress_at_s: float = 0.0
    report_at_s: float = 0.0
    waiting: int = 0
    gone: int = 0


@dataclass(frozen=True, slots=True)
class Consumer:
    """One worker.

    `limiter` bounds how many messages it works on at once; times are seconds. `probe` checks store and bundle sources,
    and raises StoreUnavailable or SourceUnavailable; `chance` returns a number in [0, 1).
    """

    inbox: Inbox
    process: Callable[[Message], Awaitable[Outcome]]
    dead_letters: Announcer
    probe: Callable[[], Awaitable[None]]
    clock: Clock
    log: FilteringBoundLogger
    health: Health
    watchdog: Watchdog
    worker: str
    limiter: Limiter
    ack_wait_s: float
    grace_s: float
    chance: Callable[[], float]
    breaker: Breaker = field(default_factory=Breaker)
    tally: Counter[str] = field(default_factory=Counter)
    _retried: dict[int, _Retried] = field(default_factory=dict)
    _idle: _Idle = field(default_factory=_Idle)

    async def run(self, stop: asyncio.Event, *, until_idle: bool, max_wait_s: float = inf) -> Counter[str]:
        """Work until `stop` is set or, with `until_idle`, until nothing is waiting; return counts by outcome.

        With `until_idle`, `max_wait_s` bounds the time in which no event is finished: messages that are retried later
        keep the consumer busy.

        Raises:
            BusSilent: the bus is connected and answers nothing; messages in hand are returned to the queue.
            ConsumerMissing: with `until_idle`, the consumer or its stream was deleted.
            NotAllDone: nothing was finished for `max_wait_s`.
        """
        self._idle.progress_at_s = _now_s()
        working: set[asyncio.Task[None]] = set()
        turn = asyncio.Event()
        stopped = asyncio.create_task(stop.wait())
        stopped.add_done_callback(lambda _: turn.set())

        def ended(task: asyncio.Task[None]) -> None:
            working.discard(task)
            turn.set()

        try:
            while not stop.is_set():
                turn.clear()
                free = self.breaker.allows(self.limiter.limit) - len(working)
                if self.breaker.state is State.OPEN:
                    await self._look_for_the_store(stop)
                elif free <= 0:
                    await turn.wait()
                else:
                    deliveries = await self._fetch(free, stop)
                    for delivery in deliveries or ():
                        task = asyncio.create_task(self._handle(delivery))
                        task.add_done_callback(ended)
                        working.add(task)
                    if until_idle and not (deliveries or working) and await self._is_idle(deliveries):
                        break
                if until_idle and not working:
                    self._require_progress(max_wait_s)
        finally:
            stopped.cancel()
            await self._drain(working)
        return self.tally

    async def _fetch(self, limit: int, stop: asyncio.Event) -> Sequence[Delivery] | None:
        """Take messages; None where the bus could not be asked."""
        try:
            deliveries = await self.inbox.fetch(limit, _FETCH_WAIT_S)
        except BusSilent as error:
            self.health.wrong("bus", str(error))
            await self.watchdog.silent(error)
            return None
        except BusUnavailable as error:
            self.health.wrong("bus", str(error))
            await _wait(stop, _FETCH_WAIT_S)
            return None
        self.watchdog.heard()
        self.health.fine("bus")
        return deliveries

    async def _look_for_the_store(self, stop: asyncio.Event) -> None:
        await _wait(stop, self.breaker.probe_after_s(self.chance()))
        if stop.is_set():
            return
        looking, stopped = asyncio.ensure_future(self.probe()), asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({looking, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
        if not looking.done():
            looking.cancel()
            return
        try:
            looking.result()
        except (StoreUnavailable, SourceUnavailable) as error:
            self.health.wrong(error.part, str(error))
            self.breaker.probed(answered=False)
        else:
            self.breaker.probed(answered=True)

    async def _is_idle(self, fetched: Sequence[Delivery] | None) -> bool:
        """Return whether nothing is waiting; `fetched` is None where fetching failed, which is no idleness."""
        try:
            backlog = await self.inbox.backlog()
        except ConsumerMissing:
            self._idle.gone += 1
            if self._idle.gone >= _GONE_AT:
                raise
            return False
        except BusUnavailable as error:
            self.log.warning("bus unavailable", why=str(error))
            return False
        self._idle.gone, self._idle.waiting = 0, backlog.undelivered + backlog.unanswered
        return fetched is not None and not self._idle.waiting

    def _require_progress(self, max_wait_s: float) -> None:
        """Report what a job waits for, and end it where nothing was finished for too long."""
        now_s, idle = _now_s(), self._idle
        left_s = idle.progress_at_s + max_wait_s - now_s
        if left_s <= 0:
            raise NotAllDone(f"nothing was finished for {max_wait_s:.0f} s, and {self._waits_for()}", self.tally)
        if idle.waiting and self._retried and now_s >= idle.report_at_s:
            idle.report_at_s = now_s + _REPORT_EVERY_S
            self.log.info("waiting", why=self._waits_for(), at_most_s=round(left_s) if left_s < inf else None)

    def _waits_for(self) -> str:
        """Describe how many events are waiting and, of those that this worker tried, for what."""
        causes = Counter(str(each.retry.cause) for each in self._retried.values())
        count = max(self._idle.waiting, len(self._retried))
        waiting = f"{count} event{'' if count == 1 else 's'} {'is' if count == 1 else 'are'} waiting"
        if not causes:
            return waiting
        why = next(reversed(self._retried.values())).retry.why
        return f"{waiting} ({', '.join(f'{cause}: {n}' for cause, n in causes.most_common())}); the latest: {why}"

    async def _drain(self, working: set[asyncio.Task[None]]) -> None:
        if not working:
            return
        self.log.info("finishing messages in hand", messages=len(working), grace_s=self.grace_s)
        _, late = await asyncio.wait(working, timeout=self.grace_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _handle(self, delivery: Delivery) -> None:
        message = delivery.message
        log = self.log.bind(sequence=message.sequence, deliveries=message.deliveries)
        if run := run_of(message):
            log = log.bind(replay=run)
        try:
            progress = _Progress(delivery, self.ack_wait_s / 3)
            began_s = _now_s()
            try:
                outcome = await self.process(message)
            except Exception as defect:
                log.exception("defect in the archiver; please report it")
                wait_s = BACKOFF[Cause.DEFECT].delay_s(message.deliveries, self.chance())
                outcome = Retry(wait_s, Cause.DEFECT, repr(defect))
            finally:
                progress.end()
            self._note(message.sequence, outcome, began_s)
            await self._carry_out(delivery, outcome, log)
        except BusUnavailable as error:
            # Unanswered, it comes again, and what is stored already is found.
            self.tally["unanswered"] += 1
            log.warning("not answered", why=str(error))
        except asyncio.CancelledError:
            self.tally["returned"] += 1
            with suppress(BusUnavailable):
                await delivery.retry(0)
            raise

    def _note(self, sequence: int, outcome: Outcome, began_s: float) -> None:
        if isinstance(outcome, Retry):
            self.health.retried(outcome.cause)
        if self._is_its_own(sequence, outcome):
            return
        self.breaker.note(outcome)
        self.limiter.note(outcome, began_s=began_s, ended_s=_now_s())
        if isinstance(outcome, Retry) and (
            outcome.cause is Cause.SOURCE_UNAVAILABLE  # known for what it is at the first one
            or (self.breaker.state is not State.CLOSED and works(outcome) is False)
        ):
            self.health.wrong(outcome.part, outcome.why)
        elif self.breaker.state is State.CLOSED:
            self.health.fine("store")

    def _is_its_own(self, sequence: int, outcome: Outcome) -> bool:
        """Return whether a failure concerns this message alone: it failed before, and others were archived since.

        One key may be refused or broken in a store that works. Its event is retried on its own; counted again and again
        it would open the breaker for all.
        """
        before = self._retried.get(sequence)
        return works(outcome) is False and before is not None and self._archived() > before.archived

    def _archived(self) -> int:
        return self.tally["archived"] + self.tally["archived again"]

    async def _carry_out(self, delivery: Delivery, outcome: Outcome, log: FilteringBoundLogger) -> None:
        match outcome:
            case Ack():
                await delivery.acknowledge()
                name = "archived again" if outcome.repeated else "archived"
                log.info(name, event_key=outcome.event_key, ref_key=outcome.ref_key, bytes=outcome.bundle_bytes)
                if outcome.not_released:
                    log.warning("the source's copy of the bundle was left where it is", why=outcome.not_released)
            case Ignored():
                await delivery.acknowledge()
                name = "ignored"
                log.info(name)
            case Retry():
                await delivery.retry(outcome.after_s)
                name = "retried"
                log.warning(name, after_s=round(outcome.after_s, 1), cause=outcome.cause, why=outcome.why)
            case Dead():
                await self._bury(delivery, outcome)
                name = "dead-lettered"
                log.error(name, reason=outcome.reason, detail=outcome.detail)
            case _:
                assert_never(outcome)
        self.tally[name] += 1
        self._remember(delivery.message.sequence, outcome)

    def _remember(self, sequence: int, outcome: Outcome) -> None:
        if not isinstance(outcome, Retry):
            self._retried.pop(sequence, None)
            self._idle.progress_at_s = _now_s()
        elif sequence in self._retried or len(self._retried) < _REMEMBERED:
            self._retried[sequence] = _Retried(outcome, self._archived())

    async def _bury(self, delivery: Delivery, dead: Dead) -> None:
        """Terminate only what has a dead letter: a message that is in neither place is lost.

        A repeat differs in its time and delivery count, so `is_ours` compares which message it is about.
        """
        message = delivery.message
        letter = dead_letter(message, dead, failed_at=self.clock.now(), worker=self.worker)
        await self.dead_letters.announce(
            FAILED, letter, message_id=dead_letter_id(message), is_ours=lambda raw: is_dead_letter_of(message, raw)
        )
        await delivery.terminate()


class _Progress:
    """Asks for more time while the work lasts; a message that is done sooner costs a timer, and no task."""

    __slots__ = ("_delivery", "_every_s", "_ticker", "_timer")

    def __init__(self, delivery: Delivery, every_s: float) -> None:
        self._delivery, self._every_s = delivery, every_s
        self._ticker: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(every_s, self._begin)

    def end(self) -> None:
        self._timer.cancel()
        if self._ticker is not None:
            self._ticker.cancel()

    def _begin(self) -> None:
        self._ticker = asyncio.create_task(self._tick())

    async def _tick(self) -> None:
        for _ in range(int(_PROGRESS_FOR_S / self._every_s)):
            with suppress(BusUnavailable):
                await self._delivery.still_working()
            await asyncio.sleep(self._every_s)


def _now_s() -> float:
    return asyncio.get_running_loop().time()


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
