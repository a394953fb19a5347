"""Send to a subject of core NATS: a later round trip confirms that the server has received it, and no more.

Core NATS knows no identities, so at most once is all that can be kept: what was on its way when a connection or a
process ended is not sent again, and is accounted for as unknown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError

from contracts.bus.access import NatsAccess
from contracts.bus.connection import close_nats, connect_nats, round_trip
from contracts.errors import Unreachable
from contracts.replay.plan.messages import REPLAY, REPLAY_ORIGIN, Outgoing, ReplayRun
from contracts.replay.send.sender import Recalled, SendOutcome, Settle, Status

_TICK_S: Final = 0.25
_ASK_AGAIN_S: Final = 1.0  # a PING that went down with its connection is never answered
_FORBIDDEN: Final = "permissions violation for publish"
_LOST: Final = "the connection was lost before the server had confirmed it"


class CoreSender:
    """See `Sender`. At most `most` messages wait for the server's confirmation at once."""

    def __init__(self, run: ReplayRun, most: int, settle: Settle, place: str) -> None:
        self._run, self._most, self._settle, self._place = run, most, settle, place
        self._client: Client
        self._sent: list[tuple[Outgoing, int]] = []
        self._unconfirmed = 0
        self._connection = 0
        self._changed = asyncio.Event()
        self._failure: Exception | None = None
        self._confirming: asyncio.Task[None] | None = None
        self.position: int | None = None

    @classmethod
    async def open(cls, access: NatsAccess, run: ReplayRun, *, most: int, settle: Settle) -> CoreSender:
        """Connect.

        Raises:
            Unreachable: NATS does not answer.
        """
        sender = cls(run, most, settle, access.place)
        sender._client = await connect_nats(
            access,
            name="contracts replay",
            error_cb=sender._told,
            disconnected_cb=sender._lost,
            reconnected_cb=sender._lost,
        )
        sender._confirming = asyncio.create_task(sender._confirm())
        return sender

    @property
    def client(self) -> Client:
        """The connection, which other subscriptions may use."""
        return self._client

    async def recall(self, after: int | None, is_wanted: Callable[[int], bool]) -> Recalled:  # noqa: ARG002
        """See `Sender.recall`: nothing can be found out."""
        return Recalled(may_go_again=False)

    async def send(self, message: Outgoing) -> None:
        """See `Sender.send`."""
        while self._failure or self._unconfirmed >= self._most or not self._client.is_connected:
            await self._until_changed()
        headers = {
            "Nats-Msg-Id": message.message_id(self._run.run_id),  # a stream or a consumer may drop repeats by it
            REPLAY: self._run.run_id,
            REPLAY_ORIGIN: message.origin,
        }
        try:
            await self._client.publish(message.subject, message.payload, headers=headers)
        except MaxPayloadError:
            self._settle(message, SendOutcome(Status.REFUSED, detail="larger than the server takes"))
            return
        self._sent.append((message, self._connection))
        self._unconfirmed += 1
        self._changed.set()

    async def finish(self) -> None:
        """See `Sender.finish`."""
        while self._failure or self._unconfirmed:
            await self._until_changed()

    async def close(self) -> None:
        """See `Sender.close`."""
        if self._confirming is not None:
            self._confirming.cancel()
            await asyncio.gather(self._confirming, return_exceptions=True)
        await close_nats(self._client)

    async def _confirm(self) -> None:
        try:
            while True:
                if not self._sent:
                    await self._until_changed()
                batch, self._sent = self._sent, []
                while batch and not await self._is_decided(batch[0][1]):
                    pass
                if self._failure is not None:
                    return  # the server dropped what it forbids, without naming the messages
                for message, connection in batch:
                    lost = connection != self._connection or not self._client.is_connected
                    outcome = SendOutcome(Status.UNKNOWN, detail=_LOST) if lost else SendOutcome(Status.CONFIRMED)
                    self._settle(message, outcome)
                self._unconfirmed -= len(batch)
                self._changed.set()
        except Exception as defect:  # noqa: BLE001 - raised where somebody waits
            self._fail(defect)

    async def _is_decided(self, connection: int) -> bool:
        """Make a round trip; return True where it was answered, or the connection has been lost."""
        try:
            await round_trip(self._client, timeout_s=_ASK_AGAIN_S)
        except (NatsError, OSError, TimeoutError):
            return self._connection != connection or not self._client.is_connected
        return True

    async def _until_changed(self) -> None:
        if self._failure is not None:
            raise self._failure
        self._changed.clear()
        try:
            async with asyncio.timeout(_TICK_S):  # callbacks of a reconnection come in no certain order
                await self._changed.wait()
        except TimeoutError:
            pass

    async def _told(self, error: Exception) -> None:
        if _FORBIDDEN in str(error).lower():
            self._fail(Unreachable("NATS", self._place, str(error).removeprefix("nats: ")))

    def _fail(self, failure: Exception) -> None:
        self._failure = failure
        self._changed.set()

    async def _lost(self) -> None:
        self._connection += 1
        self._changed.set()
