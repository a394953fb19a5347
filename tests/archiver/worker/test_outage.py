"""One worker through an outage: it stops taking messages, says that it is not ready, and comes back by itself."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
import structlog

from archiver.core.breaker import State
from archiver.core.errors import BusSilent, StoreRefuses
from archiver.core.outcome import Cause, Outcome, Retry
from archiver.ports import Message
from archiver.worker.health import Health
from archiver.worker.watchdog import GIVE_UP_AT, RECONNECT_AT, RESUBSCRIBE_AT
from tests.support.builders import MemoryDelivery, MemoryInbox, message
from tests.support.worker import DONE, LOST, SOON_S, always, consumer, deliveries, until, until_idle

DOWN = Retry(5, Cause.STORE_UNAVAILABLE, "503 SlowDown")
REFUSES = StoreRefuses("read bucket", "403 AccessDenied")
SILENT = BusSilent("deliver messages", "connected, and no answer within 2 s")


def log() -> structlog.typing.FilteringBoundLogger:
    return structlog.wrap_logger(structlog.testing.ReturnLogger(), processors=structlog.get_config()["processors"])


class Probe:
    """A store that is away for the first `failures` looks at it."""

    def __init__(self, failures: int) -> None:
        self.failures, self.looks = failures, 0

    async def __call__(self) -> None:
        self.looks += 1
        if self.looks <= self.failures:
            raise REFUSES


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archiver.core.breaker.Breaker.probe_after_s", lambda *_: 0.001)


@pytest.mark.usefixtures("impatient")
def test_in_an_outage_a_worker_stops_fetching_probes_tries_one_and_goes_on() -> None:
    inbox, probe, away, most = MemoryInbox(waiting=deliveries(20)), Probe(3), True, 0

    async def process(_: Message) -> Outcome:
        return DOWN if away else DONE

    async def steps() -> Counter[str]:
        nonlocal away, most
        health = Health(log())
        worker = consumer(inbox, process, probe=probe, health=health)
        running = asyncio.create_task(worker.run(asyncio.Event(), until_idle=True))
        await until(lambda: probe.looks == 2)
        assert len(inbox.waiting) >= 12, "four, and fewer once they have failed"
        assert not health.ready
        assert "403 AccessDenied" in health.problems["store"]
        away, asked = False, len(inbox.asked)
        tally = await asyncio.wait_for(running, SOON_S)
        most = inbox.asked[asked]
        assert health.ready
        return tally

    tally = asyncio.run(steps())
    assert (tally.total(), tally.keys()) == (20, {"retried", "archived"})
    assert 5 <= tally["retried"] <= 8
    assert most == 1, "after the probe, one"


@pytest.mark.parametrize("cause", [Cause.STORE_UNAVAILABLE, Cause.STORE_REFUSES])
def test_a_key_that_fails_again_and_again_in_a_store_that_works_stops_no_other_event(cause: Cause) -> None:
    health = Health(log())
    worker = consumer(MemoryInbox(), always(DONE), health=health)
    poison, good = MemoryDelivery(message=message(sequence=1)), MemoryDelivery(message=message(sequence=2))
    failure = Retry(5, cause, "this key is refused")

    async def steps() -> None:
        for _ in range(20):
            worker._note(1, failure, 0.0)
            await worker._carry_out(poison, failure, log())
            if worker.breaker.state is not State.CLOSED:  # as the first refusal does, and a probe ends
                worker.breaker.probed(answered=True)
            worker._note(2, DONE, 0.0)
            await worker._carry_out(good, DONE, log())
            assert worker.breaker.state is State.CLOSED
        worker._note(1, failure, 0.0)

    asyncio.run(steps())
    assert worker.breaker.state is State.CLOSED
    assert health.ready


def test_a_message_that_fails_again_while_nothing_is_archived_counts_as_an_outage() -> None:
    worker = consumer(MemoryInbox(), always(DONE))
    delivery = MemoryDelivery(message=message(sequence=1))

    async def steps() -> None:
        for _ in range(5):
            worker._note(1, DOWN, 0.0)
            await worker._carry_out(delivery, DOWN, log())

    asyncio.run(steps())
    assert worker.breaker.state is State.OPEN


@pytest.mark.usefixtures("impatient")
def test_a_worker_that_looks_for_its_store_stops_at_once_when_told_to() -> None:
    async def for_ever() -> None:
        await asyncio.Event().wait()

    async def steps() -> None:
        stop, asked = asyncio.Event(), asyncio.Event()

        async def probe() -> None:
            asked.set()
            await for_ever()

        refused = Retry(5, Cause.STORE_REFUSES, "403")
        worker = consumer(MemoryInbox(waiting=deliveries(1)), always(refused), probe=probe)
        running = asyncio.create_task(worker.run(stop, until_idle=False))
        await asked.wait()
        stop.set()
        await asyncio.wait_for(running, SOON_S)

    asyncio.run(steps())


def test_what_stands_in_the_way_is_told_when_it_begins_and_when_it_is_over() -> None:
    with structlog.testing.capture_logs() as lines:
        health = Health(log())
        for why in ("503", "503", "timed out"):
            health.wrong("store", why)
        health.wrong("bus", "not connected")
        health.fine("store")
        health.fine("store")
        assert not health.ready
        health.fine("bus")

    assert [(line["event"], line["part"]) for line in lines] == [
        ("not ready", "store"),
        ("not ready", "bus"),
        ("works again", "store"),
        ("works again", "bus"),
    ]
    assert health.ready


def test_a_silent_bus_is_resubscribed_then_reconnected_then_left_to_the_supervisor() -> None:
    inbox = MemoryInbox(fails={"fetch": SILENT})

    with pytest.raises(BusSilent):
        until_idle(inbox, always(DONE))

    steps = [call for call in inbox.journal if call not in {"fetch", "backlog"}]
    assert steps == ["resubscribe", "reconnect"]
    assert inbox.journal[: inbox.journal.index("resubscribe")].count("fetch") == RESUBSCRIBE_AT
    assert inbox.journal[: inbox.journal.index("reconnect")].count("fetch") == RECONNECT_AT
    assert inbox.journal.count("fetch") == GIVE_UP_AT


def test_a_worker_that_gives_up_hands_back_what_it_has_in_hand() -> None:
    taken = deliveries(1)
    inbox = MemoryInbox(waiting=list(taken))

    async def process(_: Message) -> Outcome:
        inbox.fails["fetch"] = SILENT
        return await asyncio.Event().wait()  # type: ignore[return-value] # for ever

    with pytest.raises(BusSilent):
        until_idle(inbox, process, grace_s=0.01)

    assert taken[0].answer == "retry"


def test_an_outage_of_the_bus_is_no_silence_however_long_it_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archiver.worker.consumer._FETCH_WAIT_S", 0.0001)
    inbox = MemoryInbox(waiting=deliveries(1), fails={"fetch": LOST})

    async def steps() -> Counter[str]:
        running = asyncio.create_task(consumer(inbox, always(DONE)).run(asyncio.Event(), until_idle=True))
        await until(lambda: inbox.journal.count("fetch") > 2 * GIVE_UP_AT)
        inbox.fails.clear()
        return await asyncio.wait_for(running, SOON_S)

    assert asyncio.run(steps()) == {"archived": 1}
