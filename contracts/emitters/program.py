"""Run `kaizen-agentic schedule prepare` and take what it prints; the one place that starts a program."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from contracts.commands import is_windows_path
from contracts.errors import BadInput

_CHUNK_BYTES = 1 << 20
_STDERR_LINES = 5


@dataclass(frozen=True, slots=True)
class PrepareCommand:
    """`schedule prepare AGENT --target ROOT [--format json]`, for running and for showing."""

    program: Path
    agent: str
    root: str
    format: str

    @classmethod
    def find(cls, program: str, *, agent: str, root: str, format: str) -> PrepareCommand:  # noqa: A002 - the spec's word
        """Find the program on PATH, or by path.

        Raises:
            BadInput: there is no such program; says where it was looked for.
        """
        found = shutil.which(program)
        if found is None:
            raise BadInput(
                f"cannot find the program {program!r}\n"
                f"  install kaizen-agentic so that it is on PATH, or name it: --program /path/to/kaizen-agentic"
            )
        return cls(Path(found).resolve(), agent, root, format)

    def arguments(self) -> list[str]:
        """The words after the program's name."""
        words = ["schedule", "prepare", self.agent, "--target", self.root]
        return [*words, "--format", self.format] if self.format != "markdown" else words

    @property
    def text(self) -> str:
        """The command as the event shows it: the program by its name, wherever it is installed here."""
        words = [self.program.name, *self.arguments()]
        return subprocess.list2cmdline(words) if is_windows_path(self.root) else shlex.join(words)

    def run(self, sink: BinaryIO, *, timeout_s: float) -> int:
        """Run the program, copy its standard output to `sink` in bounded memory, and return the bytes copied.

        Raises:
            BadInput: it cannot be started, fails, or takes too long; with the last lines of its standard error.
            OSError: `sink` cannot be written, for example because the disk is full.
        """
        with tempfile.TemporaryFile() as errors:
            try:
                process = subprocess.Popen(
                    [self.program, *self.arguments()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    start_new_session=True,  # so that its children end with it
                )
            except OSError as error:
                raise BadInput(f"cannot start {self.program}: {error.strerror}\n  is it executable?") from None
            late = threading.Event()

            def stop() -> None:
                late.set()
                _kill(process)

            timer = threading.Timer(timeout_s, stop)
            timer.start()
            try:
                assert process.stdout is not None
                copied = 0
                while chunk := process.stdout.read(_CHUNK_BYTES):
                    sink.write(chunk)
                    copied += len(chunk)
                status = process.wait()
            finally:
                timer.cancel()
                _kill(process)
                process.wait()
            if late.is_set():
                raise BadInput(f"{self.text} did not end within {timeout_s:g} s and was stopped{_tail(errors)}")
            if status != 0:
                raise BadInput(f"{self.text} failed with exit status {status}{_tail(errors)}")
            return copied


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _tail(errors: BinaryIO) -> str:
    errors.seek(max(0, errors.seek(0, os.SEEK_END) - 4096))
    lines = errors.read().decode(errors="replace").splitlines()[-_STDERR_LINES:]
    return "".join(f"\n  | {line[:200]}" for line in lines) or "\n  it printed nothing on standard error"
