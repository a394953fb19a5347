"""One function over many values in several processes, with the answers in the order of the questions."""

from __future__ import annotations

import signal
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from itertools import islice
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection
from typing import Any, Final, TypeVar

from contracts.errors import Exit, KitError

Question = TypeVar("Question")
Answer = TypeVar("Answer")

BATCH: Final = 128
"""How many values travel at once: a few milliseconds of checking for each round trip."""


class WorkerDied(KitError):
    """A worker process ended before it had answered; what it was working on is not known to be right or wrong."""

    exit_code = Exit.INTERRUPTED

    def __init__(self, pid: int | None, status: int | None) -> None:
        super().__init__(pid, status)
        self.pid, self.status = pid, status

    def __str__(self) -> str:
        how = f"status {self.status}"
        if self.status is not None and self.status < 0:
            how = f"signal {-self.status} ({signal.strsignal(-self.status)})"
        return (
            f"worker process {self.pid} ended with {how}, and not everything is checked\n"
            "  if memory ran out, use fewer --jobs"
        )


def in_order(
    function: Callable[[Question], Answer], questions: Iterable[Question], jobs: int
) -> Generator[Answer, None, None]:
    """Yield `function(question)` for each question in turn, worked out by up to `jobs` processes.

    Function, questions and answers travel by pickle. Each process has one batch at a time, so memory is bounded by
    `jobs` batches; an exception of the function is raised here. Close the iterator to end the processes.

    Raises:
        WorkerDied: a process was killed; its answers are missing.
    """
    workers: deque[_Worker] = deque()  # whose turn it is comes first
    questions = iter(questions)
    try:
        while batch := list(islice(questions, BATCH)):
            answers: list[Answer] = []
            if len(workers) == jobs:
                answers = workers[0].answers()
                workers.rotate(-1)
            else:
                workers.append(_Worker(function))
            workers[-1].ask(batch)
            yield from answers
        for worker in workers:
            yield from worker.answers()
    finally:
        for worker in workers:
            worker.end()


class _Worker:
    """A process that answers one batch at a time; it ends when we do, for its pipe ends then."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        context = get_context("spawn")  # the same everywhere; a fork would copy the threads' locks
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(function, theirs), daemon=True)
        # Ctrl-C is for us alone: what starts while the signal is blocked never sees it. The tracker would unblock it.
        resource_tracker.ensure_running()
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        theirs.close()

    def ask(self, batch: list[Any]) -> None:
        try:
            self._pipe.send(batch)
        except BrokenPipeError:
            raise self._death() from None

    def answers(self) -> list[Any]:
        try:
            answers = self._pipe.recv()
        except (EOFError, ConnectionResetError):
            raise self._death() from None
        if isinstance(answers, Exception):
            raise answers
        return list(answers)

    def end(self) -> None:
        self._process.terminate()
        self._process.join()
        self._pipe.close()

    def _death(self) -> WorkerDied:
        self._process.join()
        return WorkerDied(self._process.pid, self._process.exitcode)


def _serve(function: Callable[[Any], Any], pipe: Connection) -> None:
    with suppress(EOFError, ConnectionError):  # whoever asked has gone
        while True:
            batch = pipe.recv()
            try:
                pipe.send([function(each) for each in batch])
            except Exception as error:  # noqa: BLE001 - raised where the answer is awaited
                error.add_note(traceback.format_exc())
                pipe.send(error)
