"""A run whose process is killed is resumed: whatever the moment, each message is in the stream exactly once."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contracts.bus.access import NatsAccess
from contracts.errors import Exit
from contracts.replay.send.run import execute
from tests.contracts.replay.send.child import KINDS
from tests.contracts.replay.send.runs import assert_each_stored_once, is_over, make_stream, outcomes, write_plan
from tests.support.bus import Bus
from tests.support.emitter import wait_for

MESSAGES = 1500
KILLED = "-9"
WINDOW_S = 0.1
"""How long the stream tells repeats by their id: as short as a server has it, and over when a run is resumed."""

_chance = random.Random("each event exactly once")
KILL_POINTS = [(KINDS[number % len(KINDS)], _chance.randint(1, MESSAGES - 100)) for number in range(20)]

CarryOut = Callable[[Path, str, str, int], str]


@pytest.fixture(scope="module")
def carry_out() -> Iterator[CarryOut]:
    """Carry out a run in a process that is killed at a moment; return how it ended."""
    command = [sys.executable, "-m", "tests.contracts.replay.send.child"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as children:
        orders, answers = children.stdin, children.stdout
        assert orders is not None
        assert answers is not None

        def order(folder: Path, url: str, kind: str, count: int) -> str:
            orders.write(f"{folder} {url} {kind} {count}\n")
            orders.flush()
            return answers.readline().strip()

        yield order


@pytest.mark.parametrize(("kind", "count"), KILL_POINTS)
def test_a_run_killed_in_the_middle_is_resumed_and_each_event_is_in_the_stream_once(
    kind: str, count: int, staging: Bus, tmp_path: Path, carry_out: CarryOut
) -> None:
    make_stream(staging.url, duplicate_window=WINDOW_S)
    folder = write_plan(tmp_path / "run", MESSAGES, staging.url)
    assert carry_out(folder, staging.url, kind, count) == KILLED
    assert len(outcomes(folder)) < MESSAGES
    wait_for(lambda: is_over(staging.url, WINDOW_S))

    report = asyncio.run(execute(folder, access=NatsAccess(staging.url), concurrency=64))

    assert (report.confirmed + report.duplicate, report.resumed, report.exit_code) == (MESSAGES, True, Exit.OK)
    assert_each_stored_once(folder, staging.url, MESSAGES)


def test_a_run_may_be_killed_again_and_again(staging: Bus, tmp_path: Path, carry_out: CarryOut) -> None:
    make_stream(staging.url, duplicate_window=WINDOW_S)
    folder = write_plan(tmp_path / "run", MESSAGES, staging.url)
    for kind in KINDS * 2:
        assert carry_out(folder, staging.url, kind, 150) == KILLED
        wait_for(lambda: is_over(staging.url, WINDOW_S))
    report = asyncio.run(execute(folder, access=NatsAccess(staging.url), concurrency=64))
    assert (report.confirmed + report.duplicate, report.exit_code) == (MESSAGES, Exit.OK)
    assert_each_stored_once(folder, staging.url, MESSAGES)
