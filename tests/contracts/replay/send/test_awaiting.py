"""What is replayed is matched with what the archiver announces of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from contracts.bus.access import NatsAccess
from contracts.bus.connection import round_trip
from contracts.errors import BadInput, Exit
from contracts.replay.send.report import ReplayReport
from contracts.replay.send.run import execute
from tests.contracts.replay.send.runs import key_of, write_plan
from tests.faults.proxy import LOOPBACK, Proxy, Refuse
from tests.support.bus import Bus

ARCHIVED = "staging.kaizen.schedule.archived"


def replay(bus: Bus, folder: Path, announces: Callable[[int], list[str]], **how: Any) -> ReplayReport:
    """Carry a run out beside an archiver that announces, for each number that comes, the keys that it is told to.

    `through` is the URL that the run takes; `after` is a number, and what is done when it has been announced.
    """
    subject, within_s = how.get("subject", ARCHIVED), how.get("within_s", 10.0)
    last, then = how.get("after", (None, None))

    async def both() -> ReplayReport:
        client = await nats.connect(bus.url)

        async def archive(message: Msg) -> None:
            number = json.loads(message.data)["number"]
            for key in announces(number):
                await client.publish(subject, json.dumps({"source_event": {"sha256": key}}).encode())
            if number == last:
                await then(client)

        await client.subscribe("staging.kaizen.schedule.prepared", cb=archive)
        await round_trip(client)
        access = NatsAccess(how.get("through", bus.url))
        try:
            return await execute(folder, access=access, concurrency=20, await_archived_s=within_s)
        finally:
            await client.close()

    return asyncio.run(both())


@pytest.mark.parametrize("stream", ["STAGING", None])
def test_every_event_that_is_announced_has_a_latency(stream: str | None, staging: Bus, tmp_path: Path) -> None:
    folder = write_plan(tmp_path / "run", 200, staging.url, stream=stream)
    report = replay(staging, folder, lambda number: [key_of(number), key_of(number)])  # announced at least once
    told = report.archived
    assert told is not None
    assert (told.awaited, told.archived, told.never, report.exit_code) == (200, 200, (), Exit.OK)
    assert told.p50_s is not None
    assert told.p95_s is not None
    assert told.p99_s is not None
    assert 0 <= told.p50_s <= told.p95_s <= told.p99_s < 10


def test_events_that_are_never_announced_are_named_and_fail_the_run(staging: Bus, tmp_path: Path) -> None:
    folder = write_plan(tmp_path / "run", 30, staging.url)
    report = replay(
        staging, folder, lambda number: [] if number in (3, 17) else [key_of(number), key_of(1000)], within_s=0.5
    )
    told = report.archived
    assert told is not None
    assert (told.awaited, told.archived, report.exit_code) == (30, 28, Exit.BROKEN)
    assert set(told.never) == {key_of(3), key_of(17)}
    assert ("archived", "28 of 30") in report.rows()
    assert {value for name, value in report.rows() if name == "never archived"} == set(told.never)


def test_what_was_announced_while_the_connection_was_away_is_found_afterwards(staging: Bus, tmp_path: Path) -> None:
    def announces(number: int) -> list[str]:
        if number == 9:
            proxy.fault = Refuse()  # in force at once; the announcements come while nobody hears them
        return [key_of(number)]

    async def heal(client: Client) -> None:
        await round_trip(client)
        proxy.heal()

    assert staging.port is not None
    with Proxy(staging.port) as proxy:
        url = f"nats://{LOOPBACK}:{proxy.port}"
        folder = write_plan(tmp_path / "run", 10, url)
        report = replay(staging, folder, announces, within_s=3, through=url, after=(9, heal))
    told = report.archived
    assert told is not None
    assert (told.awaited, told.archived, told.never, report.exit_code) == (10, 10, (), Exit.OK)


def test_an_event_that_is_sent_twice_is_archived_once(staging: Bus, tmp_path: Path) -> None:
    folder = write_plan(tmp_path / "run", 40, staging.url, key=lambda number: key_of(number // 2))
    report = replay(staging, folder, lambda number: [key_of(number // 2)] if number % 2 else [])
    assert report.confirmed == 40
    assert report.archived is not None
    assert (report.archived.awaited, report.archived.never) == (20, ())


def test_only_the_targets_own_announcements_count(staging: Bus, tmp_path: Path) -> None:
    folder = write_plan(tmp_path / "run", 3, staging.url)
    report = replay(staging, folder, lambda number: [key_of(number)], within_s=0.3, subject="kaizen.schedule.archived")
    assert report.archived is not None
    assert report.archived.archived == 0


def test_a_subject_that_no_archiver_reads_cannot_be_awaited(staging: Bus, tmp_path: Path) -> None:
    folder = write_plan(tmp_path / "run", 3, staging.url, subject="staging.kaizen.metrics.recorded")
    with pytest.raises(BadInput, match=r"staging\.kaizen\.metrics\.recorded is not archived"):
        replay(staging, folder, lambda _: [], within_s=0.1)
