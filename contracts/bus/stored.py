"""Read what a stream holds, in order, without consuming any of it; any retention.

A stream with limits retention is read through an ephemeral consumer, which is fastest. On a work queue or an interest
stream that would take messages away, or is refused, as on a stream that has `max_consumers` already; those are read by
sequence, many requests at a time. The requests go to the stream's leader: a direct get is answered by any replica,
which may lack what was confirmed a moment ago.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, RawStreamMsg, RetentionPolicy, StreamInfo
from nats.js.errors import NotFoundError

_BATCH: Final = 500
_AT_ONCE: Final = 64
"""Requests under way at once; 10,000 messages take about 5 s with 64 as with 256."""
_ANSWER_WITHIN_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Stored:
    """A message as a stream holds it; `time` is when the stream took it, aware, in UTC."""

    subject: str
    sequence: int
    time: datetime
    data: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def consumes(info: StreamInfo) -> bool:
    """Return whether another consumer would change what the stream holds."""
    return info.config.retention not in {None, RetentionPolicy.LIMITS}


def takes_no_consumer(info: StreamInfo) -> bool:
    """Return whether a stream is to be read by sequence: a consumer would change it, or it has all that it may have."""
    most = info.config.max_consumers or 0
    return consumes(info) or 0 < most <= info.state.consumer_count


async def read_stored(
    client: Client,
    stream: str,
    *,
    subject: str = ">",
    first: int = 1,
    since: datetime | None = None,
    last: int | None = None,
    headers_only: bool = False,
) -> AsyncGenerator[list[Stored], None]:
    """Yield the messages of a stream from a sequence or a time on, batch by batch, up to its last one at the start.

    `subject` may hold wildcards. `last` ends before that. With `headers_only`, payloads may be omitted.

    Raises:
        nats.errors.Error, TimeoutError: the stream cannot be read, or the connection has gone.
        ValueError: not the name of a stream.
    """
    context = client.jetstream(timeout=_ANSWER_WITHIN_S)
    info = await context.stream_info(stream)
    end = info.state.last_seq if last is None else min(last, info.state.last_seq)
    if takes_no_consumer(info):
        if since is not None:
            first = await _sequence_at(client, stream, since, max(first, info.state.first_seq), end)
        batches = _by_sequence(client, stream, subject, first, end)
    else:
        start: dict[str, Any] = {"deliver_policy": DeliverPolicy.BY_START_SEQUENCE, "opt_start_seq": first}
        if since is not None:
            start = {"deliver_policy": DeliverPolicy.BY_START_TIME, "opt_start_time": since}
        config = ConsumerConfig(
            ack_policy=AckPolicy.NONE,
            headers_only=headers_only or None,
            inactive_threshold=60,
            mem_storage=True,
            **start,
        )
        batches = _by_consumer(client, stream, subject, config, end)
    async with aclosing(batches) as found:
        async for batch in found:
            yield batch


async def get_stored(client: Client, stream: str, sequence: int, subject: str = ">") -> Stored | None:
    """Return the first message at or after a sequence on a subject, None where there is none.

    Raises:
        nats.errors.Error, TimeoutError: as `read_stored`; NotFoundError is the stream's.
    """
    context = client.jetstream(timeout=_ANSWER_WITHIN_S)
    try:
        found: RawStreamMsg = await context.get_msg(stream, sequence, subject, next=True)
    except NotFoundError as error:
        if error.err_code == _NO_MESSAGE:
            return None
        raise
    assert found.subject is not None
    assert found.seq is not None
    assert found.time is not None
    return Stored(found.subject, found.seq, found.time, found.data or b"", found.headers or {})


_NO_MESSAGE: Final = 10037  # JSNoMessageFoundErr of nats-server; the other 404 is a missing stream


async def _by_sequence(
    client: Client, stream: str, subject: str, first: int, end: int
) -> AsyncGenerator[list[Stored], None]:
    """Ask for the next message at or after each of many sequences: of fewer where most answers are the same."""
    at_once = _AT_ONCE
    while first <= end:
        asked = range(first, min(first + at_once, end + 1))
        answers = await asyncio.gather(*(get_stored(client, stream, sequence, subject) for sequence in asked))
        found = {each.sequence: each for each in answers if each is not None and each.sequence <= end}
        if found:
            yield [found[sequence] for sequence in sorted(found)]
        if None in answers:
            return  # nothing follows that sequence, so that is the end
        first = max(asked[-1], *(each.sequence for each in answers if each is not None)) + 1
        at_once = min(_AT_ONCE, max(1, 2 * len(found)))


async def _sequence_at(client: Client, stream: str, moment: datetime, first: int, end: int) -> int:
    """Return the first sequence that the stream took at a moment or later, by bisection."""
    low, high = first, end + 1
    while low < high:
        middle = (low + high) // 2
        found = await get_stored(client, stream, middle)
        if found is None or found.time >= moment:
            high = middle
        else:
            low = found.sequence + 1
    return low


async def _by_consumer(
    client: Client, stream: str, subject: str, config: ConsumerConfig, end: int
) -> AsyncGenerator[list[Stored], None]:
    context = client.jetstream(timeout=_ANSWER_WITHIN_S)
    pull = await context.pull_subscribe(subject, stream=stream, config=config)
    consumer = await pull.consumer_info()
    try:
        left, delivered = consumer.num_pending or 0, 0
        while left > 0:
            messages = await pull.fetch(min(left, _BATCH), timeout=_ANSWER_WITHIN_S)
            for message in messages:
                delivered += 1
                if message.metadata.sequence.consumer != delivered:
                    raise NatsError("messages were lost on the way")
            batch = [stored for stored in map(_of_consumer, messages) if stored.sequence <= end]
            if batch:
                yield batch
            left = messages[-1].metadata.num_pending if len(batch) == len(messages) else 0
    finally:
        with suppress(NatsError, OSError, TimeoutError):
            await context.delete_consumer(stream, consumer.name)
            await pull.unsubscribe()


def _of_consumer(message: Msg) -> Stored:
    meta = message.metadata
    return Stored(message.subject, meta.sequence.stream, meta.timestamp, message.data, dict(message.headers or {}))
