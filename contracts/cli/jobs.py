"""One function over many values in several processes, with the answers in the order of the questions."""

from __future__ import annotations

import signal
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from contracts.errors import Exit, KitError

Question = TypeVar("Question")
Answer = TypeVar("Answer")


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

    Function, questions and answers travel by pickle. Each process has one question at a time, so memory is bounded by
    `jobs` of them; an exception of the function is raised here. Close the iterator to end the processes.

    Raises:
        WorkerDied: a process was killed; its answers are missing.
    """
    workers: deque[_Worker] = deque()  # whose turn it is comes first
    try:
        for question in questions:
            if len(workers) < jobs:
                workers.append(_Worker(function))
                workers[-1].ask(question)
                continue
            answer = workers[0].answer()
            workers.rotate(-1)
            workers[-1].ask(question)
            yield answer
        for worker in workers:
            yield worker.answer()
    finally:
        for worker in workers:
            worker.end()


class _Worker:
    """A process that answers one question at a time; it ends when we do, for its pipe ends then."""

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

    def ask(self, question: Any) -> None:
        try:
            self._pipe.send(question)
        except BrokenPipeError:
            raise self._death() from None

    def answer(self) -> Any:
        try:
            is_answer, told = self._pipe.recv()
        except (EOFError, ConnectionResetError):
            raise self._death() from None
        if not is_answer:
            raise told
        return told

    def end(self) -> None:
        self._process.terminate()
        self._process.join()
        self._pipe.close()

    def _death(self) -> WorkerDied:
        self._process.join()
        return WorkerDied(self._process.pid, self._process.exitcode)


def _serve(function: Callable[[Any], Any], pipe: Connection) -> None:
    with suppress(EOFError, ConnectionError):  # the other side has gone
        while True:
            question = pipe.recv()
            try:
                pipe.send((True, function(question)))
            except Exception as error:  # noqa: BLE001 - raised where the answer is awaited
                error.add_note(traceback.format_exc())
                pipe.send((False, error))
