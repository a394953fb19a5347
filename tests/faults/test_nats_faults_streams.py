"""Streams that are full, missing, or made anew while workers run, and events that are published twice."""

from __future__ import annotations

import pytest
from nats.aio.client import Client

from contracts.toolkit import Confirmation, publish_confirmed
from tests.e2e.kit import STREAM, until
from tests.faults.kit import Rig
from tests.faults.ledger import Entry
from tests.faults.publisher import leave
from tests.support.builders import PREPARED

fault, slow = pytest.mark.fault, pytest.mark.slow_fault


@pytest.mark.parametrize(
    ("broken", "whole", "told"),
    [
        pytest.param(
            *({"max_msgs": 3}, {"max_msgs": -1}, "maximum messages exceeded"),
            marks=fault(
                10, "stream full, `discard: new`", "returned to the queue, not acknowledged; done once there is room"
            ),
        ),
        pytest.param(
            *({"subjects": [PREPARED]}, {"subjects": ["kaizen.schedule.>"]}, "no JetStream stream takes this subject"),
            marks=[
                slow,
                fault(
                    10,
                    "no stream takes the follow-up event",
                    "returned to the queue, not acknowledged; done once one does",
                ),
            ],
        ),
    ],
)
def test_an_event_that_cannot_be_announced_waits(
    rig: Rig, broken: dict[str, object], whole: dict[str, object], told: str
) -> None:
    rig.emit_many(3)
    rig.change_stream(**broken)
    worker = rig.worker()
    worker.wait_for(told)
    until(lambda: len(rig.objects("refs/")) == 3, "referenced")
    assert rig.consumer().ack_floor.stream_seq == 0
    assert rig.follow_ups() == []

    rig.change_stream(**whole)

    rig.settle()
    rig.stop(worker)


async def delete_consumer(client: Client) -> None:
    assert await client.jetstream().delete_consumer(STREAM, "archiver")


async def delete_stream(client: Client) -> None:
    assert await client.jetstream().delete_stream(STREAM)


@pytest.mark.parametrize(
    ("delete", "missing"),
    [
        pytest.param(
            *(delete_consumer, "consumer"),
            marks=fault(11, "consumer deleted while workers run", "reports not-ready; continues after `archiver init`"),
        ),
        pytest.param(
            *(delete_stream, "stream"),
            marks=fault(11, "stream deleted while workers run", "reports not-ready; continues after `archiver init`"),
        ),
    ],
)
def test_what_is_deleted_is_told_and_used_again_once_it_is_back(rig: Rig, delete: object, missing: str) -> None:
    worker = rig.worker()
    old = rig.emit_many(10)
    rig.judge()
    before = rig.objects()

    rig.on_the_bus(delete)
    assert "archiver init" in worker.wait_for('"not ready"')
    rig.archiver("init")
    if missing == "stream":
        rig.emit(*old)  # the bundles too: the emitter does not know that they were archived
    rig.emit_many(10)

    rig.settle()
    assert before.items() <= rig.objects().items(), "what was written stays as it was"
    assert '"works again"' in worker.err.read_text()
    rig.stop(worker)


def publish_again(rig: Rig, entry: Entry, message_id: str) -> Confirmation:
    return rig.on_the_bus(lambda client: publish_confirmed(client, PREPARED, entry.payload, message_id=message_id))


@fault(
    *(28, "events published twice: within the window, after it, and after a restart of nats-server"),
    "one reference each",
)
def test_an_event_that_is_published_again_is_archived_once(rig: Rig) -> None:
    worker = rig.worker()
    inside, outside, restarted = rig.emit_many(3)
    assert publish_again(rig, inside, inside.name).duplicate
    assert not publish_again(rig, inside, "another id").duplicate
    rig.judge()
    before = rig.objects()

    rig.shorten_window()
    leave(rig.spool, outside)  # as an emitter that renders again does
    until(lambda: not publish_again(rig, outside, outside.name).duplicate, "the window is over")
    rig.nats.kill()
    rig.nats.start()
    assert not publish_again(rig, restarted, restarted.name).duplicate

    rig.settle()
    # More than six where the killed server had not yet written down an acknowledgement: it delivers once more.
    assert rig.consumer().delivered.consumer_seq >= 6, "each came to a worker"
    assert rig.objects() == before
    rig.stop(worker)
