"""A worker that dies or stands still between any two steps: what it left is harmless, and the next delivery ends it."""

from __future__ import annotations

import signal

import pytest

from tests.e2e.kit import until
from tests.faults.failpoints import POINTS
from tests.faults.kit import Rig, is_frozen
from tests.faults.ledger import dead, entries

fault, slow = pytest.mark.fault, pytest.mark.slow_fault
[ENTRY] = entries(1)
BLOB, REFERENCE = ENTRY.blob_key, ENTRY.ref_key
POISON = dead(b'{"event": "kaizen.schedule.prepared"', "not_json")
KILLED = "SIGKILL of the worker"

DEATHS = [  # at which point; what it leaves behind: objects, follow-up events
    pytest.param("before blobs", [], 0, marks=fault(1, f"{KILLED} before the blob", "stored by the next delivery")),
    pytest.param("after blobs", [BLOB], 0, marks=fault(2, f"{KILLED} after the blob", "the blob is found, and used")),
    pytest.param(
        *("after read-back", [BLOB], 0),
        marks=[slow, fault(2, f"{KILLED} after the blob was read back", "the blob is found, and used")],
    ),
    pytest.param(
        *("before refs", [BLOB], 0),
        marks=[slow, fault(2, f"{KILLED} before the reference", "the blob is found, and used")],
    ),
    pytest.param(
        *("after refs", [BLOB, REFERENCE], 0),
        marks=fault(3, f"{KILLED} after the reference", "the reference is found, and announced"),
    ),
    pytest.param(
        *("before announce", [BLOB, REFERENCE], 0),
        marks=[slow, fault(3, f"{KILLED} before the follow-up event", "the reference is found, and announced")],
    ),
    pytest.param(
        *("after announce", [BLOB, REFERENCE], 1),
        marks=fault(4, f"{KILLED} after the follow-up event", "announced again under the same id, then acknowledged"),
    ),
    pytest.param(
        *("before ack", [BLOB, REFERENCE], 1),
        marks=fault(4, f"{KILLED} before the acknowledgement", "announced again under the same id, then acknowledged"),
    ),
]


def killed(rig: Rig, point: str) -> None:
    worker = rig.failing_worker(f"{point}: kill")
    assert worker.ended() == -signal.SIGKILL, worker.err.read_text()
    assert f"failpoint {point}: kill" in worker.err.read_text()


@pytest.mark.parametrize(("point", "left", "announced"), DEATHS)
def test_a_killed_workers_event_ends_with_one_reference_a_right_blob_and_a_follow_up(
    rig: Rig, point: str, left: list[str], announced: int
) -> None:
    rig.emit(ENTRY)
    killed(rig, point)
    assert rig.consumer().num_ack_pending == 1, "it had the message in hand, and did not answer"
    before = rig.objects()
    assert (list(before), len(rig.follow_ups())) == (left, announced)

    rig.worker()

    rig.settle()
    assert before.items() <= rig.objects().items(), "what was written stays as it was"
    assert len(rig.follow_ups()) == 1, "the same id again, within the window"


@pytest.mark.parametrize("point", ["before dead letter", "after dead letter", "before terminate"])
def test_a_killed_workers_poison_ends_as_one_dead_letter(rig: Rig, point: str) -> None:
    rig.emit(POISON)
    killed(rig, point)
    assert rig.consumer().num_ack_pending == 1
    assert len(rig.letters()) == (point != "before dead letter")

    rig.worker()

    rig.judge()


@slow
def test_workers_killed_one_after_another_at_every_point_lose_and_double_nothing(rig: Rig) -> None:
    rig.emit_many(60)
    for point in (each.values[0] for each in DEATHS):
        killed(rig, str(point))
    rig.emit(POISON)  # only now, or one that was to die of something else would bury it
    killed(rig, "after dead letter")

    rig.worker()

    rig.judge()


def test_the_points_are_those_of_the_promise() -> None:
    tried = {str(each.values[0]) for each in DEATHS} | {"before dead letter", "after dead letter", "before terminate"}

    # Between two steps, dying after the one is dying before the other; after the last answer nothing is left to do.
    assert set(POINTS) - tried == {"before read-back", "after ack", "after terminate"}


@pytest.mark.parametrize("count", [2, pytest.param(8, marks=slow)])
@fault(
    20, "2 and 8 workers frozen while they hold one event, past its ack wait, then all woken", "one reference, one blob"
)
def test_workers_that_all_get_one_event_archive_it_once(rig: Rig, count: int) -> None:
    points = ["before blobs", "before read-back", "after read-back", "before refs"]
    rig.emit(ENTRY)
    workers = [
        rig.failing_worker(f"{points[number % len(points)]}: freeze", ARCHIVER_SLOTS="1") for number in range(count)
    ]
    for each in workers:
        until(lambda each=each: is_frozen(each), "frozen with the event in hand")
    assert rig.consumer().delivered.consumer_seq >= count, "each has got it"

    with rig.recovery():
        for each in workers:
            each.signal(signal.SIGCONT)
        rig.judge()
    for each in workers:
        rig.stop(each)
