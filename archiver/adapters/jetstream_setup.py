"""The streams and the consumer that the archiver needs: what is there, what differs, and making it so.

Each setting has a reason, the consequence of another choice; `archiver init` prints it with what differs.
Nothing that is there is changed without being asked to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import NotFoundError

from archiver.core.announcement import FAILED
from archiver.errors import BusUnavailable

_DAY_S: Final = 24 * 3600.0

DEAD_LETTER_STREAM: Final = "KAIZEN_ARCHIVE_DLQ"
_STREAM: Final = {
    "subjects": "other streams' subjects would be archived, or ours missed",
    "storage": "memory loses events with the server",
    "retention": "three consumers read this stream; a work queue or interest stream would drop events for the others",
    "discard": "discarding old messages drops events that were never archived",
    "max_age": "events must outlive the longest outage of the store; without a limit the disk fills up",
    "duplicate_window": "a repeated publish within it is stored once",
}
_CONSUMER: Final = {
    "filter_subject": "the consumer would be handed its own follow-up events",
    "ack_policy": "an event is done when it is archived, not when it is delivered",
    "deliver_policy": "events published before the consumer was made would be left out",
    "ack_wait": "shorter than an upload takes, and two workers archive one event",
    "max_deliver": "an exhausted message stays in the stream and is never delivered again (nats-server #5564)",
    "backoff": "server-side backoff and delayed retries add up wrongly (nats-server, consumer.go, processNak)",
    "max_ack_pending": "bounds what all workers together hold",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One setting that is not as wanted, and what that leads to."""

    setting: str
    found: str
    wanted: str
    consequence: str


@dataclass(frozen=True, slots=True)
class Part:
    """One stream or consumer as found: `state` is created, as wanted, differs or changed."""

    name: str
    state: str
    differences: tuple[Difference, ...] = ()


async def set_up(client: Client, *, stream: str, consumer: str, ack_wait_s: float, apply: bool) -> list[Part]:
    """Create the streams and the consumer where they are missing; change what differs only with `apply`.

    Raises:
        BusUnavailable: JetStream refuses, in its own words.
    """
    jetstream = client.jetstream()
    events = _stream(stream, ["kaizen.schedule.>"], max_age_s=30 * _DAY_S)
    dead_letters = _stream(DEAD_LETTER_STREAM, [FAILED], max_age_s=90 * _DAY_S)
    durable = ConsumerConfig(
        durable_name=consumer,
        filter_subject="kaizen.schedule.prepared",
        ack_policy=AckPolicy.EXPLICIT,
        deliver_policy=DeliverPolicy.ALL,
        ack_wait=ack_wait_s,
        max_deliver=-1,
        max_ack_pending=256,
    )
    try:
        return [
            await _ensure_stream(jetstream, events, apply=apply),
            await _ensure_stream(jetstream, dead_letters, apply=apply),
            await _ensure_consumer(jetstream, stream, durable, apply=apply),
        ]
    except (NatsError, OSError, TimeoutError) as error:
        raise BusUnavailable("set up streams and consumer", str(error) or type(error).__name__) from None


def _stream(name: str, subjects: list[str], *, max_age_s: float) -> StreamConfig:
    return StreamConfig(
        name=name,
        subjects=subjects,
        storage=StorageType.FILE,
        retention=RetentionPolicy.LIMITS,
        discard=DiscardPolicy.NEW,
        max_age=max_age_s,
        duplicate_window=120,
    )


async def _ensure_stream(jetstream: JetStreamContext, wanted: StreamConfig, *, apply: bool) -> Part:
    label = f"stream {wanted.name}"
    try:
        found = (await jetstream.stream_info(wanted.name or "")).config
    except NotFoundError:
        await jetstream.add_stream(wanted)
        return Part(label, "created")
    differences = _differences(found, wanted, _STREAM)
    if differences and apply:
        changes = {each.setting: getattr(wanted, each.setting) for each in differences}
        await jetstream.update_stream(found.evolve(**changes))
        return Part(label, "changed", differences)
    return Part(label, "differs" if differences else "as wanted", differences)


async def _ensure_consumer(jetstream: JetStreamContext, stream: str, wanted: ConsumerConfig, *, apply: bool) -> Part:
    label = f"consumer {wanted.durable_name}"
    try:
        found = (await jetstream.consumer_info(stream, wanted.durable_name or "")).config
    except NotFoundError:
        await jetstream.add_consumer(stream, wanted)
        return Part(label, "created")
    differences = _differences(found, wanted, _CONSUMER)
    if differences and apply:
        changes = {each.setting: getattr(wanted, each.setting) for each in differences}
        await jetstream.add_consumer(stream, found.evolve(**changes))
        return Part(label, "changed", differences)
    return Part(label, "differs" if differences else "as wanted", differences)


def _differences(found: object, wanted: object, consequences: Mapping[str, str]) -> tuple[Difference, ...]:
    pairs = ((each, getattr(found, each), getattr(wanted, each)) for each in consequences)
    return tuple(
        Difference(name, _shown(left), _shown(right), consequences[name])
        for name, left, right in pairs
        if (left or None) != (right or None)
    )


def _shown(value: object) -> str:
    return str(getattr(value, "value", value))
