"""A worker killed between any two steps of the order leaves nothing that the next one does not put right."""

from __future__ import annotations

import signal
from hashlib import sha256

import pytest

from archiver.core.keys import blob_key, ref_key
from tests.builders import BUNDLE, event, payload_bytes, prepared
from tests.e2e.killed_worker import POINTS
from tests.e2e.kit import Kit

BLOB = blob_key(sha256(BUNDLE).hexdigest(), "md")
REFERENCE = ref_key(prepared())
LEFT = {  # what a kill at each point leaves behind: objects, follow-up events, dead letters
    "after blobs": ([BLOB], 0, 0),
    "after refs": ([BLOB, REFERENCE], 0, 0),
    "after kaizen.schedule.archived": ([BLOB, REFERENCE], 1, 0),
}


def left(kit: Kit) -> tuple[list[str], int, int]:
    return list(kit.objects()), len(kit.follow_ups()), len(kit.letters())


def killed(kit: Kit, point: str) -> None:
    worker = kit.start("python", "-m", "tests.e2e.killed_worker", point)
    assert worker.ended() == -signal.SIGKILL, worker.err.read_text()
    assert kit.consumer().num_ack_pending == 1, "it had the message in hand, and did not answer"


@pytest.mark.parametrize("point", LEFT)
def test_a_killed_workers_event_ends_with_one_reference_a_right_blob_and_a_follow_up(kit: Kit, point: str) -> None:
    this = kit.publish(event())
    killed(kit, point)
    assert left(kit) == LEFT[point]
    before = kit.objects()

    kit.archiver("run", "--until-idle")

    after = kit.objects()
    assert list(after) == [BLOB, REFERENCE]
    assert after[BLOB] == BUNDLE
    assert before.items() <= after.items(), "what was written stays as it was"
    assert {each["source_event"]["sha256"] for each in kit.follow_ups()} == {this.key}
    assert kit.letters() == []
    assert kit.is_drained()


def test_a_killed_workers_poison_ends_as_one_dead_letter(kit: Kit) -> None:
    kit.publish(payload_bytes(event(cadence="fortnightly")))
    killed(kit, "after kaizen.archive.failed")
    assert left(kit) == ([], 0, 1)

    kit.archiver("run", "--until-idle")

    assert left(kit) == ([], 0, 1)
    assert kit.is_drained()


def test_every_point_of_the_order_is_tried() -> None:
    assert [*LEFT, "after kaizen.archive.failed"] == POINTS
