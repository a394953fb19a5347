"""Events from NATS: a slice of a stream, or the messages on a subject; batch by batch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.errors import APIError, NotFoundError, ServiceUnavailableError

from contracts.bus.access import NatsAccess
from contracts.bus.connection import close_nats, connect_nats, round_trip
from contracts.bus.stored import Stored, read_stored
from contracts.errors import BadInput, Unreachable
from contracts.model.strict_json import MalformedPayload
from contracts.replay.events.capture import Capture, Found, Unusable, parse_event

_BATCH: Final = 500
_TRIES: Final = 3
"""How often a batch is asked for; each time may take 5 s."""


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of a stream: from a time or a sequence, by default the first; before a time, by default all there is now.

    `subject` may hold wildcards. A message is where it is in time when the stream took it.
    """

    stream: str
    subject: str = ">"
    since: datetime | None = None
    from_sequence: int | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Listening:
    """A subject to listen to until there are `count` messages, or none for `idle_s` seconds, or until a time."""

    subject: str
    count: int | None = None
    idle_s: float | None = None
    until: datetime | None = None


def read_slice(access: NatsAccess, part: Slice, *, name: str) -> Iterator[Found]:
    """Yield the messages of a slice in their order; those that come meanwhile are no part of it.

    Nothing is consumed, also from a work queue. `name` is what the server calls the connection.

    Raises:
        Unreachable: no NATS, no such stream, it may not be read, or it was lost on the way; names the place.
        BadInput: not the name of a stream, or not a subject.
    """
    with asyncio.Runner() as runner:
        client = runner.run(connect_nats(access, name=name))
        reader = SliceReader(client, access.place, part)
        try:
            while messages := runner.run(reader.next()):
                yield from (
                    _found(each.subject, each.data, each.headers, each.time, f"{part.stream} #{each.sequence}")
                    for each in messages
                )
        finally:
            runner.run(reader.close())
            runner.run(close_nats(client))


class SliceReader:
    """Reads a slice on one connection, and goes on after that was lost. Close it.

    With `headers_only`, messages may come without their payload.
    """

    def __init__(self, client: Client, place: str, part: Slice, *, headers_only: bool = False) -> None:
        self._client, self._place, self._part = client, place, part
        self._headers_only = headers_only
        self._batches: AsyncGenerator[list[Stored], None] | None = None
        self._last = 0
        self._end: int | None = None
        """The last sequence of the stream when we began."""
        self._is_done = False

    async def next(self) -> list[Stored]:
        """Return the next messages, none where the slice has ended.

        Raises:
            Unreachable, BadInput: as `read_slice`.
        """
        problem: Exception | None = None
        for _ in range(_TRIES):
            if self._is_done:
                return []
            try:
                return await self._batch()
            except NotFoundError:
                raise Unreachable(f"stream {self._part.stream}", self._place, "there is no such stream") from None
            except ServiceUnavailableError:
                raise Unreachable("JetStream", self._place, "this server, or this account, has none") from None
            except APIError as error:
                what = f"stream {self._part.stream} by the subject {self._part.subject!r}"
                raise BadInput(f"cannot read {what}: {error.description}") from None
            except ValueError:
                raise BadInput(f"{self._part.stream!r} is not the name of a stream") from None
            except (NatsError, OSError, TimeoutError) as error:
                problem = error
                await self.close()
        why = str(problem) or type(problem).__name__
        at = f" after #{self._last}; go on with --from-seq {self._last + 1}" if self._last else ""
        raise Unreachable(f"stream {self._part.stream}", self._place, f"{why}{at}") from None

    async def close(self) -> None:
        """Let go of what the server keeps for us."""
        if self._batches is not None:
            await self._batches.aclose()
            self._batches = None

    async def _batch(self) -> list[Stored]:
        part = self._part
        if self._end is None:
            self._end = (await self._client.jetstream().stream_info(part.stream)).state.last_seq
        if self._batches is None:
            self._batches = read_stored(
                self._client,
                part.stream,
                subject=part.subject,
                first=self._last + 1 if self._last else part.from_sequence or 1,
                since=None if self._last else part.since,
                last=self._end,
                headers_only=self._headers_only,
            )
        messages: list[Stored] = await anext(self._batches, [])
        taken = [each for each in messages if part.until is None or each.time < part.until]
        self._is_done = len(taken) < len(messages) or not messages
        if messages:
            self._last = messages[-1].sequence
        return taken


def listen(access: NatsAccess, listening: Listening, *, name: str) -> Iterator[Found]:
    """Yield the messages that come on a subject from now on, as they come.

    Raises:
        Unreachable: no NATS, the subject may not be read, or the connection was lost: something may be missing.
        BadInput: not a subject.
    """
    with asyncio.Runner() as runner:
        ears = runner.run(_Listener.open(access, listening, name))
        try:
            while messages := runner.run(ears.next()):
                now = datetime.now(UTC)
                yield from (_found(each.subject, each.data, each.headers or {}, now, each.subject) for each in messages)
        finally:
            runner.run(close_nats(ears.client))


class _Listener:
    """Messages on a subject. The queue is bounded: a slow reader that misses messages ends with an error."""

    def __init__(self, listening: Listening, place: str) -> None:
        self.client = Client()
        self._listening, self._place = listening, place
        self._queue: asyncio.Queue[Msg] = asyncio.Queue(_BATCH)
        self._failed: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        self._heard = 0
        self._silent_since = monotonic()

    @classmethod
    async def open(cls, access: NatsAccess, listening: Listening, name: str) -> _Listener:
        ears = cls(listening, access.place)
        ears.client = await connect_nats(access, name=name, error_cb=ears._fail, disconnected_cb=ears._lose)
        try:
            await ears.client.subscribe(listening.subject, cb=ears._queue.put)
            # Once confirmed, every later message is received, and a denied subject is known.
            await round_trip(ears.client)
            ears._raise_failure()
        except (NatsError, OSError, TimeoutError) as error:
            await close_nats(ears.client)
            raise Unreachable("NATS", access.place, str(error) or type(error).__name__) from None
        except BaseException:
            await close_nats(ears.client)
            raise
        return ears

    async def next(self) -> list[Msg]:
        """Wait for a message, and return all that have arrived; none where the limits are reached."""
        count = self._listening.count
        left = _BATCH if count is None else min(_BATCH, count - self._heard)
        if left <= 0:
            return []
        first = asyncio.ensure_future(self._queue.get())
        either: set[asyncio.Future[Any]] = {first, self._failed}
        await asyncio.wait(either, timeout=self._wait_s(), return_when=asyncio.FIRST_COMPLETED)
        if not first.done() or self._failed.done():
            first.cancel()
            self._raise_failure()
            return []
        taken = [first.result()]
        while len(taken) < left and not self._queue.empty():
            taken.append(self._queue.get_nowait())
        self._heard += len(taken)
        self._silent_since = monotonic()
        return taken

    def _wait_s(self) -> float | None:
        waits = []
        if self._listening.idle_s is not None:
            waits.append(self._silent_since + self._listening.idle_s - monotonic())
        if self._listening.until is not None:
            waits.append((self._listening.until - datetime.now(UTC)).total_seconds())
        return max(0.0, min(waits)) if waits else None

    def _raise_failure(self) -> None:
        if self._failed.done():
            why = str(self._failed.result()) or type(self._failed.result()).__name__
            raise Unreachable("NATS", self._place, f"{why}; what came meanwhile is missing")

    async def _fail(self, error: Exception) -> None:
        if not self._failed.done():
            self._failed.set_result(error)

    async def _lose(self) -> None:
        await self._fail(NatsError("the connection was lost"))


def _found(subject: str, data: bytes, headers: Mapping[str, str], at: datetime, origin: str) -> Found:
    try:
        event = parse_event(data)
    except MalformedPayload as error:
        return Unusable.because(error, origin)
    return Capture(subject, event, at, origin, dict(headers))
