"""One worker over time: stopping, idling, a bus that comes and goes, work that lasts."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from archiver.core.outcome import Cause, Outcome, Retry
from archiver.ports import Backlog, Message
from tests.support.builders import MemoryDelivery, MemoryInbox, message
from tests.support.worker import DONE, LOST, SOON_S, always, consumer, deliveries, until, until_idle


def test_on_stop_it_fetches_no_more_finishes_work_and_returns_the_rest() -> None:
    taken, waiting = deliveries(4), deliveries(2)
    started: list[int] = []

    async def steps() -> Counter[str]:
        stop, release = asyncio.Event(), asyncio.Event()

        async def process(message: Message) -> Outcome:
            started.append(message.sequence)
            if message.sequence % 2:
                await release.wait()
            else:
                await asyncio.Event().wait()  # for ever
            return DONE

        inbox = MemoryInbox(waiting=list(taken))
        running = asyncio.create_task(consumer(inbox, process, grace_s=0.05).run(stop, until_idle=False))
        await until(lambda: len(started) == 4)
        inbox.waiting = list(waiting)
        stop.set()
        release.set()
        return await asyncio.wait_for(running, SOON_S)

    tally = asyncio.run(steps())

    assert tally == {"archived": 2, "returned": 2}
    assert [each.answer for each in taken] == ["acknowledge", "retry", "acknowledge", "retry"]
    assert [each.after_s for each in taken if each.answer == "retry"] == [0, 0]
    assert [each.journal for each in waiting] == [[], []]


def test_told_to_stop_with_nothing_in_hand_it_stops() -> None:
    async def steps() -> Counter[str]:
        stop, inbox = asyncio.Event(), MemoryInbox()
        running = asyncio.create_task(consumer(inbox, always(DONE)).run(stop, until_idle=False))
        await until(lambda: len(inbox.asked) > 3)
        assert not running.done()
        stop.set()
        return await asyncio.wait_for(running, SOON_S)

    assert asyncio.run(steps()) == {}


def test_until_idle_waits_for_messages_that_were_handed_back_for_later() -> None:
    late = MemoryDelivery(message=message())
    inbox = MemoryInbox(waiting=[late])

    async def process(message: Message) -> Outcome:
        return Retry(2, Cause.BUNDLE_NOT_THERE, "no bundle yet") if message.deliveries == 1 else DONE

    # The bus holds the message back for a while, and counts it as unanswered until then.
    again = MemoryDelivery(message=message(deliveries=2))

    def unanswered() -> int:
        if late.answer == "retry" and inbox.journal.count("backlog") == 3 and again.answer is None:
            inbox.waiting = [again]
        return 0 if again.answer else 1

    inbox.unanswered = unanswered

    assert until_idle(inbox, process) == {"retried": 1, "archived": 1}
    assert inbox.journal.count("backlog") >= 4


def test_until_idle_does_not_take_a_bus_that_cannot_say_for_an_empty_one() -> None:
    inbox = MemoryInbox()
    asked = 0

    async def backlog() -> Backlog:
        nonlocal asked
        asked += 1
        if asked < 3:
            raise LOST
        return Backlog(0, 0)

    inbox.backlog = backlog  # type: ignore[method-assign]

    assert until_idle(inbox, always(DONE)) == {}
    assert asked == 3


def test_a_bus_that_cannot_be_asked_for_messages_does_not_end_the_worker() -> None:
    inbox = MemoryInbox(waiting=deliveries(1), fails={"fetch": LOST})

    async def steps() -> Counter[str]:
        running = asyncio.create_task(consumer(inbox, always(DONE)).run(asyncio.Event(), until_idle=True))
        await until(lambda: "fetch" in inbox.journal)
        inbox.fails.clear()
        return await asyncio.wait_for(running, SOON_S)

    assert asyncio.run(steps()) == {"archived": 1}


def test_a_worker_that_waits_for_its_bus_stops_at_once_when_told_to() -> None:
    inbox = MemoryInbox(fails={"fetch": LOST})

    async def steps() -> float:
        stop = asyncio.Event()
        running = asyncio.create_task(consumer(inbox, always(DONE)).run(stop, until_idle=False))
        await until(lambda: "fetch" in inbox.journal)
        stop.set()
        begin = asyncio.get_running_loop().time()
        await asyncio.wait_for(running, SOON_S)
        return asyncio.get_running_loop().time() - begin

    assert asyncio.run(steps()) < 0.5


@pytest.mark.parametrize("fails", [{}, {"still working": LOST}], ids=["heard", "not heard"])
def test_work_that_lasts_asks_for_more_time_until_it_is_done(fails: dict[str, Exception]) -> None:
    delivery = MemoryDelivery(message=message(), fails=fails)

    async def process(_: Message) -> Outcome:
        await until(lambda: delivery.journal.count("still working") >= 3)
        return DONE

    assert until_idle(MemoryInbox(waiting=[delivery]), process, ack_wait_s=0.03) == {"archived": 1}
    assert delivery.journal[-1] == "acknowledge"
