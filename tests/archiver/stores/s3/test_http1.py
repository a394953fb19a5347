"""The connections of the data path: kept where that is safe, given up where it is not, bounded in time and memory."""

from __future__ import annotations

import asyncio
import io
import socket
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import uvloop

from archiver.stores.s3.http1 import Connection, Exchange, File, Host, HungUp, NoAnswer

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
        self.open: set[asyncio.StreamWriter] = set()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open.add(writer)
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await self._answers(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open.discard(writer)
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
        for writer in tuple(peer.open):  # from Python 3.12 on, a server waits for its connections to end
            writer.transport.abort()
        await server.wait_closed()


async def ask(
    connection: Connection, body: bytes | File = b"", *, within_s: float = 5, expects_body: bool = True
) -> tuple[int, bytes]:
    size = body.size_bytes if isinstance(body, File) else len(body)
    answer = await connection.ask(HEAD % size, body, expects_body=expects_body, within_s=within_s, silence_s=within_s)
    return answer.status, answer.body


def request(body: bytes | File = b"", *, expects_body: bool = True, **more: bool) -> Exchange:
    size = body.size_bytes if isinstance(body, File) else len(body)
    return Exchange(HEAD % size, body, expects_body, within_s=5, silence_s=5, **more)


async def twice(opened: Host, **about: bool) -> list[tuple[int, bytes]]:
    got = []
    for _ in range(2):
        connection, answer = await opened.exchange(request(**about))
        got.append((answer.status, answer.body))
        opened.give_back(connection)
    return got


async def next_connection(opened: Host) -> Connection:
    connection, _ = await opened.exchange(request())
    return connection


@pytest.mark.parametrize(
    ("peer", "expects_body", "connections"),
    [
        (saying(OK), True, 1),
        (saying(b"HTTP/1.1 100 Continue\r\n\r\n", OK), True, 1),
        (saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"), True, 1),
        (saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"), True, 2),
        (saying(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"), True, 2),
        (saying(b"HTTP/1.0 200 OK\r\n\r\nok", hang_up=True), True, 2),
        (saying(b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", OK), True, 1),
        (
            saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"2;a=b\r\n", b"ok\r\n0\r\nA: b\r\n\r\n"),
            True,
            1,
        ),
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
        "to the end of the connection",
        "after two interim answers",
        "in chunks with extensions and trailers",
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
        (saying(b"HTTP/1.1 200 OK\r\n", hang_up=True), "closed before the answer was whole"),
        (
            saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n", hang_up=True),
            "closed before",
        ),
        (saying(hang_up=True), "closed before the answer was whole"),
        (saying(b"SSH-2.0-OpenSSH_9.7\r\n\r\n"), "does not speak HTTP/1.1: it begins with b'SSH-2.0"),
        (saying(b"\x15\x03\x01\x00\x02\x02\x46"), "the endpoint has to begin with https://"),
        (saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"), "expected one length"),
        (saying(), "no answer within 0.2 s"),
        (saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"), "no answer within 0.2 s"),
    ],
    ids=[
        "cut short",
        "half a head",
        "no last chunk",
        "nothing",
        "no HTTP",
        "TLS",
        "two lengths",
        "silent",
        "falls silent",
    ],
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
            connection = await next_connection(opened)
            opened.give_back(connection)
            async with asyncio.timeout(5):
                while connection.is_reusable:  # noqa: ASYNC110 - the loop tells it to the connection alone
                    await asyncio.sleep(0)
            return await next_connection(opened) is connection

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
            return connection.is_reusable

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


def test_a_file_shorter_than_announced_is_reported_and_leaves_no_half_request() -> None:
    async def steps() -> None:
        async with host(saying()) as opened:
            connection = await opened.connection()
            with pytest.raises(NoAnswer, match="the file ended 5 bytes early"):
                await ask(connection, File(io.BytesIO(b"short"), 10))
            assert not connection.is_reusable

    asyncio.run(steps())


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("framing", ["length", "chunks", "end"])
def test_what_is_large_is_read_no_faster_than_it_is_used(loop: str, framing: str) -> None:
    sent = 0
    header = {"length": b"Content-Length: %d" % (64 * MIB), "chunks": b"Transfer-Encoding: chunked", "end": b"X-A: b"}
    around = (b"%x\r\n" % MIB, b"\r\n") if framing == "chunks" else (b"", b"")

    async def answers(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % header[framing])
        for _ in range(64):
            writer.write(b"".join((around[0], bytes(MIB), around[1])))  # from 3.12 on, writelines pauses nobody
            await writer.drain()
            sent += MIB
        if framing == "chunks":
            writer.write(b"0\r\n\r\n")
        if framing == "end":
            raise ConnectionResetError

    peer = Peer(answers)

    async def read(opened: Host, *, slowly: bool) -> int:
        connection, answer = await opened.exchange(request())
        assert answer.is_large
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
    assert peer.connections == (2 if framing == "end" else 1), "and then used again"


def test_no_more_connections_are_kept_than_were_allowed() -> None:
    async def steps() -> int:
        async with host(saying(OK)) as opened:
            many = [await next_connection(opened) for _ in range(9)]
            for connection in many:
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


class Tired(Peer):
    """Answers the first request of its first connection, and closes it at the second, unread."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.requests: list[int] = []

    async def _answer(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.requests == [1]:
            self.requests.append(1)
            raise ConnectionResetError
        self.requests.append(self.connections)
        writer.write(OK)


@pytest.mark.parametrize(
    ("about", "requests"),
    [({}, [1, 1, 2]), ({"is_repeatable": False}, [1, 1]), ({"is_single": True}, [1, 2])],
    ids=["repeatable", "not repeatable", "once only"],
)
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_repeatable_request_survives_a_kept_connection_that_was_closed(
    loop: str, about: dict[str, bool], requests: list[int]
) -> None:
    peer = Tired()

    async def steps() -> list[tuple[int, bytes]]:
        async with host(peer) as opened:
            opened.give_back(await next_connection(opened))
            if about.get("is_single"):
                peer.requests[0] = 0  # nothing goes over the kept one, so nothing tires it
            connection, answer = await opened.exchange(request(**about))
            opened.give_back(connection)
            return [(answer.status, answer.body)]

    run = uvloop.run if loop == "uvloop" else asyncio.run
    if about.get("is_repeatable", True):
        assert run(steps()) == [(200, b"ok")]
    else:
        with pytest.raises(HungUp):
            run(steps())
    assert [each or 1 for each in peer.requests] == requests


def test_a_file_that_met_a_closed_connection_is_sent_again_from_its_start() -> None:
    received: list[bytes] = []

    async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.readexactly(4))
        if len(received) == 2:
            raise ConnectionResetError
        writer.write(OK)

    async def steps() -> None:
        async with host(Peer(answers)) as opened:
            for _ in range(2):
                connection, _ = await opened.exchange(request(File(io.BytesIO(b"body"), 4)))
                opened.give_back(connection)

    asyncio.run(steps())

    assert received == [b"body"] * 3


def test_an_answer_that_breaks_off_on_a_kept_connection_is_not_asked_for_again() -> None:
    requests = 0

    async def answers(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        requests += 1
        writer.write(OK if requests == 1 else OK[:-1])
        if requests > 1:
            raise ConnectionResetError

    async def steps() -> None:
        async with host(Peer(answers)) as opened:
            await twice(opened)

    with pytest.raises(NoAnswer, match="closed before the answer was whole"):
        asyncio.run(steps())
    assert requests == 2


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("first", ["refuses", "is silent"])
def test_a_name_whose_first_address_is_dead_is_reached_at_its_second(
    monkeypatch: pytest.MonkeyPatch, loop: str, first: str
) -> None:
    silent = socket.socket()
    silent.bind(("127.0.0.1", 0))
    if first == "is silent":
        silent.listen(0)
    kept = [socket.socket() for _ in range(4)]  # fill the backlog, so that no more connections are taken

    async def steps() -> float:
        running = asyncio.get_running_loop()
        async with host(saying(OK)) as opened:
            found = [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", address)
                for address in (silent.getsockname(), ("127.0.0.1", opened.port))
            ]

            async def two_addresses(*_: object, **__: object) -> list[object]:
                return [*found]

            opened.name = "two.example"
            monkeypatch.setattr("archiver.stores.s3.http1._addresses", two_addresses)
            began = running.time()
            assert await twice(opened) == [(200, b"ok")] * 2
            return running.time() - began

    for each in kept:
        each.setblocking(False)
        each.connect_ex(silent.getsockname())
    try:
        run = uvloop.run if loop == "uvloop" else asyncio.run
        assert run(steps()) < 5, "and not after the time for a connection is over"
    finally:
        for each in (silent, *kept):
            each.close()


def test_a_host_that_is_not_there_is_named() -> None:
    async def steps() -> None:
        await Host("127.0.0.1", 1, None, connect_timeout_s=5, idle=4).connection()

    with pytest.raises(NoAnswer, match=r"no connection to 127\.0\.0\.1:1: refused"):
        asyncio.run(steps())


def test_tls_to_a_port_that_speaks_none_says_so() -> None:
    async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async def steps() -> None:
        async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            await Host("127.0.0.1", port, ssl.create_default_context(), connect_timeout_s=5, idle=4).connection()

    with pytest.raises(NoAnswer, match="does not speak TLS"):
        asyncio.run(steps())
