"""Which messages of a run a stream holds: asked of the stream itself, since its memory of message ids is short."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, Header

from contracts.replay.plan import REPLAY
from contracts.replay.sending import Recalled

_BATCH: Final = 500
_ANSWER_WITHIN_S: Final = 5.0


async def look_up(
    client: Client, stream: str, run_id: str, *, after: int, is_wanted: Callable[[int], bool]
) -> Recalled:
    """Read the headers of all that a stream took after a sequence, and pick out the wanted numbers of a run.

    What is not found may go again only if the stream still has all that it took since: a message that was removed
    since then may have been one of them.

    Raises:
        nats.errors.Error, TimeoutError: the stream cannot be read, or the connection has gone.
    """
    context = client.jetstream(timeout=_ANSWER_WITHIN_S)
    last = (await context.stream_info(stream)).state.last_seq
    found: dict[int, int] = {}
    if last <= after:
        return Recalled(may_go_again=last == after)  # a stream that was made anew counts from 1
    config = ConsumerConfig(
        ack_policy=AckPolicy.NONE,
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=after + 1,
        headers_only=True,
        inactive_threshold=60,
        mem_storage=True,
    )
    pull = await context.pull_subscribe(">", stream=stream, config=config)
    consumer = await pull.consumer_info()
    try:
        seen, sequence, pending = 0, after, consumer.num_pending
        while pending and sequence < last:
            for message in await pull.fetch(_BATCH, timeout=_ANSWER_WITHIN_S):
                told = message.metadata
                sequence, pending = told.sequence.stream, told.num_pending
                if sequence > last:
                    break
                seen += 1
                headers = message.headers or {}
                name, _, number = headers.get(Header.MSG_ID, "").rpartition(":")
                if name == run_id == headers.get(REPLAY) and number.isdecimal() and is_wanted(int(number)):
                    found[int(number)] = sequence
        return Recalled(may_go_again=seen == last - after, found=found)
    finally:
        with suppress(NatsError, OSError, TimeoutError):
            await context.delete_consumer(stream, consumer.name)
            await pull.unsubscribe()
