"""A link on loopback that can be made to fail: a TCP proxy with a switch.

    with Proxy(server_port) as proxy:
        proxy.fault = Blackhole()      # in force when the assignment returns, for open connections too
        ...
        proxy.heal()
        assert proxy.hits              # a fault that never struck proves nothing

It runs in a thread of its own, so a test may switch faults while it waits for something else. `Proxy` moves bytes,
`NatsProxy` whole frames from client to server, and `HttpProxy` (http_proxy.py) whole requests and answers.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import threading
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any, Self, TypeVar

LOOPBACK = "127.0.0.1"
LIMIT = 2**20  # of one line; more than any header or NATS frame's first line
BROKEN = (OSError, asyncio.IncompleteReadError)
"""How a connection ends that does not end in order; TLS and refusals are OSErrors."""

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What it strikes, and how often: the first `times` matches (None: all), each with probability `share`.

    `key` is a part of the request's path or of the NATS frame, `method` and `header` are HTTP's; '' is any.
    """

    method: str = ""
    key: str = ""
    header: str = ""
    times: int | None = None
    share: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class Delay(Fault):
    """What goes towards the server comes `up_s` seconds late, what comes back `down_s`; for HTTP there is `Late`."""

    up_s: float = 0.0
    down_s: float = 0.0


@dataclass(frozen=True)
class Blackhole(Fault):
    """Connections are accepted and kept, and nothing passes. Healed, what was held passes, as TCP would resend it."""


@dataclass(frozen=True)
class Reset(Fault):
    """Every connection is reset: those that are open now, and each new one once it was accepted."""


@dataclass(frozen=True)
class Refuse(Fault):
    """Nobody listens: open connections are reset, new ones refused. It strikes once, as it is switched on."""


@dataclass(frozen=True)
class Drop(Fault):
    """A frame from client to server is swallowed; for `NatsProxy`. `key` picks it, such as '+ACK'."""


@dataclass(frozen=True)
class Stream:
    """One side of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """Close with RST: what was not sent yet is lost."""
        raw = self.writer.get_extra_info("socket")
        with suppress(OSError, AttributeError):  # None where it has ended meanwhile
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class Proxy:
    """A proxy to a port on loopback; with `tls` its own side speaks TLS."""

    def __init__(self, upstream_port: int, *, tls: ssl.SSLContext | None = None) -> None:
        self.upstream_port, self.tls = upstream_port, tls
        self.hits = 0
        """How often the fault that was set last has struck; healing keeps it."""
        self._fault: Fault | None = None
        self._random = Random()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault proxy", daemon=True)
        self._switched = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._open: set[Stream] = set()
        self._defects: list[Exception] = []
        # Bound and never listening: keeps the port ours while nobody listens on it.
        self._reserved = socket.socket()
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reserved.bind((LOOPBACK, 0))
        self.port: int = self._reserved.getsockname()[1]

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._reserved.close()
        if self._defects:
            raise ExceptionGroup("defects in the proxy, or a fault set where it cannot be", self._defects)

    @property
    def fault(self) -> Fault | None:
        """The fault in force; setting it starts its count anew."""
        return self._fault

    @fault.setter
    def fault(self, fault: Fault) -> None:
        self._run(self._switch(fault))

    def heal(self) -> None:
        """Be a plain link again. Connections that were reset stay so."""
        self._run(self._switch(None))

    def _run(self, steps: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(steps, self._loop).result(10)

    async def _switch(self, fault: Fault | None) -> None:
        self._fault = fault
        if fault is not None:
            self.hits, self._random = 0, Random(fault.seed)
        self._switched.set()
        self._switched = asyncio.Event()
        if isinstance(fault, Refuse):
            self.hits = 1
            self._stop_listening()
        else:
            await self._listen()
        if isinstance(fault, Reset):
            self.hits = len(self._open)
        if isinstance(fault, Refuse | Reset):
            self._reset_all()

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(
                self._accept, LOOPBACK, self.port, reuse_address=True, limit=LIMIT, ssl=self.tls
            )

    def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _close(self) -> None:
        self._stop_listening()
        self._reset_all()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _reset_all(self) -> None:
        for stream in self._open:
            stream.reset()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = Stream(reader, writer)
        self._open.add(client)
        try:
            if isinstance(self._fault, Reset) and self.strike():
                client.reset()
                return
            await self.held()
            await self.serve(client)
            client.writer.close()
        except BROKEN:
            client.reset()
        except asyncio.CancelledError:  # the proxy closes
            client.reset()
        except Exception as defect:  # noqa: BLE001 - `__exit__` raises it
            self._defects.append(defect)
            client.reset()
        finally:
            self._open.discard(client)

    # For the kinds of link

    async def serve(self, client: Stream) -> None:
        """Serve one connection until it ends."""
        upstream = await self.connect()
        try:
            pumps = [
                asyncio.create_task(self._pump(self.units(client.reader), upstream, up=True)),
                asyncio.create_task(self._pump(chunks(upstream.reader), client, up=False)),
            ]
            ended, other = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for each in other:
                each.cancel()
            await asyncio.gather(*ended)  # a reset of one side is passed on to the other
        finally:
            upstream.writer.close()

    def units(self, reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
        """Cut what a client sends into what is delayed or dropped as one."""
        return chunks(reader)

    async def connect(self) -> Stream:
        """Connect to the server behind; whoever asked is reset if that fails."""
        return Stream(*await asyncio.open_connection(LOOPBACK, self.upstream_port, limit=LIMIT))

    async def held(self) -> None:
        """Wait while nothing passes."""
        while isinstance(self._fault, Blackhole):
            self.hits += 1
            await self._switched.wait()

    def strike(self, what: str = "", method: str = "", headers: str = "") -> Fault | None:
        """Return the fault that strikes here, counted; None where it does not."""
        fault = self._fault
        if (
            fault is None
            or fault.key not in what
            or fault.method not in {"", method}
            or fault.header.lower() not in headers.lower()
            or self.hits == fault.times
            or self._random.random() >= fault.share
        ):
            return None
        self.hits += 1
        return fault

    async def _pump(self, units: AsyncIterator[bytes], to: Stream, *, up: bool) -> None:
        async for unit in units:
            await self.held()
            match self._fault:
                case Drop() if up and self.strike(unit.decode("latin-1")):
                    continue
                case Delay(up_s=up_s, down_s=down_s) if (wait_s := up_s if up else down_s) and self.strike():
                    await asyncio.sleep(wait_s)
            await to.send(unit)


class NatsProxy(Proxy):
    """A proxy that knows where a client's NATS frames end, so that it can drop some."""

    def units(self, reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
        """See `Proxy.units`."""
        return frames(reader)


async def chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while chunk := await reader.read(2**16):
        yield chunk


async def frames(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Read NATS frames of a client: a line, and for PUB and HPUB the payload, whose size ends that line."""
    while line := await reader.readline():
        words = line.split()
        has_payload = bool(words) and words[0].upper() in {b"PUB", b"HPUB"}
        yield line + (await reader.readexactly(int(words[-1]) + 2) if has_payload else b"")
