"""The HTTP link that can be made to fail: whole requests and answers, over connections that are kept.

A request is forwarded as its client wrote it, the signed Host header included: SeaweedFS checks the signature
over whatever name it was called by. Only `Expect: 100-continue` is answered here, and chunked bodies get a length.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from tests.faults.proxy import Fault, Proxy, Stream

Headers = tuple[tuple[str, str], ...]


class HangUp(ConnectionError):
    """The client's connection is to be reset."""


@dataclass(frozen=True)
class Message:
    """A request or an answer. `body` is bare: chunks are put together."""

    start: str
    headers: Headers
    body: bytes = b""

    @property
    def status(self) -> int:
        """Of an answer."""
        return int(self.start.split()[1])

    @property
    def method(self) -> str:
        """Of a request."""
        return self.start.split()[0]

    @property
    def target(self) -> str:
        """Path and query of a request."""
        return self.start.split()[1]

    @property
    def head(self) -> bytes:
        lines = [self.start, *(f"{name}: {value}" for name, value in self.headers), "", ""]
        return "\r\n".join(lines).encode("latin-1")

    def header(self, name: str) -> str | None:
        return next((value for each, value in self.headers if each.lower() == name.lower()), None)

    def without(self, *names: str) -> Message:
        """Leave headers out: those of these names, or that begin so where a name ends with '*'."""
        wanted = [name.lower() for name in names]

        def is_named(header: str) -> bool:
            return any(header == each or (each[-1] == "*" and header.startswith(each[:-1])) for each in wanted)

        return replace(self, headers=tuple(each for each in self.headers if not is_named(each[0].lower())))

    def with_body(self, body: bytes) -> Message:
        """Another body, and its length."""
        bare = self.without("Content-Length", "Transfer-Encoding")
        return replace(bare, headers=(*bare.headers, ("Content-Length", str(len(body)))), body=body)


Forward = Callable[[Message], Awaitable[Message]]
"""Sends a request to the server and returns its answer."""


class HttpFault(Fault):
    """A fault of one exchange: in what is asked and answered, or in how the answer is sent. Either may hang up."""

    async def exchange(self, request: Message, forward: Forward) -> Message:
        """Return the answer for the client."""
        return await forward(request)

    async def reply(self, answer: Message, client: Stream) -> None:
        """Send the answer."""
        await client.send(answer.head + answer.body)


class HttpProxy(Proxy):
    """A proxy for HTTP/1.1."""

    def __init__(self, *about: Any, **more: Any) -> None:
        super().__init__(*about, **more)
        self._answered: list[tuple[Message, int]] = []

    def statuses(self, method: str, key: str) -> list[int]:
        """List what the server itself has answered to such requests, in order."""
        return [status for request, status in self._answered if request.method == method and key in request.target]

    async def serve(self, client: Stream) -> None:
        """See `Proxy.serve`."""
        while request := await _read_request(client):
            await self.held()
            fault = self._strikes(request)
            answer = await fault.exchange(request, self._forward)
            await self.held()
            await fault.reply(answer, client)

    def _strikes(self, request: Message) -> HttpFault:
        if isinstance(self.fault, HttpFault):
            names = " ".join(name for name, _ in request.headers)
            if self.strike(request.target, request.method, names):
                return self.fault
        return HttpFault()

    async def _forward(self, request: Message) -> Message:
        # A connection for each request: one that is kept may be closed by the server just as it is used.
        server = await self.connect()
        try:
            await server.send(request.head + request.body)
            if len(request.body) < int(request.header("Content-Length") or 0):
                server.writer.write_eof()  # cut off by a fault
            while (answer := await _read_answer(server, request.method)).status < 200:
                pass
            self._answered.append((request, answer.status))
            return answer
        finally:
            server.reset()  # leaves no port in TIME_WAIT; the answer is here whole


async def _read_head(stream: Stream) -> Message | None:
    lines = []
    while (line := await stream.reader.readline()) not in {b"\r\n", b""}:
        lines.append(line.decode("latin-1").rstrip("\r\n"))
    if not lines:
        return None
    headers = (line.partition(":") for line in lines[1:])
    return Message(lines[0], tuple((name, value.strip()) for name, _, value in headers))


async def _read_request(client: Stream) -> Message | None:
    head = await _read_head(client)
    if head is None:
        return None
    if (head.header("Expect") or "").lower() == "100-continue":
        await client.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        head = head.without("Expect")
    return await _read_body(client, head)


async def _read_answer(server: Stream, method: str) -> Message:
    head = await _read_head(server)
    if head is None:
        raise ConnectionResetError("the server ended the connection without an answer")
    if method == "HEAD" or head.status < 200 or head.status in {204, 304}:
        return head
    if head.header("Content-Length") is None and head.header("Transfer-Encoding") is None:
        return head.with_body(await server.reader.read())
    return await _read_body(server, head)


async def _read_body(stream: Stream, head: Message) -> Message:
    reader = stream.reader
    if (head.header("Transfer-Encoding") or "").lower() != "chunked":
        return replace(head, body=await reader.readexactly(int(head.header("Content-Length") or 0)))
    body = b""
    while size := int((await reader.readline()).partition(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readline()
    while (await reader.readline()).strip():  # trailers
        pass
    return head.with_body(body)
