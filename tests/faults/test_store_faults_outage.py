"""The store is away, overloaded, slow or silent: events wait for it, and none is held responsible."""

from __future__ import annotations

import time

import pytest

from archiver.dev_servers import S3Server
from tests.e2e.kit import until
from tests.faults.http_faults import Answer, Late, Trickle
from tests.faults.http_proxy import HttpFault, HttpProxy
from tests.faults.kit import Rig
from tests.faults.proxy import Blackhole, Fault, Refuse, Reset

fault, slow = pytest.mark.fault, pytest.mark.slow_fault
every_driver = pytest.mark.parametrize("driver", ["direct", pytest.param("boto3", marks=slow)])
SLOTS = 16
SHORT = {"ARCHIVER_STORE_TIMEOUT_S": "1"}


def struck(link: HttpProxy, times: int = 1) -> None:
    until(lambda: link.hits >= times, f"a fault that strikes {times} times")


PAUSES = "fetching pauses; then all is archived"
OUTAGES = [
    pytest.param(Refuse(), 4, marks=fault(12, "connections refused", PAUSES)),
    pytest.param(Refuse(), 60, marks=[slow, fault(12, "connections refused for a minute", PAUSES)]),
    pytest.param(Reset(), 4, marks=[slow, fault(12, "connections reset", PAUSES)]),
    pytest.param(Blackhole(), 4, marks=[slow, fault(12, "connections that nothing answers", PAUSES)]),
]


@pytest.mark.parametrize(("down", "outage_s"), OUTAGES, ids=lambda each: str(each).partition("(")[0])
def test_an_outage_costs_no_event_more_than_the_few_in_hand_a_delivery(
    rig: Rig, link: HttpProxy, down: Fault, outage_s: int
) -> None:
    worker = rig.worker(**SHORT)
    link.fault = down
    rig.emit_many(5 * SLOTS)
    worker.wait_for('"not ready"')
    time.sleep(outage_s)  # that is the fault, not a way of waiting for something

    delivered = rig.consumer().delivered.consumer_seq
    link.heal()

    rig.settle()
    assert link.hits
    assert delivered <= 2 * SLOTS, "a store that is away is no reason to take messages"
    assert '"works again"' in worker.err.read_text()


@fault(12, "SeaweedFS stopped, and started again", PAUSES)
def test_a_store_that_ends_and_comes_back_costs_nothing(rig: Rig, own_store: S3Server) -> None:
    worker = rig.worker()
    rig.emit_many(10)
    until(rig.is_drained, "archived before")
    own_store.kill()
    rig.emit_many(3 * SLOTS)
    worker.wait_for('"not ready"')

    own_store.start()

    rig.settle()


BURSTS = [(500, 0.1), *(pytest.param(*each, marks=slow) for each in [(429, 0.3), (503, 0.5), (507, 0.9)])]


@pytest.mark.parametrize(("status", "share"), BURSTS)
@fault(13, "each status for 10 to 90 % of the requests, before or after the work was done", "retried until it works")
def test_a_share_of_refusals_delays_and_loses_nothing(rig: Rig, link: HttpProxy, status: int, share: float) -> None:
    rig.worker()
    link.fault = Answer(status, share=share, seed=status)
    with rig.emitting(30, per_s=30):
        struck(link, 3)
    link.fault = Answer(status, done=True, share=share, seed=status)
    with rig.emitting(30, per_s=30):
        struck(link, 3)
    if share >= 0.5:  # an event needs six requests in a row, so most deliveries fail for as long as it lasts
        time.sleep(10)
        link.heal()

    rig.settle(120)


@pytest.mark.parametrize("status", [408, 502, 504, 301])
@fault(13, "answers of a load balancer, for every request", "retried until it works")
def test_the_answers_of_whatever_stands_before_the_store_are_no_answers(rig: Rig, link: HttpProxy, status: int) -> None:
    worker = rig.worker()
    link.fault = Answer(status)
    rig.emit_many(20)
    worker.wait_for('"not ready"')

    link.heal()

    rig.settle()
    assert link.hits


LATE = [
    pytest.param(Late(answered_s=30, times=1), id="blob"),
    pytest.param(Late(answered_s=30, method="GET", key="blobs/", times=1), id="read-back", marks=slow),
    pytest.param(Late(answered_s=30, key="refs/", times=1), id="reference", marks=slow),
]


@every_driver
@pytest.mark.parametrize("late", LATE)
@fault(15, "an answer after 30 s, time-out 1 s", "the slot is free again; all is archived")
def test_an_answer_that_does_not_come_frees_its_slot(rig: Rig, link: HttpProxy, driver: str, late: HttpFault) -> None:
    frees_its_slot(rig, link, driver, late)


@pytest.mark.parametrize(
    "driver",
    ["direct", pytest.param("boto3", marks=slow)],
)
@pytest.mark.parametrize("method", [pytest.param("PUT", marks=slow), "GET"])
@fault(15, "an answer byte by byte, time-out 1 s", "the slot is free again; all is archived")
def test_an_answer_that_trickles_frees_its_slot(rig: Rig, link: HttpProxy, driver: str, method: str) -> None:
    frees_its_slot(rig, link, driver, Trickle(0.5, method=method, key="blobs/", times=1))


def frees_its_slot(rig: Rig, link: HttpProxy, driver: str, late: HttpFault) -> None:
    rig.worker(ARCHIVER_STORE=driver, ARCHIVER_SLOTS="1", **SHORT)
    link.fault = late
    rig.emit_many(3)
    struck(link)

    rig.settle(25)


@every_driver
@pytest.mark.parametrize("key", [pytest.param("blobs/", marks=slow), "refs/"])
@fault(15, "a write that the store gets 6 s late, its client long gone", "it finds its key in use, and changes nothing")
def test_a_write_that_lands_late_changes_nothing(rig: Rig, link: HttpProxy, driver: str, key: str) -> None:
    rig.worker(ARCHIVER_STORE=driver, **SHORT)
    link.fault = Late(6, method="PUT", key=key, times=1)
    rig.emit_many(1)
    struck(link)
    rig.settle()
    before = rig.objects()

    until(lambda: link.statuses("PUT", key) == [200, 412], "the late write has landed")

    rig.judge()
    assert rig.objects() == before
