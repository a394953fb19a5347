"""nats-py as we need it: it comes back for ever, speaks TLS where that was asked for, and its answers cost little."""

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


class LastingClient(Client):
    """nats-py, which must neither give up nor speak plainly where TLS was asked for."""

    stays = False
    """Whether the first connection was made."""

    def __init__(self) -> None:
        super().__init__()
        self._answers_to, self._asked = "", 0
        self._questions: dict[str, asyncio.Future[Msg]] = {}

    def stay(self) -> None:
        """From now on reconnect for ever, with waits that grow to two seconds, so that workers come back one by one.

        Given at the start, that would make nats-py retry a refused first connection instead of saying so.
        """
        self.stays = True
        self.options.update(max_reconnect_attempts=-1, reconnect_time_wait=0)
        self._reconnect_to_server_handler = self._next_server

    def _next_server(self, servers: list[Server], _: dict[str, Any]) -> tuple[Server, float]:
        following = min(servers, key=lambda server: server.reconnects)
        longest = min(_FIRST_WAIT_S * 2.0 ** min(following.reconnects, 10), _LONGEST_WAIT_S)
        return following, longest * (0.5 + random.random() / 2)  # noqa: S311 - spreads workers, hides nothing

    async def leave_lame_duck(self) -> None:
        """Go to another server before this one, which is about to stop, ends the connection; if there is another."""
        if len(self.servers) > 1:
            await self.force_reconnect()

    async def _process_err(self, err_msg: str) -> None:
        """nats-py closes for good at any error of the server's: credentials that expired, too many connections."""
        if not self.stays or _PERMISSION in err_msg.lower():
            await super()._process_err(err_msg)
            return
        error = NatsError(f"nats: {err_msg.strip(chr(39))}")
        await self._error_cb(error)
        await self._process_op_err(error)

    def _connect_command(self) -> bytes:
        asked = self.options.get("tls") or (self._current_server and self._current_server.uri.scheme == "tls")
        # nats-py would send the password in plain text to a server that offers no TLS.
        if asked and not self._server_info.get("tls_required"):
            raise NoTls
        return super()._connect_command()

    def abort(self) -> None:
        """Drop the connection at once: after a handshake that failed, nats-py's `close` waits for ever."""
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
        """As nats-py does it, which draws each token from the system and hands each answer over by way of a task."""
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
    """What nats-py takes for the future of one answer, and gives every message of a subscription to."""

    __slots__ = ("set_result",)

    def __init__(self, take: Callable[[Msg], None]) -> None:
        self.set_result = take

    def cancelled(self) -> bool:
        return False


async def listen(client: Client, subject: str, take: Callable[[Msg], None]) -> Subscription:
    """Subscribe, and have `take` called with each message as it is read; it must neither raise nor take long.

    nats-py's own callbacks cost a queue, a task and a turn of the event loop for each message.
    """
    return await client.subscribe(subject, future=cast("asyncio.Future[Msg]", _Taker(take)))
