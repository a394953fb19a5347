"""Questions on NATS, many at once: each gets its own answer, or is told in time that there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import NoRespondersError

from contracts.toolkit import NatsAccess, Unreachable, close_nats, connect_nats, listen, publish_confirmed

T = TypeVar("T")


def asked(url: str, steps: Callable[[Client], Awaitable[T]]) -> T:
    async def connected() -> T:
        client = await connect_nats(NatsAccess(url), name="test")
        try:
            return await steps(client)
        finally:
            await close_nats(client)

    return asyncio.run(connected())


def test_each_of_many_questions_gets_its_own_answer(nats_url: str) -> None:
    async def steps(client: Client) -> list[bytes]:
        waiting: list[Msg] = []

        async def answer_all() -> None:
            for question in reversed(waiting):
                await client.publish(question.reply, question.data)

        def take(question: Msg) -> None:
            waiting.append(question)
            if len(waiting) == 50:
                answering.append(asyncio.ensure_future(answer_all()))

        answering: list[asyncio.Future[None]] = []
        await listen(client, "many", take)
        answers = await asyncio.gather(*(client.request("many", b"%d" % number, timeout=5) for number in range(50)))
        await asyncio.gather(*answering)
        return [answer.data for answer in answers]

    assert asked(nats_url, steps) == [b"%d" % number for number in range(50)]


def test_an_unanswered_request_times_out_and_a_late_answer_is_dropped(nats_url: str) -> None:
    async def steps(client: Client) -> bytes:
        questions: asyncio.Queue[Msg] = asyncio.Queue()
        await listen(client, "late", questions.put_nowait)
        with pytest.raises(TimeoutError):
            await client.request("late", b"first", timeout=0.05)
        second = asyncio.ensure_future(client.request("late", b"second", timeout=5))
        await client.publish((await questions.get()).reply, b"too late")
        await client.publish((await questions.get()).reply, b"in time")
        return (await second).data

    assert asked(nats_url, steps) == b"in time"


def test_where_nobody_listens_that_is_told_at_once(nats_url: str) -> None:
    async def steps(client: Client) -> None:
        with pytest.raises(NoRespondersError):
            await client.request("nobody", b"", timeout=30)

    asked(nats_url, steps)


@pytest.mark.parametrize("answer", [b"", b"thanks", b"5", b"[]", b'{"stream":"S"}', b"\xff"])
def test_an_answer_that_is_no_confirmation_of_a_stream_confirms_nothing(nats_url: str, answer: bytes) -> None:
    async def steps(client: Client) -> None:
        async def reply(question: Msg) -> None:
            await question.respond(answer)

        await client.subscribe("taken", cb=reply)
        await publish_confirmed(client, "taken", b"{}", message_id="1")

    with pytest.raises(Unreachable, match="who else replies to this subject"):
        asked(nats_url, steps)
