"""Inbox and Announcer on JetStream: pull, answer, publish. Setting streams up is `jetstream_setup.py`'s."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import UTC

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError, ServiceUnavailableError

from archiver.core.values import Backlog, Message
from archiver.errors import BusUnavailable
from contracts import Unreachable, publish_confirmed

_CONFIRM_WITHIN_S = 5.0
_DEFAULT_ACK_WAIT_S = 30.0  # nats-server's, where a consumer names none


class JetStreamInbox:
    """The durable pull consumer of one stream; any number of workers may share it."""

    def __init__(self, subscription: JetStreamContext.PullSubscription, ack_wait_s: float) -> None:
        self._subscription = subscription
        self.ack_wait_s = ack_wait_s
        """Seconds of silence after which the server delivers again: the consumer's own, whatever we would wish."""

    @classmethod
    async def bind(cls, client: Client, *, stream: str, consumer: str) -> JetStreamInbox:
        """Bind to a consumer that is there; create nothing.

        Raises:
            BusUnavailable: stream or consumer is missing (says what to do), or JetStream is off.
        """
        jetstream = client.jetstream()
        try:
            found = await jetstream.consumer_info(stream, consumer)
        except NotFoundError:
            what = f"find consumer {consumer!r} on stream {stream!r}"
            raise BusUnavailable(what, "not there\n  create both: archiver init") from None
        except ServiceUnavailableError:
            what = "use JetStream"
            raise BusUnavailable(what, "it is not enabled on this server (nats-server --jetstream)") from None
        except (NatsError, OSError) as error:
            raise BusUnavailable(f"ask for consumer {consumer!r}", _why(error)) from None
        subscription = await jetstream.pull_subscribe_bind(consumer=consumer, stream=stream)
        return cls(subscription, found.config.ack_wait or _DEFAULT_ACK_WAIT_S)

    async def fetch(self, limit: int, wait_s: float) -> list[JetStreamDelivery]:
        """See `ports.Inbox.fetch`."""
        try:
            messages = await self._subscription.fetch(limit, timeout=wait_s)
        except (TimeoutError, NatsTimeoutError):
            return []
        except (NatsError, OSError) as error:
            raise BusUnavailable("deliver messages", _why(error)) from None
        return [JetStreamDelivery(message) for message in messages]

    async def backlog(self) -> Backlog:
        """See `ports.Inbox.backlog`."""
        try:
            found = await self._subscription.consumer_info()
        except (NatsError, OSError, TimeoutError) as error:
            raise BusUnavailable("tell the backlog", _why(error)) from None
        return Backlog(undelivered=found.num_pending or 0, unanswered=found.num_ack_pending or 0)


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
        """See `ports.Delivery.acknowledge`."""
        try:
            await self._raw.ack_sync(timeout=_CONFIRM_WITHIN_S)
        except (NatsError, OSError, TimeoutError) as error:
            raise BusUnavailable("note the acknowledgement", _why(error)) from None

    async def retry(self, after_s: float) -> None:
        """See `ports.Delivery.retry`."""
        await self._answer(self._raw.nak(after_s))

    async def terminate(self) -> None:
        """See `ports.Delivery.terminate`."""
        await self._answer(self._raw.term())

    async def still_working(self) -> None:
        """See `ports.Delivery.still_working`."""
        await self._answer(self._raw.in_progress())

    async def _answer(self, answer: Awaitable[None]) -> None:
        try:
            await answer
        except (NatsError, OSError) as error:
            raise BusUnavailable("take the answer", _why(error)) from None


class JetStreamAnnouncer:
    """Publishes with confirmation."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def announce(self, subject: str, payload: bytes, *, message_id: str) -> None:
        """See `ports.Announcer.announce`."""
        try:
            await publish_confirmed(self._client, subject, payload, message_id=message_id, timeout_s=_CONFIRM_WITHIN_S)
        except Unreachable as error:
            raise BusUnavailable(f"store an event of {subject}", error.why) from None


def _why(error: Exception) -> str:
    return (str(error) or type(error).__name__).removeprefix("nats: ")
