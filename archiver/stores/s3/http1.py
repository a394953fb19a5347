"""HTTP/1.1 to one host on kept connections, for little CPU a request; the client beneath `direct.py`.

A request goes out in one write, a file in pieces. A small answer is returned whole; a large one is read no faster
than it is used. Every wait is bounded, and a connection on which anything was left undone is not used again.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

from aiohappyeyeballs import AddrInfoType, start_connection

from archiver.stores.s3.http1_parser import AnswerParser, Malformed

_WHOLE_BYTES = 1 << 20  # an answer of at most so many bytes is returned whole
_AHEAD_BYTES = 1 << 19  # bytes of a larger one that are read before they are used
_PIECE_BYTES = 1 << 20  # bytes of a file that are read and sent at once
_NEXT_ADDRESS_AFTER_S = 0.25  # RFC 8305, "Connection Attempt Delay"


class NoAnswer(Exception):
    """There is no whole answer; gives the reason."""


class HungUp(NoAnswer):
    """The other side closed the connection before it answered a single byte."""


@dataclass(slots=True)
class Answer:
    """A final answer. `body` is whole, unless it `is_large`: then it comes from `Connection.pieces`."""

    status: int
    head: bytes
    """The header lines, each ended by a line feed."""
    body: bytes = b""
    is_large: bool = False
    length: int | None = None
    """What Content-Length announces; None without one."""
    ends_with_connection: bool = False
    """Whether only the end of the connection marks the end of the body: a body cut short looks the same."""

    def header(self, name: str) -> str | None:
        """Return the value of the first header of this name, which is in lower case; None where there is none."""
        lines = b"\n" + self.head
        at = lines.lower().find(f"\n{name}:".encode())
        return lines[at + len(name) + 2 :].partition(b"\n")[0].strip().decode("latin-1") if at >= 0 else None


class Connection(asyncio.Protocol):
    """One connection, for one exchange at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._parser = AnswerParser()
        self._is_over = self._is_sent = True
        self._is_large = False
        self._was_heard = False
        self._pieces: deque[bytes] = deque()
        self._bytes = 0  # in the pieces
        self._error: NoAnswer | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._is_clean = True

    @property
    def is_reusable(self) -> bool:
        """Whether another exchange may follow."""
        return self._is_clean and not self._pieces

    async def ask(
        self, head: bytes, body: bytes | File, *, expects_body: bool, within_s: float, silence_s: float
    ) -> Answer:
        """Send a request and return its answer; `expects_body` is False for HEAD, whose answer has none.

        `within_s` bounds the whole, `silence_s` how long nothing of a file may be taken.

        Raises:
            HungUp: the connection was closed, and nothing of an answer had come.
            NoAnswer: the connection broke, the time was over, or what came is not HTTP/1.1.
            OSError: the file cannot be read.
        """
        self._parser = AnswerParser(expects_body=expects_body)
        self._is_over = self._is_large = self._was_heard = False
        self._bytes = 0
        self._is_clean = False  # until the answer is whole
        self._is_sent = isinstance(body, bytes)  # or as good as: every store reads what is small
        timer = self._loop.call_later(within_s, self._fail, f"no answer within {within_s:.1f} s")
        try:
            if isinstance(body, bytes):
                self._transport.write(head + body)
            else:
                self._transport.write(head)
                await self._send(body, silence_s)
            while not (self._is_over or self._is_large):
                await self._something()
        finally:
            timer.cancel()
        parser = self._parser
        answer = Answer(parser.status, parser.head, b"", self._is_large, parser.length, parser.ends_with_connection)
        if not answer.is_large:
            answer.body = b"".join(self._pieces)
            self._pieces.clear()
        return answer

    async def pieces(self, silence_s: float) -> AsyncIterator[bytes]:
        """Return the body of a large answer; `silence_s` bounds each wait for more.

        Raises:
            NoAnswer: the rest does not come.
        """
        while True:
            while self._pieces:
                piece = self._pieces.popleft()
                self._bytes -= len(piece)
                if self._bytes < _AHEAD_BYTES and not self._error:
                    self._transport.resume_reading()
                yield piece
            if self._is_over:
                return
            with self._no_longer_than(silence_s):
                await self._something()

    def begun(self) -> bytes:
        """Return what has come of a large answer and was not read yet."""
        return b"".join(self._pieces)

    def close(self) -> None:
        """Give the connection up."""
        self._is_clean = False
        self._transport.abort()

    async def _send(self, file: File, silence_s: float) -> None:
        left = file.size_bytes
        while left and not (self._is_over or self._error):  # over: refused before all was sent
            piece = await asyncio.to_thread(file.file.read, min(left, _PIECE_BYTES))
            if not piece:
                raise NoAnswer(f"the file ended {left} bytes early")
            left -= len(piece)
            self._transport.write(piece)
            if self._drained is not None:
                with self._no_longer_than(silence_s):
                    await self._drained
        self._is_sent = not left

    @contextmanager
    def _no_longer_than(self, silence_s: float) -> Iterator[None]:
        timer = self._loop.call_later(silence_s, self._fail, f"silence for {silence_s:.1f} s")
        try:
            yield
        finally:
            timer.cancel()

    async def _something(self) -> None:
        if self._error is None:
            self._waiter = self._loop.create_future()
            await self._waiter
        if self._error is not None and not self._is_over:
            raise self._error

    def _wake(self) -> None:
        for future in (self._waiter, self._drained):
            if future is not None and not future.done():
                future.set_result(None)
        self._waiter = self._drained = None

    def _fail(self, why: str) -> None:
        self._error = self._error or NoAnswer(why)
        self.close()
        self._wake()

    def _end(self) -> None:
        self._is_over = True
        self._is_clean = self._parser.is_reusable and self._is_sent
        self._wake()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.BaseProtocol."""
        self._transport = transport  # type: ignore[assignment] # a Transport: it was made for a stream

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._was_heard = True
        if self._is_over:
            self.close()  # nobody asked for this, and it could pass for the next answer
            return
        try:
            body = self._parser.feed(data)
        except Malformed as error:
            self._fail(str(error))
            return
        if body:
            self._pieces.append(body)
            self._bytes += len(body)
        if self._parser.is_over:
            self._end()
        elif self._is_large:
            if self._bytes >= _AHEAD_BYTES:
                self._transport.pause_reading()
            self._wake()
        elif self._bytes > _WHOLE_BYTES or (self._parser.status and (self._parser.length or 0) > _WHOLE_BYTES):
            self._is_large = True
            self._wake()

    def eof_received(self) -> None:
        """See asyncio.Protocol."""
        if self._parser.ends_with_connection and not self._is_over:
            self._parser.end()
            self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.BaseProtocol."""
        kind = NoAnswer if self._was_heard else HungUp
        self._error = self._error or kind(str(exc or "the connection was closed before the answer was whole"))
        self._is_clean = False
        self._wake()

    def pause_writing(self) -> None:
        """See asyncio.BaseProtocol."""
        self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        """See asyncio.BaseProtocol."""
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None


@dataclass(frozen=True, slots=True)
class File:
    """A body that is not held in memory: so many bytes from the start of a seekable file."""

    file: BinaryIO
    size_bytes: int


class Exchange(NamedTuple):
    """A request as it is sent. `within_s` and `silence_s` are those of `Connection.ask`.

    `is_repeatable` means that it is harmless to send it twice; `is_single` that it must not be sent twice, not even
    where the first attempt met a connection that the other side had closed.
    """

    head: bytes
    body: bytes | File
    expects_body: bool
    within_s: float
    silence_s: float
    is_repeatable: bool = True
    is_single: bool = False


@dataclass(slots=True)
class Host:
    """Kept connections to one host: at most `idle` at a time, and none that was not used for `idle_s` seconds."""

    name: str
    port: int
    tls: ssl.SSLContext | None
    connect_timeout_s: float
    idle: int
    idle_s: float = 60.0  # firewalls drop a silent connection without notice, the first of them after minutes
    _free: list[tuple[float, Connection]] = field(default_factory=list)

    async def exchange(self, request: Exchange) -> tuple[Connection, Answer]:
        """Send a request and return its answer with the connection, which is to be given back.

        A kept connection that the other side has closed meanwhile is found out by using it: then the request is sent
        once more, on a new one. What must be sent once only goes on a new one from the start.

        Raises:
            NoAnswer: there is no whole answer.
            OSError: the file cannot be read.
        """
        kept = None if request.is_single else self._kept()
        if kept is not None:
            try:
                return kept, await self._asked(kept, request)
            except HungUp:
                if not request.is_repeatable:
                    raise
            if isinstance(request.body, File):
                request.body.file.seek(0)
        connection = await self.connection()
        return connection, await self._asked(connection, request)

    async def connection(self) -> Connection:
        """Return a new connection.

        Raises:
            NoAnswer: there is none to be had.
        """
        place = f"{self.name}:{self.port}"
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self.connect_timeout_s):
                addresses = await _addresses(self.name, self.port)
                sock = await start_connection(addresses, happy_eyeballs_delay=_NEXT_ADDRESS_AFTER_S)
                try:
                    _, made = await loop.create_connection(
                        Connection, sock=sock, ssl=self.tls, server_hostname=self.name if self.tls else None
                    )
                except BaseException:
                    sock.close()
                    raise
        except TimeoutError:
            raise NoAnswer(f"no connection to {place} within {self.connect_timeout_s:.1f} s") from None
        except (OSError, RuntimeError) as error:  # ssl.SSLError is the first; uvloop raises the second
            raise NoAnswer(f"no connection to {place}: {_why(error)}") from error
        return made

    def give_back(self, connection: Connection) -> None:
        """Keep the connection for another exchange, or close it."""
        if connection.is_reusable and len(self._free) < self.idle:
            self._free.append((asyncio.get_running_loop().time(), connection))
        else:
            connection.close()

    def close(self) -> None:
        """Close all that are kept."""
        while self._free:
            self._free.pop()[1].close()

    def _kept(self) -> Connection | None:
        now_s = asyncio.get_running_loop().time()
        while self._free:
            since_s, connection = self._free.pop()
            if connection.is_reusable and now_s - since_s < self.idle_s:
                return connection
            connection.close()
        return None

    async def _asked(self, connection: Connection, request: Exchange) -> Answer:
        try:
            return await connection.ask(
                request.head,
                request.body,
                expects_body=request.expects_body,
                within_s=request.within_s,
                silence_s=request.silence_s,
            )
        except BaseException:
            connection.close()
            raise


async def _addresses(name: str, port: int) -> Sequence[AddrInfoType]:
    return await asyncio.get_running_loop().getaddrinfo(name, port, type=socket.SOCK_STREAM)


def _why(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, ssl.SSLError) and error.reason in {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"}:
        return f"what answers does not speak TLS ({error.reason}); its endpoint begins with http://"
    return getattr(error, "strerror", None) or str(error)
