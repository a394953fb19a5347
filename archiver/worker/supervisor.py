"""Several workers as separate processes, kept running: what `archiver run --workers N` is.

A worker is this same command with `--supervised`, which ties it to us by its standard input: that ends when we end,
however we end, and it then finishes its messages, as at SIGTERM. It runs in a separate session, so that Ctrl-C and
a signal to the whole group do not reach it twice.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from structlog.typing import FilteringBoundLogger

from archiver.core.backoff import Backoff
from contracts.toolkit import Exit

RESTART: Final = Backoff(first_s=1, longest_s=30)
STEADY_S: Final = 60.0
"""A worker that ran for so long had no trouble with its start: the wait is the first one again."""
_LATE_S: Final = 5.0  # to return unfinished messages to the queue, and to end


@dataclass(frozen=True, slots=True)
class Supervisor:
    """Starts `workers` workers and keeps them running; `worker` is the name that theirs begin with.

    `command` starts one; `grace_s` is how long a worker may take to finish; `chance` gives [0, 1).
    """

    command: Sequence[str]
    workers: int
    worker: str
    grace_s: float
    log: FilteringBoundLogger
    chance: Callable[[], float]
    _running: set[asyncio.subprocess.Process] = field(default_factory=set)

    async def run(self, stop: asyncio.Event, *, until_idle: bool) -> int:
        """Keep workers running until `stop` is set; return the exit status.

        With `until_idle`, until each has ended: 0 where one of them saw that nothing is waiting any more. Settings
        that a worker cannot use end all, with its status.
        """
        keep = self._once if until_idle else self._for_ever
        keeping = [asyncio.create_task(keep(number, stop)) for number in range(1, self.workers + 1)]
        told = asyncio.create_task(stop.wait())
        every: asyncio.Future[list[int]] = asyncio.gather(*keeping)
        either: set[asyncio.Future[Any]] = {every, told}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not every.done():
            await self._end(every)
        told.cancel()
        statuses = every.result()
        for telling in (Exit.USAGE, Exit.OK):
            if telling in statuses:
                return telling
        return max(Exit.INTERRUPTED if status < 0 else status for status in statuses)

    def kill(self) -> None:
        """End every worker at once; their messages are delivered again."""
        for process in self._running:
            with suppress(ProcessLookupError):
                process.kill()

    async def _end(self, every: asyncio.Future[list[int]]) -> None:
        self.log.info("stopping the workers", workers=len(self._running), grace_s=self.grace_s)
        for process in self._running:
            _hang_up(process)
        await asyncio.wait({every}, timeout=self.grace_s + _LATE_S)
        if not every.done():
            self.log.warning("killing workers that did not end in time", workers=len(self._running))
            self.kill()
            await every

    async def _once(self, number: int, stop: asyncio.Event) -> int:
        return await self._work(number, stop, log=self._log_of(number))

    async def _for_ever(self, number: int, stop: asyncio.Event) -> int:
        loop, log, ends = asyncio.get_running_loop(), self._log_of(number), 0
        while not stop.is_set():
            began_s = loop.time()
            status = await self._work(number, stop, log=log)
            if status == Exit.USAGE:
                stop.set()
                return status
            ends = 1 if loop.time() - began_s >= STEADY_S else ends + 1
            if not stop.is_set():
                wait_s = RESTART.delay_s(ends, self.chance())
                log.warning("a worker ended; starting it again", status=status, after_s=round(wait_s, 1))
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), wait_s)
        return Exit.OK

    async def _work(self, number: int, stop: asyncio.Event, *, log: FilteringBoundLogger) -> int:
        try:
            process = await asyncio.create_subprocess_exec(
                *self.command,
                env=os.environ | {"ARCHIVER_WORKER": self._name(number)},
                stdin=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:  # no memory, no more processes; that passes
            log.warning("a worker could not be started", why=str(error))
            return Exit.DEFECT
        self._running.add(process)
        log.info("started a worker", pid=process.pid)
        if stop.is_set():
            _hang_up(process)
        try:
            return await process.wait()
        finally:
            self._running.discard(process)

    def _log_of(self, number: int) -> FilteringBoundLogger:
        return self.log.bind(worker=self._name(number))

    def _name(self, number: int) -> str:
        return f"{self.worker}-{number}"


def this_command(*more: str) -> list[str]:
    """Return the command line that started this process, with `more` after it."""
    return [sys.executable, *sys.orig_argv[1:], *more]


def _hang_up(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.close()
