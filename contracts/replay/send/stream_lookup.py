"""What streams hold that a run wants to know: its own messages, and what was announced of its events."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import datetime
from typing import Final

from nats.aio.client import Client
from nats.js.api import Header
from nats.js.errors import NotFoundError

from contracts.bus.stored import Stored, read_stored
from contracts.replay.plan.messages import REPLAY
from contracts.replay.send.sender import Recalled

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
    last = (await client.jetstream(timeout=_ANSWER_WITHIN_S).stream_info(stream)).state.last_seq
    if last <= after:
        return Recalled(may_go_again=last == after)  # a stream that was made anew counts from 1
    found: dict[int, int] = {}
    seen = 0
    async with aclosing(read_stored(client, stream, first=after + 1, last=last, headers_only=True)) as batches:
        async for batch in batches:
            seen += len(batch)
            for message in batch:
                number = number_in(message, run_id)
                if number is not None and is_wanted(number):
                    found[number] = message.sequence
    return Recalled(may_go_again=seen == last - after, found=found)


def number_in(message: Stored, run_id: str) -> int | None:
    """Return which message of a run this is, None where it is not of that run."""
    name, _, number = message.headers.get(Header.MSG_ID, "").rpartition(":")
    is_ours = name == run_id == message.headers.get(REPLAY) and number.isdecimal()
    return int(number) if is_ours else None


async def published_since(client: Client, subject: str, moment: datetime) -> AsyncGenerator[bytes, None]:
    """Read what was published on a subject since then, from the stream that keeps it; nothing where none does.

    Raises:
        nats.errors.Error, TimeoutError: it cannot be read, or the connection has gone.
    """
    try:
        stream = await client.jetstream(timeout=_ANSWER_WITHIN_S).find_stream_name_by_subject(subject)
    except NotFoundError:
        return
    async with aclosing(read_stored(client, stream, subject=subject, since=moment)) as batches:
        async for batch in batches:
            for message in batch:
                yield message.data
