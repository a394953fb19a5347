"""Inspect a target before anything is sent: its stream, the subjects that it takes, and other publishers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from nats.js.errors import NotFoundError, ServiceUnavailableError

from contracts.bus.access import NatsAccess
from contracts.bus.connection import close_nats, connect_nats
from contracts.errors import BadInput, Unreachable
from contracts.model.rfc3339 import format_rfc3339, parse_rfc3339
from contracts.replay.events.nats_source import Slice, SliceReader
from contracts.replay.plan.messages import REPLAY
from contracts.replay.target.rails import Target

_RECENT: Final = timedelta(hours=1)


def inspect_target(target: Target, subjects: Collection[str]) -> list[str]:
    """Return why a target looks live to its server, nothing where it does not; a webhook cannot be inspected.

    A stream looks live where the last hour, by the server's clock, holds a message that is no replay. For core
    NATS that is any stream that would keep what is sent.

    Raises:
        BadInput: the expected stream does not take one of the subjects.
        Unreachable: NATS does not answer, or the expected stream does not exist or may not be read.
    """
    if not isinstance(target.access, NatsAccess):
        return []
    return asyncio.run(_look(target.access, target.stream, subjects))


async def _look(access: NatsAccess, expected: str | None, subjects: Collection[str]) -> list[str]:
    client = await connect_nats(access, name="contracts replay")
    try:
        takers = {subject: await _taker(client, subject) for subject in subjects}
        if expected is not None:
            await _stream(client, access, expected)
            for subject, taker in takers.items():
                if taker != expected:
                    told = f"stream {taker} does" if taker else "no stream does"
                    raise BadInput(f"stream {expected} at {access.place} does not take {subject}; {told}")
        streams = {expected} if expected is not None else {taker for taker in takers.values() if taker}
        found = [await _other_publisher(client, access, name) for name in sorted(streams)]
        return [reason for reason in found if reason]
    except (NatsError, OSError, TimeoutError) as error:
        raise Unreachable("NATS", access.place, str(error) or type(error).__name__) from None
    finally:
        await close_nats(client)


async def _taker(client: Client, subject: str) -> str | None:
    try:
        return await client.jetstream().find_stream_name_by_subject(subject)
    except (NotFoundError, ServiceUnavailableError):
        return None


async def _stream(client: Client, access: NatsAccess, name: str) -> dict[str, Any]:
    """Request the raw state of a stream: nats-py drops the server's time."""
    try:
        answer: dict[str, Any] = json.loads((await client.request(f"$JS.API.STREAM.INFO.{name}", timeout=5)).data)
    except NoRespondersError:
        raise Unreachable("JetStream", access.place, "this server, or this account, has none") from None
    if "error" in answer:
        raise Unreachable(f"stream {name}", access.place, str(answer["error"].get("description", answer["error"])))
    return answer


async def _other_publisher(client: Client, access: NatsAccess, name: str) -> str | None:
    stream = await _stream(client, access, name)
    now = parse_rfc3339(stream["ts"]) if "ts" in stream else datetime.now(UTC)
    if not stream["state"]["messages"]:
        return None
    reader = SliceReader(client, access.place, Slice(name, since=now - _RECENT), headers_only=True)
    try:
        while messages := await reader.next():
            for message in messages:
                if REPLAY not in message.headers:
                    at = format_rfc3339(message.time, "seconds")
                    return f"others publish to stream {name}: #{message.sequence} on {message.subject}, {at}"
    finally:
        await reader.close()
    return None
