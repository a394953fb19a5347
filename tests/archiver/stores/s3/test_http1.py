"""The connections of the data path: kept where that is safe, given up where it is not, bounded in time and memory."""

from __future__ import annotations

import asyncio
import io
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import uvloop

from archiver.stores.s3.http1 import Connection, File, Host, NoAnswer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

HEAD = b"PUT /archive/a HTTP/1.1\r\nhost: here\r\ncontent-length: %d\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
MIB = 1 << 20


class Peer:
    """A server: `answers` is called for each request's head, and given the streams."""

    def __init__(self, answers: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> None:
        self._answers = answers
        self.connections = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await self._answers(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def saying(*pieces: bytes, hang_up: bool = False) -> Peer:
    async def answers(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.writelines(pieces)
        await writer.drain()
        if hang_up:
            raise ConnectionResetError

    return Peer(answers)


@asynccontextmanager
async def host(peer: Peer) -> AsyncIterator[Host]:
    server = await asyncio.start_server(peer, "127.0.0.1", 0)
    opened = Host("127.0.0.1", server.sockets[0].getsockname()[1], None, connect_timeout_s=5, idle=4)
    try:
        yield opened
    finally:
        opened.close()
        server.close()
        await server.wait_closed()


async def ask(
    connection: Connection, body: bytes | File = b"", *, within_s: float = 5, expects_body: bool = True
) -> tuple[int, bytes]:
    size = body.size_bytes if isinstance(body, File) else len(body)
    answer = await connection.ask(HEAD % size, body, expects_body=expects_body, within_s=within_s, silence_s=within_s)
    return answer.status, answer.body


async def twice(opened: Host, *, expects_body: bool = True) -> list[tuple[int, bytes]]:
    told = []
    for _ in range(2):
        connection = await opened.connection()
        told.append(await ask(connection, expects_body=expects_body))
        opened.give_back(connection)
    return told


@pytest.mark.parametrize(
    ("peer", "expects_body", "connections"),
    [
        (saying(OK), True, 1),
        (saying(b"HTTP/1.1 100 Continue\r\n\r\n", OK), True, 1),
        (saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"), True, 1),
        (saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"), True, 2),
        (saying(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"), True, 2),
        (saying(OK, b"and more"), True, 2),
        (saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), False, 1),
        (saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), False, 2),
    ],
    ids=[
        "kept",
        "after an interim answer",
        "in chunks",
        "to be closed",
        "of HTTP/1.0",
        "with more than was asked for",
        "of a HEAD",
        "of a HEAD, with a body all the same",
    ],
)
def test_a_connection_is_used_again_only_where_nothing_was_left_on_it(
    peer: Peer, *, expects_body: bool, connections: int
) -> None:
    async def steps() -> list[tuple[int, bytes]]:
        async with host(peer) as opened:
            return await twice(opened, expects_body=expects_body)

    assert asyncio.run(steps()) == [(200, b"ok" if expects_body else b"")] * 2
    assert peer.connections == connections


@pytest.mark.parametrize(
    ("peer", "why"),
    [
        (saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", hang_up=True), "closed before the answer was whole"),
        (saying(b"HTTP/1.1 200 OK\r\n\r\nof no length", hang_up=True), "closed before the answer was whole"),
        (saying(hang_up=True), "closed before the answer was whole"),
        (saying(b"SSH-2.0-OpenSSH_9.7\r\n"), "not HTTP/1.1"),
        (saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"), "not HTTP/1.1"),
        (saying(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * (2 * MIB)), "tells no length"),
        (saying(), "no answer within 0.2 s"),
        (saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"), "no answer within 0.2 s"),
    ],
    ids=["cut short", "until the end", "nothing", "no HTTP", "two lengths", "endless", "silent", "falls silent"],
)
def test_an_answer_that_is_not_whole_is_no_answer(peer: Peer, why: str) -> None:
    async def steps() -> Connection:
        async with host(peer) as opened:
            connection = await opened.connection()
            with pytest.raises(NoAnswer, match=why):
                await ask(connection, within_s=0.2)
            return connection

    assert not asyncio.run(steps()).is_reusable


def test_a_connection_that_was_hung_up_on_while_it_was_kept_is_not_used_again() -> None:
    async def steps() -> bool:
        async with host(saying(OK, hang_up=True)) as opened:
            connection = await opened.connection()
            await ask(connection)
            opened.give_back(connection)
            async with asyncio.timeout(5):
                while connection.is_reusable:  # noqa: ASYNC110 - the loop tells it to the connection alone
                    await asyncio.sleep(0)
            return await opened.connection() is connection

    assert asyncio.run(steps()) is False


def test_a_connection_whose_answer_nobody_waits_for_any_more_is_not_used_again() -> None:
    async def steps() -> bool:
        asked = asyncio.Event()

        async def answers(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
            asked.set()

        async with host(Peer(answers)) as opened:
            connection = await opened.connection()
            asking = asyncio.create_task(ask(connection))
            await asked.wait()
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            opened.give_back(connection)
            return await opened.connection() is connection

    assert asyncio.run(steps()) is False


def test_a_file_that_is_refused_at_its_beginning_is_not_sent_to_its_end() -> None:
    refusal = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n"
    file = io.BytesIO(bytes(64 * MIB))

    async def steps() -> tuple[tuple[int, bytes], bool]:
        async with host(saying(refusal)) as opened:
            connection = await opened.connection()
            return await ask(connection, File(file, 64 * MIB)), connection.is_reusable

    assert asyncio.run(steps()) == ((413, b""), False)
    assert file.tell() < 32 * MIB


def test_a_file_that_is_shorter_than_was_said_is_told_and_leaves_no_half_request_behind() -> None:
    async def steps() -> None:
        async with host(saying()) as opened:
            connection = await opened.connection()
            with pytest.raises(NoAnswer, match="the file ended 5 bytes early"):
                await ask(connection, File(io.BytesIO(b"short"), 10))
            opened.give_back(connection)
            assert await opened.connection() is not connection

    asyncio.run(steps())


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_what_is_large_is_read_no_faster_than_it_is_used(loop: str) -> None:
    sent = 0

    async def answers(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (64 * MIB))
        for _ in range(64):
            writer.write(bytes(MIB))
            await writer.drain()
            sent += MIB

    peer = Peer(answers)

    async def read(opened: Host, *, slowly: bool) -> int:
        connection = await opened.connection()
        await connection.ask(HEAD % 0, b"", expects_body=True, within_s=5, silence_s=5)
        pieces, size = connection.pieces(5), 0
        async for piece in pieces:
            before, size = -1, size + len(piece)
            while slowly and sent != before:  # until the peer can send no more
                before = sent
                for _ in range(100):
                    await asyncio.sleep(0)
            assert not slowly or sent - size < 16 * MIB, "held back"
            slowly = slowly and size < MIB
        opened.give_back(connection)
        return size

    async def steps() -> list[int]:
        async with host(peer) as opened:
            return [await read(opened, slowly=True), await read(opened, slowly=False)]

    run = uvloop.run if loop == "uvloop" else asyncio.run
    assert run(steps()) == [64 * MIB] * 2
    assert peer.connections == 1, "and then used again"


def test_no_more_connections_are_kept_than_were_allowed() -> None:
    async def steps() -> int:
        async with host(saying(OK)) as opened:
            many = [await opened.connection() for _ in range(9)]
            for connection in many:
                await ask(connection)
                opened.give_back(connection)
            return sum(connection.is_reusable for connection in many)

    assert asyncio.run(steps()) == 4


@pytest.mark.parametrize(("idle_s", "connections"), [(60.0, 1), (0.0, 2)])
def test_a_connection_that_was_silent_for_long_is_not_trusted(idle_s: float, connections: int) -> None:
    peer = saying(OK)

    async def steps() -> None:
        async with host(peer) as opened:
            opened.idle_s = idle_s
            await twice(opened)

    asyncio.run(steps())
    assert peer.connections == connections


def test_a_host_that_is_not_there_is_told_by_its_name() -> None:
    async def steps() -> None:
        await Host("127.0.0.1", 1, None, connect_timeout_s=5, idle=4).connection()

    with pytest.raises(NoAnswer, match=r"no connection to 127\.0\.0\.1:1: refused"):
        asyncio.run(steps())
