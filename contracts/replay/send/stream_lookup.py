"""What streams hold that a run wants to know: its own messages, and what was announced of its events."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from datetime import datetime
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, Header
from nats.js.errors import NotFoundError

from contracts.replay.plan.messages import REPLAY
from contracts.replay.send.sender import Recalled

_BATCH: Final = 500
_ANSWER_WITHIN_S: Final = 5.0


async def look_up(
    client: Client, stream: str, run_id: str, *, after: int, is_wanted: Callable[[int], bool]
) -> Recalled:
    """Read the headers of all that a stream took after a sequence, and pick out the wanted numbers of a run.

    Its memory of message ids may be too short. What is not found may go again only if the stream still has all that
    it took since: a message that was removed since then may have been one of them.

    Raises:
        nats.errors.Error, TimeoutError: the stream cannot be read, or the connection has gone.
    """
    context = client.jetstream(timeout=_ANSWER_WITHIN_S)
    last = (await context.stream_info(stream)).state.last_seq
    if last <= after:
        return Recalled(may_go_again=last == after)  # a stream that was made anew counts from 1
    start = ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=after + 1, headers_only=True)
    found: dict[int, int] = {}
    seen = 0
    async with aclosing(_read(context, stream, ">", start)) as messages:
        async for message in messages:
            sequence = message.metadata.sequence.stream
            if sequence > last:
                break
            seen += 1
            headers = message.headers or {}
            name, _, number = headers.get(Header.MSG_ID, "").rpartition(":")
            if name == run_id == headers.get(REPLAY) and number.isdecimal() and is_wanted(int(number)):
                found[int(number)] = sequence
    return Recalled(may_go_again=seen == last - after, found=found)


async def published_since(client: Client, subject: str, moment: datetime) -> AsyncGenerator[bytes, None]:
    """Read what was published on a subject since then, from the stream that keeps it; nothing where none does.

    Raises:
        nats.errors.Error, TimeoutError: it cannot be read, or the connection has gone.
    """
    context = client.jetstream(timeout=_ANSWER_WITHIN_S)
    try:
        stream = await context.find_stream_name_by_subject(subject)
    except NotFoundError:
        return
    start = ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_TIME, opt_start_time=moment)
    async with aclosing(_read(context, stream, subject, start)) as messages:
        async for message in messages:
            yield message.data


async def _read(
    context: JetStreamContext, stream: str, subject: str, start: ConsumerConfig
) -> AsyncGenerator[Msg, None]:
    """Read what is there now, and no more."""
    config = start.evolve(ack_policy=AckPolicy.NONE, inactive_threshold=60, mem_storage=True)
    pull = await context.pull_subscribe(subject, stream=stream, config=config)
    consumer = await pull.consumer_info()
    try:
        left = consumer.num_pending or 0
        while left > 0:
            for message in await pull.fetch(min(left, _BATCH), timeout=_ANSWER_WITHIN_S):
                left -= 1
                yield message
    finally:
        with suppress(NatsError, OSError, TimeoutError):
            await context.delete_consumer(stream, consumer.name)
            await pull.unsubscribe()
