"""Run a click command with the exit statuses of `contracts.errors`; both commands start here."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Mapping
from importlib import import_module
from io import TextIOWrapper
from typing import Any, NoReturn

import click

from contracts.errors import Exit, KitError


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

    A `KitError` is printed without a traceback; anything else that escapes is a defect of ours and keeps its own.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file name may hold any byte, a terminal be ASCII only
    sys.exit(_status(command, arguments))


def _status(command: click.Command, arguments: list[str] | None) -> int:
    output = sys.stdout
    try:
        outcome = command.main(arguments, prog_name=command.name, standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Abort:
        click.echo("interrupted", err=True)
        return Exit.INTERRUPTED
    except click.ClickException as error:
        error.show()
        return Exit.USAGE
    except KitError as error:
        click.echo("\n".join((f"{command.name}: {error}", *getattr(error, "__notes__", ()))), err=True)
        return error.exit_code
    except SystemExit as ended:
        # Where a reader has gone, click muffles the output, rich catches the error, and both would say 1: "broken".
        if sys.stdout is output and not isinstance(ended.__context__, BrokenPipeError):
            raise
        return Exit.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the one place where whatever nobody foresaw ends
        return _failed(command, error)
    return outcome if isinstance(outcome, int) else Exit.OK


def _failed(command: click.Command, error: Exception) -> Exit:
    """Tell an output that takes no more from a defect of ours, which keeps its traceback."""
    if isinstance(error, BrokenPipeError):  # whoever read our output has gone (`| head`)
        _drop_output()
        return Exit.INTERRUPTED
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        click.echo(f"{command.name}: cannot write: {error.strerror}", err=True)
        _drop_output()
        return Exit.USAGE
    if isinstance(error, ModuleNotFoundError) and error.name not in (None, "contracts", "archiver"):
        extra = "archiver" if command.name == "archiver" else "nats"  # what a base install leaves out
        click.echo(
            f"{command.name}: this needs the package {error.name!r}\n  pip install 'kaizen-event-kit[{extra}]'",
            err=True,
        )
        return Exit.USAGE
    import traceback

    traceback.print_exception(error)
    click.echo(f"{command.name}: this is a defect in kaizen-event-kit; please report the lines above", err=True)
    return Exit.DEFECT


def _drop_output() -> None:
    """Let what standard output could not take go nowhere; at exit Python would try, and complain, once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
