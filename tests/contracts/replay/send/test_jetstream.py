"""A run is sent to a real stream: each message is stored once, and every one is accounted for."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from contracts.bus.access import NatsAccess
from contracts.errors import BadInput, Exit, Unreachable
from contracts.replay.send.journal import JOURNAL
from contracts.replay.send.report import ReplayReport
from contracts.replay.send.run import execute
from tests.contracts.replay.send.runs import (
    RUN_ID,
    STREAM,
    SUBJECT,
    ask,
    assert_each_stored_once,
    make_stream,
    outcomes,
    stored,
    write_plan,
)
from tests.faults.proxy import LOOPBACK, Delay, Proxy, Refuse
from tests.support.bus import Bus, publish
from tests.support.emitter import wait_for


def send(folder: Path, bus: Bus, **how: Any) -> ReplayReport:
    return asyncio.run(execute(folder, access=NatsAccess(bus.url), **{"concurrency": 64, **how}))


def test_every_message_is_stored_once_and_the_journal_says_where(staging: Bus, tmp_path: Path) -> None:
    told: list[int] = []
    report = send(write_plan(tmp_path / "run", 1000, staging.url), staging, progress=told.append)
    assert (report.confirmed, report.sent, report.exit_code) == (1000, 1000, Exit.OK)
    assert sum(told) == 1000
    assert_each_stored_once(tmp_path / "run", staging.url, 1000)


def test_a_run_that_is_complete_sends_nothing_when_it_is_resumed(staging: Bus, tmp_path: Path) -> None:
    folder = write_plan(tmp_path / "run", 100, staging.url)
    send(folder, staging)
    report = send(folder, staging)
    assert (report.confirmed, report.resumed, report.exit_code) == (100, True, Exit.OK)
    assert len(stored(staging.url)) == 100


def test_what_was_sent_and_not_written_down_is_found_in_the_stream(staging: Bus, tmp_path: Path) -> None:
    make_stream(staging.url, duplicate_window=0.1)
    folder = write_plan(tmp_path / "run", 300, staging.url)
    send(folder, staging)
    journal = folder / JOURNAL
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:120]) + lines[120][:9])  # the last line is cut short, too
    report = send(folder, staging)
    assert report.confirmed == 300
    assert_each_stored_once(folder, staging.url, 300)


def test_two_processes_cannot_send_the_same_run(staging: Bus, tmp_path: Path) -> None:
    folder = write_plan(tmp_path / "run", 10, staging.url)

    async def both() -> None:
        second: list[asyncio.Task[ReplayReport]] = []

        def begin(_: int) -> None:
            if not second:
                second.append(asyncio.create_task(execute(folder, access=NatsAccess(staging.url), concurrency=1)))

        await execute(folder, access=NatsAccess(staging.url), concurrency=1, progress=begin)
        with pytest.raises(BadInput, match="another process is sending this run"):
            await second[0]

    asyncio.run(both())
    assert len(stored(staging.url)) == 10


def test_a_stream_that_is_not_the_expected_one_refuses_each_message_with_its_reason(
    staging: Bus, tmp_path: Path
) -> None:
    make_stream(staging.url, "OTHER", "other.>")
    report = send(write_plan(tmp_path / "run", 5, staging.url, stream="OTHER"), staging)
    assert (report.refused, report.confirmed, report.exit_code) == (5, 0, Exit.BROKEN)
    assert report.reasons == {"expected stream does not match": 5}
    assert stored(staging.url) == {}


def test_a_message_larger_than_the_server_takes_is_refused_and_the_others_go(staging: Bus, tmp_path: Path) -> None:
    folder = write_plan(tmp_path / "run", 3, staging.url)
    lines = (folder / "plan.jsonl").read_text().splitlines()
    lines[2] = json.dumps(json.loads(lines[2]) | {"payload": "x" * 1_100_000})
    (folder / "plan.jsonl").write_text("\n".join(lines) + "\n")
    report = send(folder, staging)
    assert (report.refused, report.confirmed) == (1, 2)
    assert report.reasons == {"larger than the server takes": 1}
    assert sorted(stored(staging.url)) == [0, 2]


def test_a_repeat_that_the_stream_knows_is_accounted_for_as_duplicate(staging: Bus, tmp_path: Path) -> None:
    send(write_plan(tmp_path / "one", 20, staging.url), staging)
    report = send(write_plan(tmp_path / "copy", 20, staging.url), staging)
    assert (report.duplicate, report.confirmed, report.exit_code) == (20, 0, Exit.OK)
    assert_each_stored_once(tmp_path / "copy", staging.url, 20)


def test_a_message_whose_identity_another_message_has_is_refused(staging: Bus, tmp_path: Path) -> None:
    publish(staging.url, SUBJECT, b"of another program", headers={"Nats-Msg-Id": f"{RUN_ID}:3"})
    report = send(write_plan(tmp_path / "run", 5, staging.url), staging)
    assert (report.confirmed, report.duplicate, report.refused, report.exit_code) == (4, 0, 1, Exit.BROKEN)
    assert report.reasons == {"the stream holds another message under its identity": 1}


def test_a_repeat_of_what_was_purged_is_not_taken_for_arrived(staging: Bus, tmp_path: Path) -> None:
    send(write_plan(tmp_path / "one", 5, staging.url), staging)
    ask(staging.url, lambda client: client.jetstream().purge_stream(STREAM))
    report = send(write_plan(tmp_path / "copy", 5, staging.url), staging)
    assert (report.confirmed, report.duplicate, report.unknown, report.exit_code) == (0, 0, 5, Exit.BROKEN)


def test_a_stream_that_is_not_there_is_said_before_anything_is_sent(staging: Bus, tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match=r"stream NOWHERE at .*there is no such stream"):
        send(write_plan(tmp_path / "run", 5, staging.url, stream="NOWHERE"), staging)


def test_another_target_than_the_plan_was_made_for_is_refused(staging: Bus, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is for nats://elsewhere:4222, and staging is nats://127"):
        send(write_plan(tmp_path / "run", 5, "nats://elsewhere:4222"), staging)
    assert stored(staging.url) == {}


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_server_that_is_restarted_in_the_middle_loses_and_doubles_nothing(
    how: str, own_bus: Bus, tmp_path: Path
) -> None:
    make_stream(own_bus.url, duplicate_window=0.1)
    folder = write_plan(tmp_path / "run", 1500, own_bus.url)
    accounted = 0

    def restart_once(more: int) -> None:
        nonlocal accounted
        before, accounted = accounted, accounted + more
        if before < 500 <= accounted:
            getattr(own_bus, how)()
            own_bus.start()

    report = send(folder, own_bus, progress=restart_once)
    assert (report.confirmed + report.duplicate, report.exit_code) == (1500, Exit.OK)
    assert_each_stored_once(folder, own_bus.url, 1500)


def test_messages_whose_answers_were_lost_are_found_in_the_stream_and_not_sent_again(
    staging: Bus, tmp_path: Path
) -> None:
    make_stream(staging.url, duplicate_window=0.1)
    accounted = 0

    def count(more: int) -> None:
        nonlocal accounted
        before, accounted = accounted, accounted + more
        if before < 300 <= accounted:
            proxy.fault = Delay(down_s=60)

    async def messages(client: Client) -> int:
        return (await client.jetstream().stream_info(STREAM)).state.messages

    def lose_answers() -> None:
        wait_for(lambda: isinstance(proxy.fault, Delay) and ask(staging.url, messages) > accounted + 40)
        proxy.fault = Refuse()
        proxy.heal()

    async def both(folder: Path) -> ReplayReport:
        sending = execute(folder, access=access, concurrency=64, progress=count)
        report, _ = await asyncio.gather(sending, asyncio.to_thread(lose_answers))
        return report

    assert staging.port is not None
    with Proxy(staging.port) as proxy:
        access = NatsAccess(f"nats://{LOOPBACK}:{proxy.port}")
        folder = write_plan(tmp_path / "run", 1000, access.place)
        report = asyncio.run(both(folder))
    assert (report.confirmed, report.retried, report.exit_code) == (1000, 0, Exit.OK)
    assert_each_stored_once(folder, staging.url, 1000)


def test_without_retention_messages_in_flight_are_unknown_and_not_sent_again(staging: Bus, tmp_path: Path) -> None:
    folder = write_plan(tmp_path / "run", 50, staging.url)
    send(folder, staging)
    journal = folder / JOURNAL
    lines = [line for line in journal.read_bytes().splitlines(keepends=True) if b"number" not in line]
    journal.write_bytes(b"".join(lines).replace(b'"sending": 64', b'"sending": 30'))

    async def purge(client: Client) -> None:
        await client.jetstream().purge_stream(STREAM)

    ask(staging.url, purge)
    report = send(folder, staging)
    assert (report.unknown, report.exit_code) == (50, Exit.BROKEN)
    assert sorted(report.reasons.values()) == [20, 30], "20 went out, and the stream remembers only their identity"
    assert {number for number, each in outcomes(folder).items() if "on its way" in each["detail"]} == set(range(30))


def test_messages_go_out_at_their_rate(staging: Bus, tmp_path: Path) -> None:
    report = send(write_plan(tmp_path / "run", 60, staging.url, per_s=50), staging)
    assert report.took_s >= 59 / 50
    assert report.longest_gap_s >= 1 / 50
    assert report.confirmed == 60
