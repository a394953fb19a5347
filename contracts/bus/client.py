"""nats-py with the behaviour that we need, and the one list of its private parts that we override or use.

`pyproject.toml` bounds nats-py because of these. All are of `nats.aio.client.Client`; no other module uses any.

`_reconnect_to_server_handler`, `options` after `connect`
    Retry without limit and with growing waits, but only once connected. Upstream: nats.py #352, #645.
`_process_err`, `_process_op_err`
    Reconnect after an error of the server that nats-py closes for. Upstream: nats.py #1019.
`_connect_command`, `_server_info`, `_current_server`
    Send no password without TLS where TLS was asked for. No upstream issue found.
`_transport._io_writer`, `_transport._bare_io_writer`
    End a connection whose TLS handshake failed. Upstream: nats.py #718, #490.
`_request_new_style`
    A request costs one future, and not a task, a queue and a random token. No upstream issue found.
`subscribe(future=...)` with an object that is no future
    A message costs one call, and not a queue and a task. No upstream issue found.
The order in which `flush` writes (`contracts.bus.connection.round_trip`)
    Its PING overtakes commands that still wait to be written, so it is sent twice. No upstream issue found.
The creds file reader (`contracts.bus.credentials`, through public parameters)
    Line ends and indentation; a file without a JWT is read without end. Upstream: nats.py pull request 1020.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from nats.aio.client import Client, Server
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import ConnectionDrainingError
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeoutError

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.25, 2.0
_PERMISSION = "permissions violation"  # of one subject; the connection stands


class NoTls(NatsError):
    """TLS was asked for, and the server offers none."""

    def __str__(self) -> str:
        return "TLS was asked for, and this server offers none"


class NoInbox(NatsError):
    """The server does not let us subscribe to where answers are sent."""

    def __init__(self, why: str) -> None:
        super().__init__(f"{why}\n  set NATS_INBOX_PREFIX to a prefix that this user may subscribe to")


class LastingClient(Client):
    """A client that reconnects indefinitely, and does not speak in the clear where TLS was asked for."""

    stays = False
    """Whether the first connection was made."""

    def __init__(self) -> None:
        super().__init__()
        self._answers_to, self._asked = "", 0
        self._questions: dict[str, asyncio.Future[Msg]] = {}

    def stay(self) -> None:
        """From now on reconnect indefinitely; waits grow to two seconds and differ between workers.

        Given at the start, that would make nats-py retry a refused first connection instead of reporting it.
        """
        self.stays = True
        self.options.update(max_reconnect_attempts=-1, reconnect_time_wait=0)
        self._reconnect_to_server_handler = self._next_server

    def _next_server(self, servers: list[Server], _: dict[str, Any]) -> tuple[Server, float]:
        following = min(servers, key=lambda server: server.reconnects)
        longest = min(_FIRST_WAIT_S * 2.0 ** min(following.reconnects, 10), _LONGEST_WAIT_S)
        return following, longest * (0.5 + random.random() / 2)  # noqa: S311 - spreads workers, hides nothing

    async def leave_lame_duck(self) -> None:
        """Change to another server, if there is one, before this one stops."""
        if len(self.servers) > 1:
            await self.force_reconnect()

    async def _process_err(self, err_msg: str) -> None:
        """Reconnect where nats-py would close for good: credentials that expired, too many connections."""
        if _PERMISSION in err_msg.lower() and self._answers_to and self._answers_to.lower() in err_msg.lower():
            refused = NoInbox(f"nats: {err_msg.strip(chr(39))}")
            for question in self._questions.values():
                if not question.done():
                    question.set_exception(refused)
        if not self.stays or _PERMISSION in err_msg.lower():
            await super()._process_err(err_msg)
            return
        error = NatsError(f"nats: {err_msg.strip(chr(39))}")
        await self._error_cb(error)
        await self._process_op_err(error)

    def _connect_command(self) -> bytes:
        asked = self.options.get("tls") or (self._current_server and self._current_server.uri.scheme == "tls")
        # nats-py would send the password in plain text to a server that offers no TLS.
        if asked and not self.options["tls_handshake_first"] and not self._server_info.get("tls_required"):
            raise NoTls
        return super()._connect_command()

    def abort(self) -> None:
        """Drop the connection at once: after a handshake that failed, nats-py's `close` does not return."""
        for name in ("_io_writer", "_bare_io_writer"):
            writer = getattr(self._transport, name, None)
            if writer is not None:
                with suppress(AttributeError):  # CPython 3.11.2's TLS transport, where it was closed twice before
                    writer.transport.abort()

    async def _request_new_style(
        self,
        subject: str,
        payload: bytes,
        timeout: float = 1,  # noqa: ASYNC109 - nats-py's
        headers: dict[str, Any] | None = None,
    ) -> Msg:
        """Send a request and wait for its answer, without nats-py's random token and task for each."""
        if self.is_draining_pubs:
            raise ConnectionDrainingError
        if not self._answers_to:
            self._answers_to = self.new_inbox() + "."
            await listen(self, self._answers_to + "*", self._answered)
        self._asked += 1
        token, loop = str(self._asked), asyncio.get_running_loop()
        answer: asyncio.Future[Msg] = loop.create_future()
        self._questions[token] = answer
        timer = loop.call_later(timeout, _give_up, answer)
        try:
            await self.publish(subject, payload, reply=self._answers_to + token, headers=headers)
            return await answer
        finally:
            timer.cancel()
            del self._questions[token]

    def _answered(self, message: Msg) -> None:
        question = self._questions.get(message.subject[len(self._answers_to) :])
        if question is not None and not question.done():
            question.set_result(message)


def _give_up(question: asyncio.Future[Msg]) -> None:
    if not question.done():
        question.set_exception(NatsTimeoutError())


class _Taker:
    """Stands in for the future of one answer; nats-py passes it every message of a subscription."""

    __slots__ = ("set_result",)

    def __init__(self, take: Callable[[Msg], None]) -> None:
        self.set_result = take

    def cancelled(self) -> bool:
        return False


async def listen(client: Client, subject: str, take: Callable[[Msg], None]) -> Subscription:
    """Subscribe, and call `take` with each message as it is read; it must neither raise nor take long."""
    return await client.subscribe(subject, future=cast("asyncio.Future[Msg]", _Taker(take)))
