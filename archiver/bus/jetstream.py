"""Inbox and Announcer on JetStream: pull, answer, publish. `setup.py` creates streams and consumer.

Pulling is our own: nats-py 2.16's `fetch` cannot distinguish a consumer that has nothing from a server that does not
answer, and its subscription can stall for good after the server was restarted (nats.py #504).
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError, ServiceUnavailableError

from archiver.core.errors import BusSilent, BusUnavailable, ConsumerMissing
from archiver.core.values import Backlog, Message
from contracts.toolkit import Unreachable, listen, publish_stored

_CONFIRM_WITHIN_S = 5.0
_ANSWER_WITHIN_S = 2.0
_DEFAULT_ACK_WAIT_S = 30.0  # nats-server's, where a consumer names none
_NOTHING = {"404", "408"}  # nothing is waiting; nothing came while the request was open
_FULL = "Exceeded"  # of 409: workers together hold as many as they may, or ask too often; that passes


class JetStreamInbox:
    """The durable pull consumer of one stream; any number of workers may share it."""

    def __init__(self, client: Client, stream: str, consumer: str, ack_wait_s: float) -> None:
        self._client, self._stream, self._consumer = client, stream, consumer
        self._subscription: Subscription | None = None
        self._arrived: deque[Msg] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._address = ""
        self._requests = 0
        self.ack_wait_s = ack_wait_s
        """Seconds of silence after which the server delivers again: the consumer's own setting."""

    @classmethod
    async def bind(cls, client: Client, *, stream: str, consumer: str) -> JetStreamInbox:
        """Bind to a consumer that is there; create nothing.

        Raises:
            BusUnavailable: stream or consumer is missing (with what to do), or JetStream is off.
        """
        try:
            found = await client.jetstream().consumer_info(stream, consumer)
        except NotFoundError:
            raise _not_there(stream, consumer) from None
        except ServiceUnavailableError:
            what = "use JetStream"
            raise BusUnavailable(what, "it is not enabled on this server (nats-server --jetstream)") from None
        except (NatsError, OSError, TimeoutError) as error:
            raise BusUnavailable(f"ask for consumer {consumer!r}", _why(error)) from None
        inbox = cls(client, stream, consumer, found.config.ack_wait or _DEFAULT_ACK_WAIT_S)
        await inbox.resubscribe()
        return inbox

    async def fetch(self, limit: int, wait_s: float) -> list[JetStreamDelivery]:
        """See `ports.Inbox.fetch`: all that is waiting, otherwise the first that arrives."""
        if not self._client.is_connected:
            raise BusUnavailable("deliver messages", "not connected")
        try:
            return await self._pull({"batch": limit, "no_wait": True}, _ANSWER_WITHIN_S) or await self._pull(
                {"batch": 1, "expires": int(wait_s * 1e9)}, wait_s + _ANSWER_WITHIN_S
            )
        except (NatsError, OSError) as error:
            raise BusUnavailable("deliver messages", _why(error)) from None

    async def resubscribe(self) -> None:
        """See `ports.Inbox.resubscribe`."""
        try:
            if self._subscription is not None:
                await self._subscription.unsubscribe()
            self._address = self._client.new_inbox()
            self._subscription = await listen(self._client, f"{self._address}.*", self._arrive)
        except (NatsError, OSError) as error:
            raise BusUnavailable("listen for messages", _why(error)) from None

    async def reconnect(self) -> None:
        """See `ports.Inbox.reconnect`."""
        await self._client.force_reconnect()

    async def backlog(self) -> Backlog:
        """See `ports.Inbox.backlog`."""
        try:
            found = await self._client.jetstream().consumer_info(self._stream, self._consumer)
        except NotFoundError:
            raise _not_there(self._stream, self._consumer) from None
        except (NatsError, OSError, TimeoutError) as error:
            raise BusUnavailable("report the backlog", _why(error)) from None
        return Backlog(undelivered=found.num_pending or 0, unanswered=found.num_ack_pending or 0)

    async def _pull(self, request: dict[str, object], within_s: float) -> list[JetStreamDelivery]:
        self._requests += 1
        address = f"{self._address}.{self._requests}"
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._consumer}"
        await self._client.publish(subject, json.dumps(request).encode(), reply=address)
        taken: list[JetStreamDelivery] = []
        while len(taken) < int(str(request["batch"])):
            answer = await self._next(within_s)
            if answer is None:
                if not taken:
                    raise BusSilent("deliver messages", f"connected, and no answer within {within_s:.0f} s")
                break  # the rest was lost on the way, and is delivered again
            status = (answer.headers or {}).get("Status")
            if status is None:
                taken.append(JetStreamDelivery(answer))
            elif answer.subject == address:  # others belong to requests that were given up
                self._understand(status, (answer.headers or {}).get("Description", ""))
                break
        return taken

    def _arrive(self, answer: Msg) -> None:
        self._arrived.append(answer)
        if self._waiter is not None:
            _wake(self._waiter)

    async def _next(self, within_s: float) -> Msg | None:
        if not self._arrived:
            loop = asyncio.get_running_loop()
            self._waiter = loop.create_future()
            timer = loop.call_later(within_s, _wake, self._waiter)
            try:
                await self._waiter
            finally:
                timer.cancel()
                self._waiter = None
        return self._arrived.popleft() if self._arrived else None

    def _understand(self, status: str, said: str) -> None:
        if status in _NOTHING or said.startswith(_FULL):
            return
        # 503: nobody listens on the address of a missing consumer; 409: it was deleted during the request.
        if status == "503" or said == "Consumer Deleted":
            raise _not_there(self._stream, self._consumer)
        raise BusUnavailable("deliver messages", f"{status} {said}")


class JetStreamDelivery:
    """One message from the consumer."""

    def __init__(self, raw: Msg) -> None:
        self._raw = raw
        told = raw.metadata
        self.message = Message(
            subject=raw.subject,
            payload=raw.data,
            stream=told.stream,
            sequence=told.sequence.stream,
            deliveries=told.num_delivered or 1,
            received_at=told.timestamp.astimezone(UTC),
            headers=dict(raw.headers or {}),
        )

    async def acknowledge(self) -> None:
        """See `ports.Delivery.acknowledge`. Asked twice: the first answer may be what got lost."""
        try:
            await self._raw.ack_sync(timeout=_CONFIRM_WITHIN_S)
        except (NatsError, OSError, TimeoutError):
            await self._answer(self._raw.ack_sync(timeout=_CONFIRM_WITHIN_S))

    async def retry(self, after_s: float) -> None:
        """See `ports.Delivery.retry`."""
        await self._answer(self._raw.nak(after_s))

    async def terminate(self) -> None:
        """See `ports.Delivery.terminate`."""
        await self._answer(self._raw.term())

    async def still_working(self) -> None:
        """See `ports.Delivery.still_working`."""
        await self._answer(self._raw.in_progress())

    async def _answer(self, answer: Awaitable[object]) -> None:
        try:
            await answer
        except (NatsError, OSError, TimeoutError) as error:
            raise BusUnavailable("take the answer", _why(error)) from None


class JetStreamAnnouncer:
    """Publishes with confirmation, each subject with `prefix` before it."""

    def __init__(self, client: Client, prefix: str = "") -> None:
        self._client, self._prefix = client, prefix

    async def announce(
        self,
        subject: str,
        payload: bytes,
        *,
        message_id: str,
        headers: Mapping[str, str] | None = None,
        is_ours: Callable[[bytes], bool] | None = None,
    ) -> None:
        """See `ports.Announcer.announce`."""
        subject = self._prefix + subject
        try:
            await publish_stored(
                self._client,
                subject,
                payload,
                message_id=message_id,
                headers=headers,
                is_ours=None if is_ours is None else lambda found: is_ours(found.data or b""),
                timeout_s=_CONFIRM_WITHIN_S,
            )
        except Unreachable as error:
            raise BusUnavailable(f"store an event of {subject}", error.why) from None


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _not_there(stream: str, consumer: str) -> ConsumerMissing:
    return ConsumerMissing(
        f"find consumer {consumer!r} on stream {stream!r}", "not there\n  create both: archiver init"
    )


def _why(error: Exception) -> str:
    return (str(error) or type(error).__name__).removeprefix("nats: ")
