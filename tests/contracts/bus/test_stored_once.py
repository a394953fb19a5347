"""A confirmation that says `duplicate` is believed only where the stream holds the message."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest
from nats.js.api import RawStreamMsg, StreamConfig

from contracts.bus.access import NatsAccess
from contracts.bus.connection import close_nats, connect_nats, publish_confirmed
from contracts.bus.stored_once import publish_stored
from contracts.errors import Unreachable

if TYPE_CHECKING:
    from nats.aio.client import Client

    from contracts.toolkit import NatsServer


def on(server: NatsServer, steps: Callable[[Client, str], Awaitable[None]]) -> None:
    """Run steps with a connection and a stream of its own, whose one subject has the stream's name."""

    async def run() -> None:
        client, name = await connect_nats(NatsAccess(server.url), name="test"), f"T{uuid.uuid4().hex}"
        try:
            await client.jetstream().add_stream(StreamConfig(name=name, subjects=[name]))
            await steps(client, name)
            await client.jetstream().delete_stream(name)
        finally:
            await close_nats(client)

    asyncio.run(asyncio.wait_for(run(), 30))


async def held(client: Client, name: str) -> list[bytes]:
    last = (await client.jetstream().stream_info(name)).state.last_seq
    found = [await client.jetstream().get_msg(name, number) for number in range(1, last + 1)]
    return [each.data or b"" for each in found]


def test_a_repeat_of_the_same_message_is_stored_once(nats_server: NatsServer) -> None:
    async def steps(client: Client, name: str) -> None:
        for _ in range(3):
            assert (await publish_stored(client, name, b"ours", message_id="1")).sequence == 1
        assert await held(client, name) == [b"ours"]

    on(nats_server, steps)


def test_an_id_that_another_message_has_loses_nothing(nats_server: NatsServer) -> None:
    async def steps(client: Client, name: str) -> None:
        await publish_confirmed(client, name, b"another's", message_id="1")

        for _ in range(3):
            assert (await publish_stored(client, name, b"ours", message_id="1")).sequence == 2
        assert await held(client, name) == [b"another's", b"ours"]

    on(nats_server, steps)


def test_a_message_that_was_deleted_since_is_stored_again(nats_server: NatsServer) -> None:
    async def steps(client: Client, name: str) -> None:
        await publish_stored(client, name, b"ours", message_id="1")
        await client.jetstream().delete_msg(name, 1)

        stored = await publish_stored(client, name, b"ours", message_id="1")

        assert (stored.sequence, stored.duplicate) == (2, False)

    on(nats_server, steps)


def test_what_is_taken_for_a_repeat_under_both_ids_is_not_confirmed(nats_server: NatsServer) -> None:
    async def steps(client: Client, name: str) -> None:
        for message_id in ("1", "1:again"):
            await publish_confirmed(client, name, b"another's", message_id=message_id)

        with pytest.raises(Unreachable, match="a repeat of #2, which is another message, or gone"):
            await publish_stored(client, name, b"ours", message_id="1")

    on(nats_server, steps)


def test_who_publishes_may_say_which_message_is_its_own(nats_server: NatsServer) -> None:
    def is_ours(found: RawStreamMsg) -> bool:
        return (found.data or b"").startswith(b"ours")

    async def steps(client: Client, name: str) -> None:
        await publish_stored(client, name, b"ours, first", message_id="1")

        stored = await publish_stored(client, name, b"ours, second", message_id="1", is_ours=is_ours)

        assert (stored.sequence, stored.duplicate) == (1, True)

    on(nats_server, steps)
