"""Run a click command with the exit statuses of `contracts.errors`; both commands start here."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Final, NoReturn, TextIO

import click

from contracts.errors import Exit, KitError
from contracts.model.violation import printable


class Group(click.Group):
    """A group whose help shows the whole summary of each verb; click's own cuts it off at the end of the line."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the verbs with their summaries."""
        found = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        with formatter.section("Commands"):
            formatter.write_dl([(name, each.get_short_help_str(1000)) for name, each in found if each])


class LazyGroup(Group):
    """A group that imports the module of a verb when the verb is used: `check` must start fast."""

    def __init__(self, *args: Any, verbs: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._verbs = verbs

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """List the verbs in the order in which a newcomer meets them."""
        return list(self._verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the module of one verb."""
        if cmd_name not in self._verbs:
            return None
        module, _, name = self._verbs[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command


def run(command: click.Command, arguments: list[str] | None = None) -> NoReturn:
    """Run a command and exit the process with one of `Exit`.

    A `KitError` is printed without a traceback. Anything else that escapes is a defect and keeps its traceback.
    """
    _open_closed_streams()
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file name may hold any byte, a terminal be ASCII only
    sys.exit(_status(command, arguments))


def drop_output() -> None:
    """Discard what standard output did not take: at exit Python would write it once more, and fail."""
    _drop(sys.stdout)


def _drop(stream: TextIO) -> None:
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _open_closed_streams() -> None:
    """Open the standard streams that the caller closed (`>&-`); otherwise the next file opened gets what is printed."""
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
            os.set_inheritable(descriptor, True)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(descriptor, mode, encoding="utf-8", closefd=False))


def _status(command: click.Command, arguments: list[str] | None) -> int:
    output = sys.stdout
    try:
        outcome = command.main(arguments, prog_name=command.name, standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Abort:
        _complain("interrupted")
        return Exit.INTERRUPTED
    except click.ClickException as error:
        with suppress(OSError):
            error.show()
        return Exit.USAGE
    except KitError as error:
        text = "\n".join((f"{command.name}: {error}", *getattr(error, "__notes__", ())))
        _complain("\n".join(map(printable, text.split("\n"))))  # an error may quote a program, a server or an event
        return error.exit_code
    except SystemExit as ended:
        # Where a reader has gone, click muffles the output, rich catches the error, and both exit with 1: "broken".
        if sys.stdout is output and not isinstance(ended.__context__, BrokenPipeError):
            raise
        return Exit.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the one place where every unforeseen error ends
        return _failed(command, error)
    return outcome if isinstance(outcome, int) else Exit.OK


def _failed(command: click.Command, error: Exception) -> Exit:
    """Distinguish what the caller can fix from a defect, which keeps its traceback."""
    if isinstance(error, BrokenPipeError):  # the reader of our output has gone (`| head`)
        drop_output()
        return Exit.INTERRUPTED
    if isinstance(error, OSError) and error.errno in _WRITE_ERRORS:
        _complain(f"{command.name}: cannot write: {error.strerror}")
        drop_output()
        return Exit.USAGE
    if isinstance(error, FileNotFoundError) and not _has_working_directory():
        _complain(f"{command.name}: the working directory was deleted\n  change to one that exists")
        return Exit.USAGE
    if isinstance(error, ModuleNotFoundError) and error.name not in (None, "contracts", "archiver"):
        extra = "archiver" if command.name == "archiver" else "nats"  # what a base install lacks
        _complain(f"{command.name}: this needs the package {error.name!r}\n  pip install 'kaizen-event-kit[{extra}]'")
        return Exit.USAGE
    import traceback

    _complain("".join(traceback.format_exception(error)).rstrip())
    _complain(f"{command.name}: this is a defect in kaizen-event-kit; please report the lines above")
    return Exit.DEFECT


_WRITE_ERRORS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EBADF})
"""What a write fails with because of where it goes to."""


def _has_working_directory() -> bool:
    try:
        Path.cwd()
    except OSError:
        return False
    return True


def _complain(text: str) -> None:
    try:
        click.echo(text, err=True)
    except OSError:  # standard error is full, or its reader has gone
        _drop(sys.stderr)
