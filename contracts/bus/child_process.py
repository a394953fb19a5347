"""A child process that cannot outlive us."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from contracts.errors import ServerDidNotStart

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self

_START_WITHIN_S = 30.0  # nats-server takes 0.03 s and SeaweedFS 1 s; a busy machine takes longer
_POLL_S = 0.02
_LOG_LINES = 15

# Run by a small Python that then becomes the server, so that the kernel ends the server when the thread that
# started it ends, however it ends. SIGTERM, not SIGKILL: only a SeaweedFS that ends in order removes its
# sockets. Not `preexec_fn`, which can deadlock in a process with threads, as drivers have them.
_BECOME = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG, linux/prctl.h
    if os.getppid() != int(sys.argv[1]):
        sys.exit("the parent is gone already")
os.execv(sys.argv[2], sys.argv[2:])
"""


class ChildProcess:
    """A server that runs as a child process, with its own folder and log.

    It dies with the thread that called `start`: start it from the main thread, or from one that lasts.
    """

    binary: ClassVar[str]

    def __init__(self, home: Path) -> None:
        self.home = home.absolute()
        self.log = self.home / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:  # Ctrl-C while it starts: nobody would call `__exit__`
            self.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process id; of the last run, when stopped."""
        assert self._process is not None, "not started"
        return self._process.pid

    def start(self) -> None:
        """Start, or start again where it left off: same port, same data, same credentials."""
        raise NotImplementedError

    def stop(self, grace_s: float = 10.0) -> None:
        """End it in order, by force after `grace_s` seconds; does nothing when it has ended."""
        self.end(signal.SIGTERM, grace_s)

    def kill(self) -> None:
        """End it at once, as a crash would: SIGKILL."""
        self.end(signal.SIGKILL, None)

    def end(self, how: signal.Signals, grace_s: float | None) -> None:
        """Send `how`, wait for the end, and use force after `grace_s` seconds (None: wait without limit)."""
        if self._process is None:
            return
        self._process.send_signal(how)  # to a child that has ended: nothing happens
        try:
            self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def run(self, *arguments: str | Path) -> None:
        """Start the program in its folder.

        Raises:
            ServerDidNotStart: it is not installed.
        """
        executable = find_program(self.binary)
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.log.open("ab") as log:  # a file: a pipe that nobody reads can stall a server
            self._process = subprocess.Popen(
                [sys.executable, "-ISc", _BECOME, str(os.getpid()), executable, *map(str, arguments)],
                cwd=self.home,
                # Not our environment: weed would make identities of AWS_* and buckets of S3_BUCKET.
                env={"HOME": str(self.home), "PATH": os.defpath},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the terminal is for us; we stop servers in our order
            )

    def write_private(self, name: str, content: Mapping[str, object]) -> Path:
        """Write a JSON file in its folder that nobody else can read, and return its path."""
        path = self.home / name
        path.unlink(missing_ok=True)
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps(content), "utf-8")
        return path

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Wait until `ready` returns True.

        Raises:
            ServerDidNotStart: it ended, or was not ready in time and has been killed.
        """
        assert self._process is not None
        deadline = time.monotonic() + _START_WITHIN_S
        while not ready():
            with suppress(subprocess.TimeoutExpired):
                raise self._failure(f"it ended with exit status {self._process.wait(_POLL_S)}")
            if time.monotonic() > deadline:
                self.kill()
                raise self._failure(f"it was not ready within {_START_WITHIN_S:.0f} s")

    def _failure(self, why: str) -> ServerDidNotStart:
        lines = self.log.read_text("utf-8", "replace").splitlines()[-_LOG_LINES:]
        shown = "\n    ".join([f"last lines of {self.log}:", *lines])
        return ServerDidNotStart(
            self.binary,
            f"{why}\n    {shown}",
            f"read the lines above; a fresh folder for {self.home} may help",
        )


def find_program(binary: str) -> str:
    """Return the path of a program in this environment, or otherwise on PATH.

    Raises:
        ServerDidNotStart: neither does.
    """
    beside = Path(sys.executable).parent / binary  # a virtual environment that is not activated
    found = shutil.which(beside) or shutil.which(binary)
    if found is None:
        raise ServerDidNotStart(
            binary,
            f"it is neither beside {sys.executable} nor on PATH",
            "pip install 'kaizen-event-kit[dev]'",
        )
    return found
