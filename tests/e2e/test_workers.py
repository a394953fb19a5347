"""`archiver run --workers N`: several processes that are kept running, and stopped together."""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress

import pytest

from tests.e2e.kit import Kit, Started, until
from tests.support.builders import event

RUN = ("archiver", "run", "--workers", "2")


def told(started: Started) -> list[dict[str, object]]:
    """Read every line of the log; each one is whole, whoever wrote it."""
    return [json.loads(line) for line in started.err.read_text("utf-8").splitlines()]


def pids(started: Started) -> list[int]:
    return [int(str(each["pid"])) for each in told(started) if each["event"] == "started a worker"]


def ready(started: Started, times: int = 2) -> None:
    until(lambda: started.err.read_text("utf-8").count('"ready"') >= times, f"{times} workers are ready")


def has_ended(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return False
    return True


def publish(kit: Kit, count: int) -> list[str]:
    moments = [f"2026-06-17T10:{number // 60:02}:{number % 60:02}Z" for number in range(count)]
    published = [kit.publish(event(occurred_at=moment)) for moment in moments]
    return sorted(each.key for each in published if each)


def archived(kit: Kit) -> list[str]:
    return sorted(key.rpartition("/")[2].removesuffix(".json") for key in kit.objects("refs/"))


def test_workers_share_the_work_each_by_its_own_name(kit: Kit) -> None:
    started = kit.start(*RUN, ARCHIVER_WORKER="w", ARCHIVER_SLOTS="1")
    ready(started)

    keys = publish(kit, 20)

    until(kit.is_drained, "all is archived")
    assert archived(kit) == keys
    by = {str(each["worker"]) for each in told(started) if each["event"] == "archived"}
    assert by == {"w-1", "w-2"}


def test_until_idle_all_end_when_nothing_is_waiting(kit: Kit) -> None:
    keys = publish(kit, 10)

    done = kit.archiver("run", "--workers", "2", "--until-idle")

    assert archived(kit) == keys
    assert len(done.stdout.splitlines()) == 2, "each says what it has done"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda each: each.name)
def test_told_to_stop_all_finish_what_is_in_hand_and_end(kit: Kit, number: signal.Signals) -> None:
    started = kit.start(*RUN)
    ready(started)

    started.signal(number)

    assert started.ended() == 0, started.err.read_text()
    assert all(has_ended(pid) for pid in pids(started))


def test_a_signal_to_the_whole_group_is_one_signal(kit: Kit) -> None:
    started = kit.start(*RUN)
    ready(started)

    for pid in (*pids(started), started.process.pid):  # as systemd does it
        os.kill(pid, signal.SIGTERM)

    assert started.ended() == 0, started.err.read_text()
    assert '"status": ' not in started.err.read_text(), "none is taken for one that failed"


def test_a_second_signal_ends_all_at_once(kit: Kit) -> None:
    started = kit.start(*RUN, ARCHIVER_GRACE_S="25")
    ready(started)
    for pid in pids(started):
        os.kill(pid, signal.SIGSTOP)  # they will not end by themselves
    started.signal(signal.SIGTERM)
    started.wait_for("stopping the workers")

    started.signal(signal.SIGTERM)

    assert started.ended() == 130
    until(lambda: all(has_ended(pid) for pid in pids(started)), "the workers have ended")


def test_a_worker_that_does_not_end_in_time_is_killed(kit: Kit) -> None:
    started = kit.start(*RUN, ARCHIVER_GRACE_S="0")
    ready(started)
    os.kill(pids(started)[0], signal.SIGSTOP)

    started.signal(signal.SIGTERM)

    assert started.ended() == 0
    assert "killing workers that did not end in time" in started.err.read_text()
    assert all(has_ended(pid) for pid in pids(started))


def test_a_worker_that_is_killed_is_started_again_and_no_event_is_lost(kit: Kit) -> None:
    started = kit.start(*RUN)
    ready(started)
    for pid in pids(started):
        os.kill(pid, signal.SIGKILL)

    keys = publish(kit, 5)

    ready(started, times=4)
    until(kit.is_drained, "all is archived")
    assert archived(kit) == keys
    again = [each for each in told(started) if each["event"] == "a worker ended; starting it again"]
    assert [each["status"] for each in again] == [-9, -9]
    started.signal(signal.SIGTERM)
    assert started.ended() == 0


def test_workers_end_with_their_supervisor_however_it_ends(kit: Kit) -> None:
    started = kit.start(*RUN)
    ready(started)

    started.signal(signal.SIGKILL)

    until(lambda: all(has_ended(pid) for pid in pids(started)), "the workers have ended")
    assert started.err.read_text("utf-8").count('"a worker ended') == 0


def test_settings_that_cannot_be_used_start_no_worker(kit: Kit) -> None:
    done = kit.archiver("run", "--workers", "2", status=2, ARCHIVER_SPOOL=None)

    assert b"ARCHIVER_SPOOL" in done.stderr
    assert b"started a worker" not in done.stderr


def test_where_no_worker_can_reach_the_bus_a_job_ends_as_one_worker_would(kit: Kit) -> None:
    done = kit.archiver("run", "--workers", "2", "--until-idle", status=4, NATS_URL="nats://127.0.0.1:1")

    assert done.stderr.count(b"cannot reach NATS") == 2
