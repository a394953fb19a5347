"""What is sent, stored or read is not what it should be: nothing is acknowledged before what was read back is right."""

from __future__ import annotations

import signal

import pytest

from tests.e2e.kit import until
from tests.faults.http_faults import (
    Answer,
    CutAnswer,
    CutRequest,
    FlipAnswer,
    FlipRequest,
    LoseAnswer,
    Signer,
    StripHeader,
    SwallowBody,
)
from tests.faults.http_proxy import HttpFault, HttpProxy
from tests.faults.kit import Rig
from tests.faults.proxy import Fault
from tests.faults.publisher import leave

fault, slow = pytest.mark.fault, pytest.mark.slow_fault
every_driver = pytest.mark.parametrize("driver", ["direct", pytest.param("boto3", marks=slow)])


def signer(rig: Rig) -> Signer:
    return Signer(rig.store.access_key, rig.store.secret_key)


IN_FLIGHT = [
    pytest.param(
        LoseAnswer(method="PUT", key="blobs/", times=2),
        [200, 412, 412],
        marks=fault(14, "answer of the blob's write lost, twice", "the key in use is read back: it is ours"),
    ),
    pytest.param(
        LoseAnswer(method="PUT", key="refs/", times=2),
        [200],
        marks=fault(14, "answer of the reference's write lost, twice", "the key in use is read: it is ours"),
    ),
    pytest.param(
        CutRequest(5, method="PUT", key="blobs/", times=2),
        [499, 499, 200],
        marks=fault(16, "the blob's body ends after 5 bytes, twice", "the store keeps nothing; sent again"),
    ),
    pytest.param(
        CutRequest(5, method="PUT", key="refs/", times=2),
        [200],
        marks=fault(16, "the reference's body ends after 5 bytes, twice", "the store keeps nothing; sent again"),
    ),
    pytest.param(
        CutAnswer(5, method="GET", key="blobs/", times=2),
        [200],
        marks=fault(16, "what is read back ends after 5 bytes, twice", "read again"),
    ),
    pytest.param(
        FlipRequest(method="PUT", key="blobs/", times=2),
        [400, 400, 200],
        marks=fault(17, "a bit of the blob flipped on its way to the store, twice", "the store refuses it; sent again"),
    ),
    pytest.param(
        FlipRequest(method="PUT", key="refs/", times=2),
        [200],
        marks=fault(17, "a bit of the reference flipped on its way, twice", "the store refuses it; sent again"),
    ),
    pytest.param(
        FlipAnswer(method="GET", key="blobs/", times=1),
        [200, 200],
        marks=fault(17, "a bit flipped as it is read back", "written and read back once more"),
    ),
]


@every_driver
@pytest.mark.parametrize(("damage", "written"), IN_FLIGHT)
def test_damage_on_the_way_is_found_and_the_right_bytes_are_there_in_the_end(
    rig: Rig, link: HttpProxy, driver: str, damage: Fault, written: list[int]
) -> None:
    rig.worker(ARCHIVER_STORE=driver)
    link.fault = damage

    rig.emit_many(1)

    rig.settle()
    assert link.hits == damage.times
    assert link.statuses("PUT", "blobs/") == written


@every_driver
@pytest.mark.parametrize("kind", ["swallow", "flip"])
@fault(18, "a store that answers 200 and keeps nothing, or other bytes, once", "found by reading back; written again")
def test_a_store_that_keeps_something_else_is_found_out_and_put_right(
    rig: Rig, link: HttpProxy, driver: str, kind: str
) -> None:
    rig.worker(ARCHIVER_STORE=driver)
    link.fault = lying(rig, kind, key="blobs/", times=1)

    rig.emit_many(3)

    rig.settle()
    assert link.hits == 1
    assert link.statuses("PUT", "blobs/") == [200] * 4, "three blobs, and one of them twice"


@slow
@pytest.mark.parametrize("kind", ["swallow", "flip"])
@fault(18, "a store that repeatedly keeps something else", "nothing is acknowledged while it does")
def test_while_a_store_keeps_something_else_nothing_is_acknowledged(rig: Rig, link: HttpProxy, kind: str) -> None:
    rig.worker()
    link.fault = lying(rig, kind, key="blobs/")
    rig.emit_many(3)
    until(lambda: link.hits >= 6, "each blob written, and written again")
    until(lambda: rig.started[0].err.read_text().count('"retried"') >= 3, "each handed back")
    assert not rig.objects("refs/")
    assert not rig.follow_ups()
    assert rig.consumer().num_ack_pending == 3

    link.heal()

    rig.settle(90)


@pytest.mark.parametrize("kind", ["swallow", "flip"])
@fault(18, "a store that answers 200 and keeps another reference, once", "found by reading back; written again")
def test_a_reference_that_is_not_kept_as_sent_is_found_out_and_put_right(rig: Rig, link: HttpProxy, kind: str) -> None:
    rig.worker()
    link.fault = lying(rig, kind, key="refs/", times=1)

    rig.emit_many(3)

    rig.settle()
    assert link.hits == 1


@slow
@pytest.mark.parametrize("kind", ["swallow", "flip"])
@fault(18, "a store that repeatedly keeps another reference", "not announced while it does; then written again")
def test_a_reference_that_was_left_damaged_is_believed_by_nobody(rig: Rig, link: HttpProxy, kind: str) -> None:
    rig.worker()
    link.fault = lying(rig, kind, key="refs/")
    rig.emit_many(3)
    until(lambda: rig.started[0].err.read_text().count('"retried"') >= 3, "each handed back")
    assert len(rig.objects("refs/")) == 3
    assert not rig.follow_ups()

    link.heal()

    rig.settle(90)


def lying(rig: Rig, kind: str, **where: object) -> HttpFault:
    makers = {"swallow": SwallowBody, "flip": FlipRequest}
    return makers[kind](signer(rig), method="PUT", **where)


@every_driver
@fault(18, "the blob's key overwritten by somebody else before the event", "found by reading back; written again")
def test_a_key_that_somebody_else_has_written_is_put_right(rig: Rig, link: HttpProxy, driver: str) -> None:
    [entry] = rig.emit_many(1)
    rig.overwrite(entry.blob_key, b"something else")

    rig.worker(ARCHIVER_STORE=driver)

    rig.settle()
    assert link.statuses("PUT", "blobs/") == [412, 200]


@every_driver
@fault(19, "If-None-Match removed, from the start; a worker killed; repeats", "found by the probe; one reference each")
def test_the_probe_finds_a_store_that_ignores_conditions_one_reference_each(
    rig: Rig, link: HttpProxy, driver: str
) -> None:
    link.fault = StripHeader("If-None-Match", signer(rig), header="If-None-Match")
    entries = rig.emit_many(20)
    killed = rig.failing_worker("after refs: kill", ARCHIVER_STORE=driver)
    assert killed.ended() == -signal.SIGKILL, killed.err.read_text()
    before = rig.objects("refs/")
    assert before

    worker = rig.worker(ARCHIVER_STORE=driver)

    rig.settle()
    assert link.hits
    assert '"create_only": "ignored"' in worker.err.read_text()
    after = rig.objects("refs/")
    assert before.items() <= after.items(), "the first reference stays"
    assert len(after) == len(entries)

    leave(rig.spool, entries[0])
    rig.publish(entries[0].payload, message_id="once more")
    until(lambda: rig.consumer().ack_floor.stream_seq > len(entries) and rig.is_drained(), "that one answered, too")
    rig.judge()
    assert rig.objects("refs/") == after


@every_driver
@fault(19, "501 for every conditional write, from the start", "found by the probe; written without, and read back")
def test_a_store_that_refuses_conditions_is_written_to_without(rig: Rig, link: HttpProxy, driver: str) -> None:
    link.fault = Answer(501, header="If-None-Match")
    worker = rig.worker(ARCHIVER_STORE=driver)

    rig.emit_many(20)

    rig.settle()
    assert link.hits
    assert '"create_only": "refused"' in worker.err.read_text()


@every_driver
@pytest.mark.parametrize("done", [False, True])
@fault(19, "409 for conditional writes, done or not, twice for each key", "retried; settled by reading back")
def test_a_conflict_is_no_proof_and_is_tried_again(rig: Rig, link: HttpProxy, driver: str, *, done: bool) -> None:
    rig.worker(ARCHIVER_STORE=driver)
    for key in ("blobs/", "refs/"):
        link.fault = Answer(409, header="If-None-Match", key=key, times=2, done=done)
        rig.emit_many(1)
        until(rig.is_drained, "archived all the same")
        assert link.hits == 2

    rig.settle()


@every_driver
@fault(19, "412 for a write whose key is free", "read back, found missing, and written")
def test_a_412_is_no_proof_that_anything_is_there(rig: Rig, link: HttpProxy, driver: str) -> None:
    rig.worker(ARCHIVER_STORE=driver)
    link.fault = Answer(412, header="If-None-Match", key="blobs/", times=1)

    rig.emit_many(1)

    rig.settle()
    assert link.hits == 1
    assert link.statuses("PUT", "blobs/") == [200]
