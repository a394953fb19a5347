"""One worker: what it takes, what it answers, and that one message's trouble stays one message's."""

from __future__ import annotations

import asyncio

import pytest
import structlog

from archiver.core.announcement import dead_letter_id
from archiver.core.outcome import Ack, Cause, Outcome, Retry
from archiver.ports import Message
from tests.support.builders import House, MemoryDelivery, MemoryInbox, RecordingAnnouncer, message, prepared
from tests.support.worker import DEAD, DONE, LOST, always, deliveries, until_idle


@pytest.mark.parametrize(
    ("outcome", "answer", "tallied"),
    [
        (DONE, "acknowledge", "archived"),
        (Ack("key", "refs/key", "blobs/key", 1, repeated=True), "acknowledge", "archived again"),
        (Retry(7.5, Cause.STORE_UNAVAILABLE, "the store is down"), "retry", "retried"),
        (DEAD, "terminate", "dead-lettered"),
    ],
    ids=["ack", "repeated", "retry", "dead"],
)
def test_each_outcome_has_its_answer_and_is_counted(outcome: Outcome, answer: str, tallied: str) -> None:
    taken = deliveries(3)

    tally = until_idle(MemoryInbox(waiting=list(taken)), always(outcome))

    assert [each.journal for each in taken] == [[answer]] * 3
    assert tally == {tallied: 3}
    if isinstance(outcome, Retry):
        assert [each.after_s for each in taken] == [7.5] * 3


def test_an_event_is_acknowledged_only_after_everything_else_is_done() -> None:
    house = House(release=True)
    delivery = MemoryDelivery(house.journal, message=message(prepared().payload))

    until_idle(MemoryInbox(waiting=[delivery]), house.pipeline.process)

    assert house.journal == [
        *("open bundle", "create blobs", "read blobs", "close bundle", "create refs", "read refs", "look for blobs"),
        *("announce kaizen.schedule.archived", "release bundle", "acknowledge"),
    ]


def test_an_event_that_could_not_be_announced_is_not_acknowledged() -> None:
    house = House(release=True)
    house.fail("announce kaizen.schedule.archived", LOST)
    delivery = MemoryDelivery(house.journal, message=message(prepared().payload))

    until_idle(MemoryInbox(waiting=[delivery]), house.pipeline.process)

    assert house.journal[-2:] == ["announce kaizen.schedule.archived", "retry"]


@pytest.mark.parametrize("slots", [1, 3, 16])
def test_no_more_messages_are_in_hand_than_there_are_slots(slots: int) -> None:
    taken, at_once, most = deliveries(20), 0, 0

    async def process(_: Message) -> Outcome:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        for _ in range(5):
            await asyncio.sleep(0)
        at_once -= 1
        return DONE

    inbox = MemoryInbox(waiting=list(taken))
    tally = until_idle(inbox, process, slots=slots)

    assert tally == {"archived": 20}
    assert most == slots, "all of them are used"
    assert max(inbox.asked) == slots
    assert 0 not in inbox.asked


def test_a_slow_message_does_not_keep_the_others_waiting() -> None:
    taken, release = deliveries(6), asyncio.Event()

    async def process(message: Message) -> Outcome:
        if message.sequence == 1:
            await release.wait()
        elif message.sequence == 6:
            release.set()
        return DONE

    assert until_idle(MemoryInbox(waiting=list(taken)), process, slots=2) == {"archived": 6}


def test_a_defect_that_one_message_meets_stays_that_messages() -> None:
    taken = deliveries(5)

    async def process(message: Message) -> Outcome:
        if message.sequence == 3:
            raise ZeroDivisionError("a defect of ours")
        return DONE

    with structlog.testing.capture_logs() as lines:
        log = structlog.wrap_logger(structlog.testing.ReturnLogger(), processors=structlog.get_config()["processors"])
        tally = until_idle(MemoryInbox(waiting=list(taken)), process, log=log)

    assert tally == {"archived": 4, "retried": 1}
    assert [each.answer for each in taken] == ["acknowledge"] * 2 + ["retry"] + ["acknowledge"] * 2
    assert taken[2].after_s == 150, "it would most likely fail again at once"
    told = [line for line in lines if line.get("exc_info")]
    assert [(line["sequence"], line["log_level"]) for line in told] == [(3, "error")]


def test_a_message_is_terminated_only_once_its_dead_letter_is_stored() -> None:
    journal: list[str] = []
    delivery = MemoryDelivery(journal, message=message(b"{", sequence=41))
    letters = RecordingAnnouncer(journal)

    tally = until_idle(MemoryInbox(waiting=[delivery]), always(DEAD), dead_letters=letters)

    assert journal == ["announce kaizen.archive.failed", "terminate"]
    [(subject, letter, message_id)] = letters.said
    assert (subject, message_id) == ("kaizen.archive.failed", dead_letter_id(delivery.message))
    assert (letter["reason"], letter["detail"]) == ("not_json", "cut short")
    assert tally == {"dead-lettered": 1}


def test_a_message_whose_dead_letter_is_not_stored_is_left_to_be_delivered_again() -> None:
    journal: list[str] = []
    delivery = MemoryDelivery(journal, message=message(b"{"))
    letters = RecordingAnnouncer(journal, {"announce kaizen.archive.failed": LOST})

    tally = until_idle(MemoryInbox(waiting=[delivery]), always(DEAD), dead_letters=letters)

    assert journal == ["announce kaizen.archive.failed"]
    assert tally == {"unanswered": 1}


@pytest.mark.parametrize(
    ("outcome", "answer"),
    [(DONE, "acknowledge"), (Retry(1, Cause.BUNDLE_NOT_THERE, "later"), "retry"), (DEAD, "terminate")],
    ids=["ack", "retry", "dead"],
)
def test_an_unconfirmed_acknowledgement_leaves_one_message_open_others_go_on(outcome: Outcome, answer: str) -> None:
    taken = deliveries(3)
    taken[1].fails[answer] = LOST

    tally = until_idle(MemoryInbox(waiting=list(taken)), always(outcome))

    assert taken[1].journal == [answer], "nothing is said in its place"
    assert tally["unanswered"] == 1
    assert sum(tally.values()) == 3
