"""The prepare command: `kaizen-agentic schedule prepare`, for running and for showing."""

from __future__ import annotations

import io
import json
import shlex
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import list2cmdline
from typing import Any, BinaryIO

from contracts.emit.process import run_program
from contracts.errors import BadInput, KitError
from contracts.model.shell_words import is_windows_path


class BrokenPrepareOutput(KitError):
    """`schedule prepare --format json` did not print what the spec requires."""

    def __init__(self, command: str, problem: str) -> None:
        super().__init__(command, problem)
        self.command, self.problem = command, problem

    def __str__(self) -> str:
        return f"{self.problem}\n  printed by: {self.command}\n  expected one JSON object with the flags of bundle.*"


@dataclass(frozen=True, slots=True)
class PrepareCommand:
    """`schedule prepare AGENT --target ROOT [--format json]` of one program."""

    program: Path
    agent: str
    root: str
    format: str

    @classmethod
    def find(cls, program: str, *, agent: str, root: str, format: str) -> PrepareCommand:  # noqa: A002 - the spec's word
        """Find the program on PATH, or by path.

        Raises:
            BadInput: there is no such program; lists the searched places.
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
        """The command as the event shows it: the program by its name, not by its local path."""
        words = [self.program.name, *self.arguments()]
        return list2cmdline(words) if is_windows_path(self.root) else shlex.join(words)

    def run(self, sink: BinaryIO, *, timeout_s: float) -> int:
        """Render the bundle into `sink`, and return its bytes.

        Raises:
            BadInput: the program cannot be started, fails, or takes too long; with the end of its standard error.
            OSError: `sink` cannot be written.
        """
        done = run_program([str(self.program), *self.arguments()], sink, timeout_s=timeout_s)
        if done.late:
            raise BadInput(f"{self.text} did not end within {timeout_s:g} s and was stopped{done.stderr_tail()}")
        if done.status != 0:
            raise BadInput(f"{self.text} failed with exit status {done.status}{done.stderr_tail()}")
        return done.copied_bytes

    def document(self, *, timeout_s: float) -> Any:
        """Run with `--format json`, and return what it prints.

        Raises:
            BrokenPrepareOutput: it is not JSON.
            BadInput: as `run`.
        """
        asked = replace(self, format="json")
        sink = io.BytesIO()
        asked.run(sink, timeout_s=timeout_s)
        return asked.read_document(sink.getvalue())

    def read_document(self, raw: bytes) -> Any:
        """Read what `--format json` printed.

        Raises:
            BrokenPrepareOutput: it is not JSON.
        """
        try:
            return json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise BrokenPrepareOutput(self.text, f"the prepare command's output is not JSON: {error}") from None
