"""Observe a NATS subject, on core NATS or on a JetStream stream.

The subscription is confirmed by the server before anything is triggered, and nothing here sleeps: a round
trip after the trigger's end proves that all it published has arrived.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError, ServiceUnavailableError

from contracts.bus.access import NatsAccess
from contracts.bus.connection import close_nats, connect_nats, round_trip
from contracts.bus.stored import get_stored, takes_no_consumer
from contracts.errors import BadInput, Unreachable
from contracts.model.counted import counted
from contracts.model.violation import Violation, resolve
from contracts.observe.observation import Observation, Observed, broken


@dataclass(frozen=True, slots=True)
class Watch:
    """What to watch, and when it is enough: `count` events, or the first that has `correlate`'s values.

    `stream` None is core NATS; `from_sequence` None is from now on. `timeout_s` counts from the end of the trigger,
    or from now where there is none: a program's start-up time is not part of its event's.
    """

    subject: str
    timeout_s: float
    count: int = 1
    correlate: tuple[tuple[str, str], ...] = ()
    stream: str | None = None
    from_sequence: int | None = None

    def wants(self, raw: bytes) -> bool:
        """Return whether a message has the values that `correlate` names."""
        if not self.correlate:
            return True
        try:
            payload = json.loads(raw)
        except (ValueError, RecursionError):
            return False
        return all(resolve(payload, at) == (True, value) for at, value in self.correlate)


class _Heard(NamedTuple):
    """A message; `sequence` is None where it is not known to be in a stream, or was taken out before it was read."""

    subject: str
    data: bytes
    headers: Mapping[str, str]
    sequence: int | None = None

    @property
    def identity(self) -> tuple[str, bytes, str | None]:
        return self.subject, self.data, self.headers.get("Nats-Msg-Id")

    @classmethod
    def of(cls, message: Msg, *, is_stored: bool = False) -> _Heard:
        sequence = message.metadata.sequence.stream if is_stored else None
        return cls(message.subject, message.data, dict(message.headers or {}), sequence)


class _Feed(Protocol):
    async def next(self, wait_s: float) -> _Heard | None: ...
    async def rest(self) -> list[_Heard]: ...


def observe_subject(access: NatsAccess, watch: Watch, trigger: Callable[[], list[Violation]] | None) -> Observed:
    """Watch a subject while `trigger` runs, or passively; `trigger` returns what was wrong with its own end.

    Raises:
        Unreachable: NATS does not answer, or JetStream or the stream is missing or may not be read.
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
        # Once confirmed, every later message is received, and a denied subscription is known.
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
    wanted: list[_Heard] = field(default_factory=list)
    passed_over: int = 0

    def take(self, messages: list[_Heard]) -> None:
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
            behaviour.append(
                broken("emitter/one-event", counted(count, "event"), expected=f"exactly {_events(watch.count)}")
            )
        observations = tuple(
            Observation(
                raw=message.data,
                where=f"{watch.stream} #{message.sequence or '?'}" if watch.stream else message.subject,
                subject=message.subject,
                headers=message.headers,
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
        info = await client.jetstream().stream_info(watch.stream)
        if takes_no_consumer(info):
            core = _Core(await client.subscribe(watch.subject))
            return _ConsumedStream(client, watch, watch.stream, info.state.last_seq, core)
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

    async def next(self, wait_s: float) -> _Heard | None:
        try:
            message: Msg = await self._subscription.next_msg(timeout=wait_s)  # type: ignore[attr-defined]
        except TimeoutError:
            return None
        return _Heard.of(message)

    async def rest(self) -> list[_Heard]:
        count: int = self._subscription.pending_msgs  # type: ignore[attr-defined]
        return [message for _ in range(count) if (message := await self.next(1)) is not None]


class _Stream:
    """A stream stores a message just after plain subscribers receive it, so `core` shows what to wait for."""

    def __init__(self, pull: JetStreamContext.PullSubscription, core: _Core) -> None:
        self._pull, self._core = pull, core
        self._stored: Counter[tuple[str, bytes, str | None]] = Counter()

    async def next(self, wait_s: float) -> _Heard | None:
        try:
            (message,) = await self._pull.fetch(1, timeout=wait_s)
        except TimeoutError:
            return None
        heard = _Heard.of(message, is_stored=True)
        self._stored[heard.identity] += 1
        return heard

    async def rest(self) -> list[_Heard]:
        said = Counter(message.identity for message in await self._core.rest())
        found: list[_Heard] = []
        # A second without any: what is missing is a repeat, was refused, or is stored under another subject.
        while said - self._stored and (message := await self.next(1)) is not None:
            found.append(message)
        while (await self._pull.consumer_info()).num_pending and (message := await self.next(1)) is not None:
            found.append(message)
        return found


class _ConsumedStream:
    """A work queue or an interest stream, read by sequence: another consumer would take messages from the workers.

    What `core` heard shows what to wait for. A message that a consumer has taken before it was read is the one that
    `core` heard, if the stream has counted one that it does not hold.
    """

    def __init__(self, client: Client, watch: Watch, stream: str, last: int, core: _Core) -> None:
        self._client, self._stream, self._subject, self._core = client, stream, watch.subject, core
        self._new_from = last + 1
        self._next = watch.from_sequence or self._new_from
        self._gone = 0
        self._read_before: Counter[tuple[str, bytes, str | None]] = Counter()
        self._unread: list[_Heard] = []
        self._quiet_since = 0.0

    async def next(self, wait_s: float) -> _Heard | None:
        clock = asyncio.get_running_loop().time
        until = clock() + wait_s
        while True:
            stored = await get_stored(self._client, self._stream, self._next, self._subject)
            if stored is not None:
                self._gone += max(0, stored.sequence - max(self._next, self._new_from))
                self._next = stored.sequence + 1
                return self._read(_Heard(stored.subject, stored.data, stored.headers, stored.sequence))
            if self._unread and clock() - self._quiet_since > _STORED_WITHIN_S:
                if (taken := await self._taken()) is not None:
                    return taken
                self._unread.pop(0)  # a repeat, refused by the stream, or stored under another subject
            left = until - clock()
            if left <= 0:
                return None
            heard = await self._core.next(min(left, _POLL_S))
            if heard is not None:
                self._hear(heard)

    async def rest(self) -> list[_Heard]:
        for heard in await self._core.rest():
            self._hear(heard)
        found: list[_Heard] = []
        while (message := await self.next(2 * _STORED_WITHIN_S if self._unread else 0.0)) is not None:
            found.append(message)
        return found

    def _hear(self, message: _Heard) -> None:
        self._quiet_since = asyncio.get_running_loop().time()
        if self._read_before[message.identity]:
            self._read_before[message.identity] -= 1
        else:
            self._unread.append(message)

    def _read(self, message: _Heard) -> _Heard:
        for index, each in enumerate(self._unread):
            if each.identity == message.identity:
                del self._unread[index]
                return message
        self._read_before[message.identity] += 1
        return message

    async def _taken(self) -> _Heard | None:
        """Return the oldest message that was heard, if the stream has counted one that it does not hold any more."""
        last = (await self._client.jetstream().stream_info(self._stream)).state.last_seq
        self._gone += max(0, last + 1 - self._next)
        self._next = max(self._next, last + 1)
        if not self._gone:
            return None
        self._gone -= 1
        return self._unread.pop(0)


_POLL_S = 0.25
_STORED_WITHIN_S = 1.0
"""A stream stores a message just after plain subscribers receive it; after this time it is taken as not stored."""


def _events(count: int) -> str:
    return "one event" if count == 1 else counted(count, "event")
