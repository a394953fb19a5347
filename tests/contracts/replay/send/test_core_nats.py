"""A run on core NATS: at most once, and what cannot be known is said to be unknown."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import nats
import pytest

from contracts.bus.access import NatsAccess
from contracts.bus.connection import round_trip
from contracts.errors import Exit, Unreachable
from contracts.replay.send.journal import JOURNAL
from contracts.replay.send.report import ReplayReport
from contracts.replay.send.run import execute
from tests.contracts.replay.send.runs import RUN_ID, outcomes, write_plan
from tests.support.bus import Bus
from tests.support.servers import require_binary


def send(folder: Path, bus: Bus, **how: Any) -> tuple[ReplayReport, list[tuple[int, dict[str, str]]]]:
    """Carry a run out while somebody listens; return the report and the (number, headers) that came."""

    async def both() -> tuple[ReplayReport, list[tuple[int, dict[str, str]]]]:
        client = await nats.connect(bus.url, max_reconnect_attempts=-1, reconnect_time_wait=0.01)
        subscription = await client.subscribe("core.>")
        await round_trip(client)
        report = await execute(folder, access=NatsAccess(bus.url), **{"concurrency": 50, **how})
        await round_trip(client)
        came = [await subscription.next_msg(timeout=5) for _ in range(subscription.pending_msgs)]
        await client.close()
        return report, [(json.loads(each.data)["number"], dict(each.headers or {})) for each in came]

    return asyncio.run(both())


def plan(folder: Path, count: int, bus: Bus) -> Path:
    return write_plan(folder, count, bus.url, stream=None, subject="core.kaizen.schedule.prepared")


def test_every_message_arrives_once_and_is_confirmed_by_the_server(staging_server: Bus, tmp_path: Path) -> None:
    report, came = send(plan(tmp_path / "run", 500, staging_server), staging_server)
    assert (report.confirmed, report.exit_code) == (500, Exit.OK)
    assert [number for number, _ in came] == list(range(500))
    assert came[7][1] == {
        "Nats-Msg-Id": f"{RUN_ID}:7",
        "Kaizen-Replay": RUN_ID,
        "Kaizen-Replay-Origin": "fixture #7",
    }


def test_what_an_interrupted_run_may_have_sent_is_unknown_and_the_rest_goes_on(
    staging_server: Bus, tmp_path: Path
) -> None:
    folder = plan(tmp_path / "run", 200, staging_server)
    send(folder, staging_server)
    journal = folder / JOURNAL
    lines = journal.read_text().splitlines(keepends=True)
    kept = lines[: next(index for index, line in enumerate(lines) if '"number": 70' in line)]
    below = max(json.loads(line)["sending"] for line in kept if "sending" in line)
    assert 70 < below < 200
    journal.write_text("".join(kept))
    report, came = send(folder, staging_server)
    assert [number for number, _ in came] == list(range(below, 200))
    assert {number for number, each in outcomes(folder).items() if each["status"] == "unknown"} == set(range(70, below))
    assert (report.confirmed, report.unknown, report.exit_code) == (270 - below, below - 70, Exit.BROKEN)


def test_a_restarted_server_doubles_nothing_and_messages_in_flight_are_unknown(own_bus: Bus, tmp_path: Path) -> None:
    accounted = 0

    def restart_once(more: int) -> None:
        nonlocal accounted
        before, accounted = accounted, accounted + more
        if before < 300 <= accounted:
            own_bus.kill()
            own_bus.start()

    folder = plan(tmp_path / "run", 1000, own_bus)
    report, _ = send(folder, own_bus, progress=restart_once)
    assert report.confirmed + report.unknown == 1000
    assert report.unknown <= 100
    assert report.retried == 0


def test_a_subject_that_may_not_be_published_to_ends_the_run_and_confirms_nothing(tmp_path: Path) -> None:
    require_binary(Bus.binary)
    rights = {"publish": {"deny": ["core.>"]}}
    with Bus(tmp_path / "bus", authorization={"users": [{"user": "u", "password": "p", "permissions": rights}]}) as bus:
        folder = plan(tmp_path / "run", 20, bus)
        access = NatsAccess(bus.url.replace("nats://", "nats://u:p@"))
        with pytest.raises(Unreachable, match=r"(?i)permissions violation for publish"):
            asyncio.run(execute(folder, access=access, concurrency=5))
    assert outcomes(folder) == {}
