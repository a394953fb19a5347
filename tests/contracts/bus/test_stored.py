"""Reading a stream takes nothing from it, whatever its retention, and misses nothing of what it holds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig, RetentionPolicy, StreamConfig

from contracts.bus.access import NatsAccess
from contracts.bus.connection import close_nats, connect_nats
from contracts.bus.stored import Stored, read_stored
from tests.support.bus import Bus
from tests.support.servers import require_binary

RETENTIONS = [*RetentionPolicy]
COUNT = 300


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    require_binary(Bus.binary)
    home = tmp_path_factory.mktemp("streams")
    with Bus(home, jetstream={"store_dir": str(home / "jetstream")}) as server:
        yield server


@asynccontextmanager
async def stream_of(bus: Bus, retention: RetentionPolicy, **settings: Any) -> AsyncIterator[Client]:
    """A stream S of `s.0` to `s.9`, and a durable consumer of all of it that has taken nothing yet."""
    client = await connect_nats(NatsAccess(bus.url), name="test")
    context = client.jetstream()
    try:
        await context.add_stream(StreamConfig(name="S", subjects=["s.*"], retention=retention, **settings))
        await context.add_consumer("S", ConsumerConfig(durable_name="worker", ack_policy=AckPolicy.EXPLICIT))
        yield client
    finally:
        await context.delete_stream("S")
        await close_nats(client)


async def fill(client: Client, count: int = COUNT) -> list[datetime]:
    """Publish `count` messages, 1 to `count`, of which some are deleted; return when each began to be published."""
    context, at = client.jetstream(), []
    for number in range(1, count + 1):
        at.append(datetime.now(UTC))
        await context.publish(f"s.{number % 10}", b"%d" % number, headers={"number": str(number)})
    for number in GONE:
        await context.delete_msg("S", number)
    return at


GONE = {1, 2, 50, *range(100, 240), 298, COUNT}


async def read(client: Client, **how: Any) -> list[Stored]:
    async with aclosing(read_stored(client, "S", **how)) as batches:
        return [each async for batch in batches for each in batch]


def run(steps: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(steps())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "settings",
    [{"allow_direct": True}, {"allow_direct": False}, {"max_consumers": 1}],
    ids=["direct get", "no direct get", "full"],
)
@pytest.mark.parametrize("retention", RETENTIONS)
def test_all_that_a_stream_holds_is_read_in_order_and_stays_there(
    retention: RetentionPolicy,
    settings: dict[str, bool],
    bus: Bus,
) -> None:
    async def steps() -> None:
        async with stream_of(bus, retention, **settings) as client:
            at = await fill(client)
            held = [number for number in range(1, COUNT + 1) if number not in GONE]

            everything = await read(client)
            assert [each.sequence for each in everything] == held
            assert [each.data for each in everything] == [b"%d" % number for number in held]
            assert [each.headers["number"] for each in everything] == list(map(str, held))
            assert [each.subject for each in everything] == [f"s.{number % 10}" for number in held]
            assert all(0 <= (each.time - at[each.sequence - 1]).total_seconds() < 60 for each in everything)

            assert [each.sequence for each in await read(client, subject="s.7")] == [n for n in held if n % 10 == 7]
            assert [each.sequence for each in await read(client, first=99, last=245)] == [99, *range(240, 246)]
            for number in (1, 3, 99, 150, 240, 299, 300):
                found = [each.sequence for each in await read(client, since=at[number - 1])]
                assert found == [n for n in held if n >= number]
            assert await read(client, since=datetime.now(UTC) + timedelta(seconds=1)) == []
            assert await read(client, subject="other") == []
            assert await read(client, first=COUNT + 1) == []

            context = client.jetstream()
            assert (await context.stream_info("S")).state.messages == len(held)
            consumers = await context.consumers_info("S")
            assert [(each.name, each.num_pending) for each in consumers] == [("worker", len(held))]

    run(steps)


@pytest.mark.parametrize("retention", RETENTIONS)
def test_an_empty_stream_and_one_whose_messages_all_went_hold_nothing(retention: RetentionPolicy, bus: Bus) -> None:
    async def steps() -> None:
        async with stream_of(bus, retention) as client:
            assert await read(client) == []
            await client.jetstream().publish("s.1", b"x")
            await client.jetstream().purge_stream("S")
            assert await read(client) == []

    run(steps)


def test_what_comes_meanwhile_is_not_read_and_what_goes_meanwhile_is_no_error(bus: Bus) -> None:
    async def steps() -> None:
        async with stream_of(bus, RetentionPolicy.WORK_QUEUE) as client:
            context = client.jetstream()
            for number in range(200):
                await context.publish("s.1", b"%d" % number)
            found: list[int] = []
            async with aclosing(read_stored(client, "S")) as batches:
                async for batch in batches:
                    found += [each.sequence for each in batch]
                    await context.publish("s.1", b"new")
                    pull = await context.pull_subscribe_bind("worker", "S")
                    for message in await pull.fetch(100):
                        await message.ack_sync()
        assert found[:64] == list(range(1, 65))
        assert found == sorted(set(found))
        assert max(found) <= 200

    run(steps)


def test_ten_thousand_messages_of_a_work_queue_are_read(bus: Bus) -> None:
    async def steps() -> None:
        async with stream_of(bus, RetentionPolicy.WORK_QUEUE) as client:
            context = client.jetstream()
            for start in range(0, 10_000, 500):
                await asyncio.gather(*(context.publish("s.1", b"x" * 800) for _ in range(start, start + 500)))
            began = time.monotonic()
            assert len(await read(client)) == 10_000
            print(f"10,000 messages by sequence: {time.monotonic() - began:.1f} s")

    run(steps)
