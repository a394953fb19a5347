"""The streams and the consumer that the archiver needs: inspect them, report differences, and create or change them.

Each setting has a reason, the consequence of another choice, which is reported with a difference. Existing settings
are changed on request only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

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
    StreamInfo,
)
from nats.js.errors import NotFoundError

from archiver.core.announcement import FAILED
from archiver.core.errors import BusUnavailable
from archiver.core.health_checks import Check, CheckState, judged, span
from archiver.core.subjects import DEAD_LETTER_STREAM, PREPARED, SCHEDULE, stream_name
from contracts import parse_rfc3339

_DAY_S: Final = 24 * 3600.0
_REPLICAS: Final = 3  # the fewest of which one may fail

_STREAM: Final = {
    "subjects": "other streams' subjects would be archived, or ours missed",
    "storage": "memory loses events with the server",
    "retention": "three consumers read this stream; a work queue or interest stream would drop events for the others",
    "discard": "discarding old messages drops events that were never archived",
    "max_msgs_per_subject": "all events have one subject, and a limit on it drops the older ones",
    "max_age": "events must outlive the longest outage of the store; without a limit the disk fills up",
    "duplicate_window": "a repeated publish within it is stored once",
}
_CONSUMER: Final = {
    "filter_subject": "the consumer would be handed its own follow-up events",
    "ack_policy": "an event is done when it is archived, not when it is delivered",
    "deliver_policy": "events published before the consumer was made would be skipped",
    "ack_wait": "shorter than an upload takes, and two workers archive one event",
    "max_deliver": "an exhausted message stays in the stream and is never delivered again (nats-server #5564)",
    "backoff": "server-side backoff and delayed retries add up wrongly (nats-server, consumer.go, processNak)",
    "max_ack_pending": "bounds what all workers together hold; with less they wait for each other",
}
_AT_LEAST: Final = {"max_age", "duplicate_window", "max_ack_pending"}
_TIMES: Final = {"max_age", "duplicate_window", "ack_wait", "backoff"}


@dataclass(frozen=True, slots=True)
class Part:
    """One stream or consumer as found: `state` is missing, as wanted or differs, or now created or changed.

    `checks` holds one for each setting.
    """

    name: str
    state: str
    checks: tuple[Check, ...] = ()

    @property
    def differences(self) -> tuple[Check, ...]:
        """The settings that are not as wanted, or were not."""
        return tuple(each for each in self.checks if each.verdict is CheckState.DIFFERS)


async def set_up(
    client: Client, *, stream: str, consumer: str, ack_wait_s: float, apply: bool, subject_prefix: str = ""
) -> list[Part]:
    """Create the streams and the consumer where they are missing; change what differs only with `apply`.

    `subject_prefix` is '' or ends with a dot.

    Raises:
        BusUnavailable: JetStream refuses, in its own words.
    """
    jetstream = client.jetstream()
    parts = []
    with _asked("set up streams and consumer"):
        for wanted in _streams(stream, subject_prefix):
            part, there = await _stream_part(jetstream, wanted)
            if there is None:
                await jetstream.add_stream(wanted)
            elif part.differences and apply:
                await jetstream.update_stream(there.config.evolve(**_changes(part, wanted)))
            parts.append(_done(part, apply=apply))
        durable = _durable(consumer, ack_wait_s, subject_prefix)
        part, found = await _consumer_part(jetstream, stream, durable)
        if found is None:
            await jetstream.add_consumer(stream, durable)
        elif part.differences and apply:
            await jetstream.add_consumer(stream, found.evolve(**_changes(part, durable)))
        return [*parts, _done(part, apply=apply)]


async def examine(
    client: Client,
    *,
    stream: str,
    consumer: str,
    ack_wait_s: float,
    store_timeout_s: float,
    subject_prefix: str = "",
) -> list[Part]:
    """Inspect the streams and the consumer, and change nothing. What `set_up` does not change is judged, too.

    `store_timeout_s` is how long one call to the store may take.

    Raises:
        BusUnavailable: JetStream refuses, in its own words.
    """
    jetstream = client.jetstream()
    parts = []
    with _asked("show streams and consumer"):
        for wanted in _streams(stream, subject_prefix):
            part, there = await _stream_part(jetstream, wanted)
            parts.append(part if there is None else _with(part, replicas(there)))
        durable = _durable(consumer, ack_wait_s, subject_prefix)
        part, found = await _consumer_part(jetstream, stream, durable)
        return [*parts, part if found is None else _with(part, _patience(found.ack_wait or 0, store_timeout_s))]


async def clock_skew_s(client: Client, stream: str) -> float | None:
    """Return how far the clock of NATS is ahead of ours, in seconds; None where the stream does not exist.

    Raises:
        BusUnavailable: JetStream does not answer.
    """
    with _asked("tell the time"):
        asked = datetime.now(UTC)
        answer = json.loads((await client.request(f"$JS.API.STREAM.INFO.{stream}", timeout=5)).data)
    if "ts" not in answer:
        return None
    middle = asked + (datetime.now(UTC) - asked) / 2
    return round((parse_rfc3339(answer["ts"]) - middle).total_seconds(), 1)


def replicas(there: StreamInfo) -> Check:
    """Judge how many copies there are, for which there have to be several servers."""
    found, clustered = there.config.num_replicas or 1, bool(there.cluster and there.cluster.name)
    return judged(
        "num_replicas",
        str(found) if clustered else f"{found} (one server, no cluster)",
        f"at least {_REPLICAS}",
        "the stream is gone with the one server that holds it",
        is_well=not clustered or found >= _REPLICAS,
    )


def _patience(ack_wait_s: float, store_timeout_s: float) -> Check:
    return judged(
        "ack_wait against the store",
        span(ack_wait_s),
        f"at least {span(2 * store_timeout_s)}, twice the store's time-out",
        "an event is handed to a second worker while the first still waits for the store",
        is_well=ack_wait_s >= 2 * store_timeout_s,
    )


def _with(part: Part, check: Check) -> Part:
    return Part(part.name, part.state, (*part.checks, check))


def _streams(events: str, prefix: str) -> list[StreamConfig]:
    return [
        _stream(events, [prefix + SCHEDULE], max_age_s=30 * _DAY_S),
        _stream(stream_name(DEAD_LETTER_STREAM, prefix), [prefix + FAILED], max_age_s=90 * _DAY_S),
    ]


def _stream(name: str, subjects: list[str], *, max_age_s: float) -> StreamConfig:
    return StreamConfig(
        name=name,
        subjects=subjects,
        storage=StorageType.FILE,
        retention=RetentionPolicy.LIMITS,
        discard=DiscardPolicy.NEW,
        max_msgs_per_subject=-1,
        max_age=max_age_s,
        duplicate_window=120,
    )


def _durable(consumer: str, ack_wait_s: float, prefix: str) -> ConsumerConfig:
    return ConsumerConfig(
        durable_name=consumer,
        filter_subject=prefix + PREPARED,
        ack_policy=AckPolicy.EXPLICIT,
        deliver_policy=DeliverPolicy.ALL,
        ack_wait=ack_wait_s,
        max_deliver=-1,
        max_ack_pending=1024,  # sixteen workers with all their slots
    )


async def _stream_part(jetstream: JetStreamContext, wanted: StreamConfig) -> tuple[Part, StreamInfo | None]:
    name = f"stream {wanted.name}"
    try:
        there = await jetstream.stream_info(wanted.name or "")
    except NotFoundError:
        return Part(name, "missing"), None
    return _part(name, there.config, wanted, _STREAM), there


async def _consumer_part(
    jetstream: JetStreamContext, stream: str, wanted: ConsumerConfig
) -> tuple[Part, ConsumerConfig | None]:
    name = f"consumer {wanted.durable_name}"
    try:
        found = (await jetstream.consumer_info(stream, wanted.durable_name or "")).config
    except NotFoundError:
        return Part(name, "missing"), None
    return _part(name, found, wanted, _CONSUMER), found


def _part(name: str, found: object, wanted: object, consequences: Mapping[str, str]) -> Part:
    checks = tuple(
        _compared(each, getattr(found, each), getattr(wanted, each), why) for each, why in consequences.items()
    )
    part = Part(name, "as wanted", checks)
    return Part(name, "differs", checks) if part.differences else part


def _compared(setting: str, found: Any, wanted: Any, consequence: str) -> Check:
    if setting in _AT_LEAST:
        limit, is_well = "at least ", found is not None and (found >= wanted or found < 0)
    else:
        limit, is_well = "", (found or None) == (wanted or None)
    return judged(setting, _shown(setting, found), limit + _shown(setting, wanted), consequence, is_well=is_well)


def _shown(setting: str, value: Any) -> str:
    if value is None or value == []:
        return "none"
    if isinstance(value, list):
        return ", ".join(_shown(setting, each) for each in value)
    return span(value) if setting in _TIMES else str(getattr(value, "value", value))


def _changes(part: Part, wanted: object) -> dict[str, Any]:
    return {each.name: getattr(wanted, each.name) for each in part.differences}


def _done(part: Part, *, apply: bool) -> Part:
    state = "created" if part.state == "missing" else "changed" if part.differences and apply else part.state
    return Part(part.name, state, part.checks)


@contextmanager
def _asked(what: str) -> Iterator[None]:
    try:
        yield
    except (NatsError, OSError, TimeoutError) as error:
        raise BusUnavailable(what, str(error) or type(error).__name__) from None
