"""What became of each message of a run, on disk beside its plan, so that an interrupted run sends nothing twice.

Lines of JSON, only ever added: one where a process begins, `{"sending": N}` before any number below N goes out for
the first time, and one for each outcome. What is written is with the operating system, which a killed process does not
take along; a line that was cut short is taken off when the run is resumed.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import NoneType
from typing import Any, Final, Self

from contracts.errors import BadInput
from contracts.replay.plan.messages import ReplayRun
from contracts.replay.send.sender import SendOutcome, Status

JOURNAL: Final = "journal.jsonl"
"""The journal's name in the folder of its run."""
_SCHEMA: Final = "kaizen.replay.journal/1"
_MOST_LINES: Final = 1000  # where many messages are settled and nothing waits, as at the start of a resumed run


class Journal:
    """The journal of one run, held by one process at a time; use it as a context manager.

    `told` is called with the number of messages settled since the last call, each time lines are written.
    """

    def __init__(self, folder: Path, run: ReplayRun, told: Callable[[int], object] | None = None) -> None:
        self._path, self._run, self._told = folder / JOURNAL, run, told
        self._settled = bytearray(run.messages)
        self._lines: list[str] = []
        self._untold = 0
        self._file = -1
        self._failure: OSError | None = None
        self.sending_below = 0
        """Numbers from here on have never been sent."""
        self.sent_before = 0
        """What `sending_below` was when this process took the run: what is below may have been sent by another."""
        self.after_sequence: int | None = None
        """The last sequence of the stream before the first message of the run."""
        self.tally: Counter[Status] = Counter()
        """How many messages came to each end, in all processes."""
        self.reasons: Counter[str] = Counter()
        """Why messages were refused, and how many for each reason."""
        self.retried = 0
        """How many messages took more than one try."""
        self.is_resumed = False
        """Whether another process had begun this run."""

    def __enter__(self) -> Self:
        """Take the run for this process, and read what became of its messages so far.

        Raises:
            BadInput: another process holds it, or the journal is of another run or damaged.
        """
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise BadInput(f"cannot write {self._path}: {error.strerror}") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # ends with the process, however that ends
            self._read()
        except BlockingIOError:
            os.close(self._file)
            raise BadInput(f"another process is sending this run\n  wait for it to end: {self._path.parent}") from None
        except BaseException:
            os.close(self._file)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.flush()
        finally:
            os.close(self._file)

    def begin(self, position: int | None, at: str) -> None:
        """Write that a process begins: the stream's last sequence, and the time."""
        if not self.is_resumed:
            self.after_sequence = position
        began = {"schema": _SCHEMA, "run_id": self._run.run_id, "began_at": at, "after_sequence": position}
        self._lines.append(json.dumps(began))
        self.flush()

    def is_settled(self, number: int) -> bool:
        """Return whether the outcome of a message is known."""
        return bool(self._settled[number])

    def sending(self, below: int) -> None:
        """Write, before they go out, that numbers below this one are being sent."""
        self.sending_below = below
        self._lines.append(f'{{"sending": {below}}}')
        self.flush()

    def settle(self, number: int, outcome: SendOutcome) -> None:
        """Note what became of a message; written before the event loop waits again."""
        status, sequence, detail, tries = outcome
        line = f'{{"number": {number}, "status": "{status}"'
        if sequence is not None:
            line += f', "stream": "{self._run.stream}", "sequence": {sequence}'
        if detail:
            line += f', "detail": {json.dumps(detail)}'
        self._count(number, status, detail, tries)
        if not self._lines:
            asyncio.get_running_loop().call_soon(self._flush_later)
        self._lines.append(line + (f', "tries": {tries}}}' if tries > 1 else "}"))
        self._untold += 1
        if len(self._lines) >= _MOST_LINES:
            self.flush()

    def flush(self) -> None:
        """Hand all lines to the operating system, in one piece.

        Raises:
            OSError: they cannot be written, or earlier ones could not.
        """
        if self._failure is not None:
            raise self._failure
        if self._lines:
            self._lines.append("")
            left = memoryview("\n".join(self._lines).encode())
            self._lines.clear()
            try:
                while left:
                    left = left[os.write(self._file, left) :]
            except OSError as error:
                self._failure = error  # nothing may follow a line that is cut short
                raise
        if self._untold and self._told:
            self._told(self._untold)
            self._untold = 0

    def _flush_later(self) -> None:
        with suppress(OSError):  # raised again where somebody listens
            self.flush()

    def _count(self, number: int, status: Status, detail: str, tries: int) -> None:
        if self._settled[number]:
            raise AssertionError(f"message {number} is accounted for twice")
        self._settled[number] = 1
        self.tally[status] += 1
        self.retried += tries > 1
        if status in (Status.REFUSED, Status.UNKNOWN):
            self.reasons[detail] += 1

    def _read(self) -> None:
        whole = 0
        with self._path.open("rb") as file:
            for index, line in enumerate(file):
                if not line.endswith(b"\n"):
                    break  # cut short when its process was killed
                try:
                    self._take(json.loads(line))
                except (
                    ValueError,
                    KeyError,
                    TypeError,
                    IndexError,
                    AttributeError,
                    AssertionError,
                    RecursionError,
                ) as error:
                    raise BadInput(
                        f"{self._path}, line {index + 1}, is damaged: {error}\n"
                        "  what became of the messages is not known; start the replay anew"
                    ) from None
                whole += len(line)
        os.ftruncate(self._file, whole)
        self._untold = self.tally.total()

    def _take(self, record: dict[str, Any]) -> None:
        if "number" in record:
            number, detail, tries = record["number"], record.get("detail", ""), record.get("tries", 1)
            _require(type(number) is type(tries) is int and number >= 0 and isinstance(detail, str))
            self._count(number, Status(record["status"]), detail, tries)
        elif "sending" in record:
            _require(type(record["sending"]) is int)
            self.sending_below = self.sent_before = record["sending"]
        elif record["schema"] != _SCHEMA or record["run_id"] != self._run.run_id:
            raise ValueError(f"expected a line of run {self._run.run_id}")
        elif not self.is_resumed:
            _require(type(record["after_sequence"]) in {int, NoneType})
            self.is_resumed, self.after_sequence = True, record["after_sequence"]


def _require(is_as_written: bool) -> None:  # noqa: FBT001
    if not is_as_written:
        raise TypeError("a field has another type than it was written with")
