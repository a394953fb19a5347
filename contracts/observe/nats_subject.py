"""Observe a NATS subject, on core NATS or on a JetStream stream.

The subscription is confirmed by the server before anything is triggered, and nothing here sleeps: a round
trip after the trigger's end proves that all it published has arrived.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError, ServiceUnavailableError

from contracts.bus.access import NatsAccess
from contracts.bus.connection import close_nats, connect_nats, round_trip
from contracts.errors import BadInput, Unreachable
from contracts.model.violation import Violation, resolve
from contracts.observe.observation import Observation, Observed, broken


@dataclass(frozen=True, slots=True)
class Watch:
    """What to watch, and when it is enough: `count` events, or the first that has `correlate`'s values.

    `stream` None is core NATS; `from_sequence` None is from now on. `timeout_s` counts from the end of the trigger,
    or from now where there is none: how long a program takes to start says nothing about its event.
    """

    subject: str
    timeout_s: float
    count: int = 1
    correlate: tuple[tuple[str, str], ...] = ()
    stream: str | None = None
    from_sequence: int | None = None

    def wants(self, raw: bytes) -> bool:
        """Say whether a message is one of ours: it has the values that `correlate` names."""
        if not self.correlate:
            return True
        try:
            payload = json.loads(raw)
        except (ValueError, RecursionError):
            return False
        return all(resolve(payload, at) == (True, value) for at, value in self.correlate)


class _Feed(Protocol):
    async def next(self, wait_s: float) -> Msg | None: ...
    async def rest(self) -> list[Msg]: ...


def observe_subject(access: NatsAccess, watch: Watch, trigger: Callable[[], list[Violation]] | None) -> Observed:
    """Watch a subject while `trigger` runs, or passively; `trigger` returns what was wrong with its own end.

    Raises:
        Unreachable: NATS, JetStream or the stream is not there, or may not be read.
        BadInput: not a subject, or not the name of a stream.
    """
    tokens = watch.subject.split(".")
    if not all(tokens) or ">" in tokens[:-1] or len(watch.subject.split()) != 1:
        # The server would end the connection, and the client connect again and again.
        raise BadInput(f"{watch.subject!r} is not a subject")
    return asyncio.run(_observe(access, watch, trigger))


async def _observe(access: NatsAccess, watch: Watch, trigger: Callable[[], list[Violation]] | None) -> Observed:
    refused: list[Exception] = []

    async def remember(error: Exception) -> None:
        refused.append(error)

    async def lost() -> None:
        refused.append(NatsError("the connection was lost meanwhile"))

    client = await connect_nats(access, name="contracts verify-emitter", error_cb=remember, disconnected_cb=lost)
    try:
        feed = await _subscribe(client, access, watch)
        # Confirmed: whatever is published from here on is seen, and a subscription that is not allowed is known.
        await round_trip(client)
        if refused:
            raise refused[0]
        seen = _Seen(watch)
        started_at = datetime.now(UTC)
        behaviour = await _run_and_collect(feed, seen, watch, trigger)
        if refused and not seen.is_enough():
            raise refused[0]  # a server that has gone is no silent emitter
        await round_trip(client)
        if trigger:
            seen.take(await feed.rest())
        return seen.observed(started_at, behaviour, triggered=trigger is not None)
    except (NatsError, OSError, TimeoutError) as error:
        raise Unreachable("NATS", access.place, str(error) or type(error).__name__) from None
    finally:
        await close_nats(client)


async def _run_and_collect(
    feed: _Feed, seen: _Seen, watch: Watch, trigger: Callable[[], list[Violation]] | None
) -> list[Violation]:
    """Run the trigger, and collect until there is enough; a trigger that cannot be run ends both at once."""
    ended = asyncio.Event()
    collecting = asyncio.create_task(_collect(feed, seen, watch, ended))
    if trigger is None:
        ended.set()
        await collecting
        return []
    running = asyncio.create_task(asyncio.to_thread(trigger))
    running.add_done_callback(lambda _: ended.set())
    try:
        await asyncio.wait({running, collecting}, return_when=asyncio.FIRST_EXCEPTION)
        behaviour = list(await running)
        await collecting
    finally:
        collecting.cancel()
        await asyncio.gather(collecting, return_exceptions=True)
    return behaviour


async def _collect(feed: _Feed, seen: _Seen, watch: Watch, ended: asyncio.Event) -> None:
    """Take messages until there are enough; once the trigger has ended, for `timeout_s` at most."""
    taking, waiting = asyncio.create_task(_take(feed, seen, watch)), asyncio.create_task(ended.wait())
    try:
        await asyncio.wait({taking, waiting}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({taking}, timeout=watch.timeout_s)
        if taking.done():
            taking.result()
    finally:
        taking.cancel()
        waiting.cancel()
        await asyncio.gather(taking, waiting, return_exceptions=True)


async def _take(feed: _Feed, seen: _Seen, watch: Watch) -> None:
    while not seen.is_enough():
        message = await feed.next(watch.timeout_s)
        if message is not None:
            seen.take([message])


@dataclass(slots=True)
class _Seen:
    watch: Watch
    wanted: list[Msg] = field(default_factory=list)
    passed_over: int = 0

    def take(self, messages: list[Msg]) -> None:
        for message in messages:
            if self.watch.wants(message.data):
                self.wanted.append(message)
            else:
                self.passed_over += 1

    def is_enough(self) -> bool:
        return len(self.wanted) >= self.watch.count

    def observed(self, started_at: datetime, behaviour: list[Violation], *, triggered: bool) -> Observed:
        watch, count = self.watch, len(self.wanted)
        if count < watch.count:
            others = f"; {self.passed_over} others did not match" if self.passed_over else ""
            found = f"{count or 'nothing'} on {watch.subject} within {watch.timeout_s:g} s{others}"
            behaviour.append(broken("emitter/nothing", found, expected=_events(watch.count)))
        elif count > watch.count and triggered:
            behaviour.append(broken("emitter/one-event", f"{count} events", expected=f"exactly {_events(watch.count)}"))
        observations = tuple(
            Observation(
                raw=message.data,
                where=f"{watch.stream} #{message.metadata.sequence.stream}" if watch.stream else message.subject,
                subject=message.subject,
                headers=dict(message.headers or {}),
                is_confirmed=watch.stream is not None,
            )
            for message in self.wanted
        )
        return Observed(observations, tuple(behaviour), started_at, datetime.now(UTC))


async def _subscribe(client: Client, access: NatsAccess, watch: Watch) -> _Feed:
    if watch.stream is None:
        if watch.from_sequence is not None:
            raise BadInput("--from-seq needs --stream: core NATS keeps nothing")
        return _Core(await client.subscribe(watch.subject))
    config = ConsumerConfig(
        ack_policy=AckPolicy.NONE,
        deliver_policy=DeliverPolicy.NEW if watch.from_sequence is None else DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=watch.from_sequence,
        inactive_threshold=60,
    )
    try:
        pull = await client.jetstream().pull_subscribe(watch.subject, stream=watch.stream, config=config)
    except NotFoundError:
        raise Unreachable(f"stream {watch.stream}", access.place, "there is no such stream") from None
    except ServiceUnavailableError:
        raise Unreachable("JetStream", access.place, "this server, or this account, has none") from None
    except ValueError:
        raise BadInput(f"--stream {watch.stream!r} is not the name of a stream") from None
    return _Stream(pull, _Core(await client.subscribe(watch.subject)))


class _Core:
    def __init__(self, subscription: object) -> None:
        self._subscription = subscription

    async def next(self, wait_s: float) -> Msg | None:
        try:
            message: Msg = await self._subscription.next_msg(timeout=wait_s)  # type: ignore[attr-defined]
        except TimeoutError:
            return None
        return message

    async def rest(self) -> list[Msg]:
        count: int = self._subscription.pending_msgs  # type: ignore[attr-defined]
        return [message for _ in range(count) if (message := await self.next(1)) is not None]


class _Stream:
    """A stream stores a message a moment after plain subscribers have it: what `core` saw says what to wait for."""

    def __init__(self, pull: JetStreamContext.PullSubscription, core: _Core) -> None:
        self._pull, self._core = pull, core
        self._stored: Counter[tuple[str, bytes, str | None]] = Counter()

    async def next(self, wait_s: float) -> Msg | None:
        try:
            (message,) = await self._pull.fetch(1, timeout=wait_s)
        except TimeoutError:
            return None
        self._stored[_identity(message)] += 1
        return message

    async def rest(self) -> list[Msg]:
        said = Counter(_identity(message) for message in await self._core.rest())
        found: list[Msg] = []
        # A second without any: what is missing is a repeat, was refused, or is stored under another subject.
        while said - self._stored and (message := await self.next(1)) is not None:
            found.append(message)
        while (await self._pull.consumer_info()).num_pending and (message := await self.next(1)) is not None:
            found.append(message)
        return found


def _identity(message: Msg) -> tuple[str, bytes, str | None]:
    return message.subject, message.data, (message.headers or {}).get("Nats-Msg-Id")


def _events(count: int) -> str:
    return "one event" if count == 1 else f"{count} events"
