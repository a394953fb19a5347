"""Run a program within limits: the one place of `contracts` that starts one."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import BinaryIO

from contracts.errors import BadInput
from contracts.model.violation import printable

_CHUNK_BYTES = 1 << 16
_STDERR_BYTES = 1 << 16  # what is looked through for secrets; far more than is shown


@dataclass(frozen=True, slots=True)
class Finished:
    """How a program ended. `status` is negative for a signal; `late` and `flooded` mean that we stopped it.

    `copied_bytes` of its standard output went to the sink; `stderr` is the end of its standard error.
    """

    status: int
    late: bool
    flooded: bool
    copied_bytes: int
    stderr: str

    def stderr_tail(self, lines: int = 5) -> str:
        """Render the last lines of standard error for a message."""
        last = self.stderr.splitlines()[-lines:]
        return "".join(f"\n  | {printable(line)[:200]}" for line in last) or "\n  it printed nothing on standard error"


def run_program(
    words: Sequence[str],
    sink: BinaryIO,
    *,
    timeout_s: float,
    max_bytes: int | None = None,
    env: Mapping[str, str] | None = None,
) -> Finished:
    """Run a program without a shell, copy its standard output to `sink` in bounded memory, and see it ended.

    It has no standard input. After `timeout_s` seconds, or more than `max_bytes`, it and its children are killed;
    a daemon that has left its session is not, but it does not hold us up either.

    Raises:
        BadInput: it cannot be started.
        OSError: `sink` cannot be written, for example because the disk is full.
    """
    with tempfile.TemporaryFile() as errors, _held_interrupts() as release:
        try:
            process = subprocess.Popen(
                list(words),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=None if env is None else dict(env),
                start_new_session=True,  # so that its children end with it
            )
        except OSError as error:
            raise BadInput(f"cannot start {words[0]}: {error.strerror}\n  is it there, and executable?") from None
        late = threading.Event()

        def stop() -> None:
            late.set()
            _kill(process)

        timer = threading.Timer(timeout_s, stop)
        timer.start()
        try:
            release()
            copied, is_whole = _copy(process, sink, max_bytes, time.monotonic() + timeout_s)
            flooded = max_bytes is not None and copied > max_bytes
            if flooded:
                _kill(process)
            elif not is_whole:
                stop()
            status = process.wait()
        finally:
            timer.cancel()
            _kill(process)
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
        return Finished(status, late.is_set(), flooded, copied, _end_of(errors))


@contextmanager
def _held_interrupts() -> Iterator[Callable[[], None]]:
    """Hold Ctrl-C back until `release` is called: one while a program starts would leave it running, unknown to us."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    held: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: held.append(number))

    def release() -> None:
        signal.signal(signal.SIGINT, before)
        if held:
            held.clear()
            signal.raise_signal(signal.SIGINT)

    try:
        yield release
    finally:
        release()


def _copy(process: subprocess.Popen[bytes], sink: BinaryIO, max_bytes: int | None, deadline: float) -> tuple[int, bool]:
    """Copy until the end, `max_bytes` or the deadline: (bytes, whether it was the end)."""
    assert process.stdout is not None
    copied = 0
    with selectors.DefaultSelector() as readable:
        readable.register(process.stdout, selectors.EVENT_READ)
        # A daemon that nobody can kill may hold the pipe open, and nothing else would wake us.
        while (left := deadline - time.monotonic()) > 0 and readable.select(left):
            chunk = os.read(process.stdout.fileno(), _CHUNK_BYTES)
            if not chunk:
                return copied, True
            sink.write(chunk)
            copied += len(chunk)
            if max_bytes is not None and copied > max_bytes:
                break
    return copied, False


def _end_of(errors: BinaryIO) -> str:
    """Read the end of standard error, from the start of a line: half a secret is not known for one."""
    start = max(0, errors.seek(0, os.SEEK_END) - _STDERR_BYTES)
    errors.seek(start)
    if start:
        errors.readline()
    return errors.read().decode(errors="replace")


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the program and its children; a group outlives its leader as long as it has members."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
