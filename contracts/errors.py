"""Exit statuses and the errors behind them, for both commands.

KitError                      1   raised on purpose; the command line prints it and exits
├── BadInput                  2   a file, an option or a setting that cannot be used
├── NothingChecked            3   there was nothing to check, which is never a pass
├── Unreachable               4   a server did not answer
└── ServerDidNotStart         4   a server of our own did not come up
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class Exit(IntEnum):
    """Exit statuses of the commands `contracts` and `archiver`; the same in both."""

    OK = 0
    """Every check passed; the work is done."""
    BROKEN = 1
    """The contract is broken, or the archive is damaged."""
    USAGE = 2
    """Wrong usage, or input that cannot be read."""
    NOTHING = 3
    """Nothing was checked: no payload, no fixture, no message."""
    UNREACHABLE = 4
    """A server cannot be reached, or did not confirm."""
    DEFECT = 5
    """A defect in this project; the traceback above is the report."""
    INTERRUPTED = 130
    """Interrupted by a signal before the work was done."""


class KitError(Exception):
    """Base of every error raised on purpose; anything else that escapes is a defect and keeps its traceback."""

    exit_code: ClassVar[Exit] = Exit.BROKEN


class BadInput(KitError):
    """A file, an option or a setting that cannot be used; the message gives the next step."""

    exit_code = Exit.USAGE


class NothingChecked(KitError):
    """There was nothing to check. Never a pass."""

    exit_code = Exit.NOTHING


class Unreachable(KitError):
    """A server did not answer, or did not confirm."""

    exit_code = Exit.UNREACHABLE

    def __init__(self, what: str, where: str, why: str) -> None:
        super().__init__(what, where, why)
        self.what, self.where, self.why = what, where, why

    def __str__(self) -> str:
        return f"cannot reach {self.what} at {self.where}: {self.why}"


class ServerDidNotStart(KitError):
    """A server for development or tests did not come up; nothing of it is left running."""

    exit_code = Exit.UNREACHABLE

    def __init__(self, server: str, why: str, next_step: str) -> None:
        super().__init__(server, why, next_step)
        self.server, self.why, self.next_step = server, why, next_step

    def __str__(self) -> str:
        return f"{self.server} did not start: {self.why}\n  next: {self.next_step}"
