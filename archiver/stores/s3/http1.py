"""HTTP/1.1 to one host on kept connections, for little CPU a request: what `direct_s3.py` speaks.

A request goes out in one write, a file in pieces. Its answer is taken whole where it is small, and otherwise read no
faster than it is used. Every wait is bounded, nothing is tried twice, and a connection on which anything was left
undone is not used again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from httptools import HttpParserError, HttpResponseParser

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Iterator
    from typing import BinaryIO

_WHOLE_BYTES = 1 << 20  # an answer of up to so many bytes is taken whole
_AHEAD_BYTES = 1 << 19  # of a larger one, what is read before it is asked for
_READ = {b"content-length", b"x-amz-version-id"}
_PIECE_BYTES = 1 << 20  # of a file, what is read and sent at once


class NoAnswer(Exception):
    """There is no whole answer; says why."""


@dataclass(slots=True)
class Answer:
    """What came back: `headers` has those that somebody reads; `body` is the whole of it, unless it `is_large`."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    is_large: bool = False
    """Whether the body is still to come: from `Connection.pieces`."""

    @property
    def length(self) -> int | None:
        """What the answer says of its body, in bytes."""
        told = self.headers.get("content-length", "")
        return int(told) if told.isascii() and told.isdigit() else None


class Connection(asyncio.Protocol):
    """One connection, for one exchange at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._parser: HttpResponseParser
        self._answer = Answer()
        self._expects_body = False
        self._is_over = self._is_sent = True
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
            NoAnswer: the connection broke, the time was over, or what came is not HTTP/1.1.
            OSError: the file cannot be read.
        """
        self._parser, self._answer = HttpResponseParser(self), Answer()
        self._expects_body, self._is_over = expects_body, False
        self._bytes = 0
        self._is_clean = False  # until the answer is whole
        self._is_sent = isinstance(body, bytes)  # or as good as: what is small is read by every store
        timer = self._loop.call_later(within_s, self._fail, f"no answer within {within_s:.1f} s")
        try:
            if isinstance(body, bytes):
                self._transport.write(head + body)
            else:
                self._transport.write(head)
                await self._send(body, silence_s)
            while not (self._is_over or self._answer.is_large):
                await self._something()
        finally:
            timer.cancel()
        if not self._answer.is_large:
            self._answer.body = b"".join(self._pieces)
            self._pieces.clear()
        return self._answer

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
        self._is_clean = self._parser.should_keep_alive() and self._is_sent
        self._wake()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.BaseProtocol."""
        self._transport = transport  # type: ignore[assignment] # a Transport: it was made for a stream

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.BaseProtocol."""
        self._error = self._error or NoAnswer(str(exc or "the connection was closed before the answer was whole"))
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

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self._is_over:
            self.close()  # nobody asked for this, and the next answer could not be told from it
            return
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            self._fail(f"what came is not HTTP/1.1: {error}")

    def on_message_begin(self) -> None:
        """See httptools."""
        if self._is_over:
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        """See httptools."""
        name = name.lower()
        if name in _READ:
            self._answer.headers[name.decode()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """See httptools."""
        self._answer.status = self._parser.get_status_code()
        if self._answer.status < 200:  # 100 Continue and its like, which nobody asked for
            return
        if not self._expects_body:
            self._end()
        elif (self._answer.length or 0) > _WHOLE_BYTES:
            self._answer.is_large = True
            self._wake()

    def on_body(self, body: bytes) -> None:
        """See httptools."""
        if self._is_over:
            self.close()
            return
        self._pieces.append(body)
        self._bytes += len(body)
        if self._answer.is_large:
            if self._bytes >= _AHEAD_BYTES:
                self._transport.pause_reading()
            self._wake()
        elif self._bytes > _WHOLE_BYTES:
            self._fail("the answer is long, and tells no length")

    def on_message_complete(self) -> None:
        """See httptools."""
        if self._answer.status < 200:
            self._answer = Answer()
        elif not self._is_over:
            self._end()


@dataclass(frozen=True, slots=True)
class File:
    """A body that is not held in memory: so many bytes from where the file stands."""

    file: BinaryIO
    size_bytes: int


@dataclass(slots=True)
class Host:
    """Kept connections to one host: at most `idle` at a time, and none that was not used for `idle_s` seconds."""

    name: str
    port: int
    tls: ssl.SSLContext | None
    connect_timeout_s: float
    idle: int
    idle_s: float = 60.0  # firewalls forget a silent connection, the first of them after minutes, and tell nobody
    _free: list[tuple[float, Connection]] = field(default_factory=list)

    async def connection(self) -> Connection:
        """Return a connection for one exchange; give it back.

        Raises:
            NoAnswer: there is none to be had.
        """
        loop = asyncio.get_running_loop()
        while self._free:
            since_s, connection = self._free.pop()
            if connection.is_reusable and loop.time() - since_s < self.idle_s:
                return connection
            connection.close()
        try:
            async with asyncio.timeout(self.connect_timeout_s):
                _, made = await loop.create_connection(Connection, self.name, self.port, ssl=self.tls)
        except TimeoutError:
            raise NoAnswer(f"no connection to {self.name}:{self.port} within {self.connect_timeout_s:.1f} s") from None
        except OSError as error:  # ssl.SSLError is one
            why = "refused" if isinstance(error, ConnectionRefusedError) else error.strerror or error
            raise NoAnswer(f"no connection to {self.name}:{self.port}: {why}") from error
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
