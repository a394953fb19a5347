"""Which workers are started again, when, and what their ends add up to; the workers here are lines of shell."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog

from archiver.core.backoff import Backoff
from archiver.worker.supervisor import Supervisor, this_command
from tests.support.worker import SOON_S, until

ENDED = "a worker ended; starting it again"
WORKS = "read line; exit 0"  # until standard input ends, as a worker under a supervisor does


class Watched:
    """A supervisor of workers that run `script` in a shell, and what it has logged."""

    def __init__(self, script: str, *, workers: int = 1, command: list[str] | None = None) -> None:
        self.lines: list[dict[str, Any]] = []
        log = structlog.wrap_logger(structlog.testing.ReturnLogger(), processors=[self._keep])
        self.supervisor = Supervisor(command or ["/bin/sh", "-c", script], workers, "w", 5.0, log, lambda: 0.0)

    def _keep(self, _: object, __: str, line: Any) -> Any:
        self.lines.append(dict(line))
        return ""

    def told(self, event: str, name: str) -> list[Any]:
        return [line[name] for line in self.lines if line["event"] == event]

    def until_idle(self) -> int:
        return asyncio.run(asyncio.wait_for(self.supervisor.run(asyncio.Event(), until_idle=True), SOON_S))

    def until(self, condition: Callable[[], object]) -> int:
        """Run until `condition` holds, stop, and return the exit status."""

        async def steps() -> int:
            stop = asyncio.Event()
            running = asyncio.create_task(self.supervisor.run(stop, until_idle=False))
            await until(lambda: condition() or running.done())
            stop.set()
            return await asyncio.wait_for(running, SOON_S)

        return asyncio.run(steps())


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archiver.worker.supervisor.RESTART", Backoff(first_s=0.02, longest_s=0.16))


@pytest.mark.usefixtures("impatient")
def test_a_worker_that_keeps_ending_is_started_again_after_waits_that_grow() -> None:
    watched = Watched("exit 4")

    assert watched.until(lambda: len(watched.told(ENDED, "after_s")) == 6) == 0

    assert watched.told(ENDED, "status")[:6] == [4] * 6
    assert watched.told(ENDED, "after_s")[:6] == [0.0, 0.0, 0.0, 0.1, 0.1, 0.1], (
        "half of 0.02, 0.04, 0.08, 0.16, rounded"
    )


@pytest.mark.usefixtures("impatient")
def test_a_worker_that_ran_for_a_while_waits_as_at_its_first_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archiver.worker.supervisor.STEADY_S", 0.0)
    watched = Watched("exit 4")

    watched.until(lambda: len(watched.told(ENDED, "after_s")) == 6)

    assert set(watched.told(ENDED, "after_s")) == {0.0}


@pytest.mark.usefixtures("impatient")
def test_a_worker_that_ends_in_order_unasked_is_started_again_too() -> None:
    watched = Watched("exit 0")

    assert watched.until(lambda: ENDED in [line["event"] for line in watched.lines]) == 0
    assert watched.told(ENDED, "status")[0] == 0


@pytest.mark.usefixtures("impatient")
def test_one_worker_with_settings_that_cannot_be_used_ends_all() -> None:
    watched = Watched(f'[ "$ARCHIVER_WORKER" = w-1 ] && exit 2; {WORKS}', workers=3)

    assert watched.until(lambda: False) == 2
    assert watched.told(ENDED, "status") == []


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("exit 0", 0),
        ('[ "$ARCHIVER_WORKER" = w-1 ] && exit 5; exit 0', 0),
        ('[ "$ARCHIVER_WORKER" = w-1 ] && kill -9 $$; exit 0', 0),
        ('[ "$ARCHIVER_WORKER" = w-1 ] && exit 4; exit 5', 5),
        ('[ "$ARCHIVER_WORKER" = w-1 ] && exit 2; exit 0', 2),
        ("kill -9 $$", 130),
    ],
    ids=["all", "one is enough", "one killed", "none", "settings", "all killed"],
)
def test_a_job_is_done_when_one_worker_saw_that_nothing_is_waiting(script: str, status: int) -> None:
    watched = Watched(script, workers=2)

    assert watched.until_idle() == status
    assert watched.told(ENDED, "status") == [], "the others do its work"


@pytest.mark.usefixtures("impatient")
def test_a_worker_that_cannot_be_started_just_now_is_tried_again(tmp_path: Path) -> None:
    missing = tmp_path / "worker"
    watched = Watched("", command=[str(missing)])

    assert watched.until(lambda: len(watched.told(ENDED, "status")) == 2) == 0
    assert "No such file" in watched.told("a worker could not be started", "why")[0]


def test_a_worker_is_the_command_that_runs_now_with_other_options() -> None:
    assert this_command("--workers", "1") == [sys.executable, *sys.orig_argv[1:], "--workers", "1"]
