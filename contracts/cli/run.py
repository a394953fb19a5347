"""Run a click command with the exit statuses of `contracts.errors`; both commands start here."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping
from importlib import import_module
from typing import Any, NoReturn

import click

from contracts.errors import Exit, KitError


class LazyGroup(click.Group):
    """A group that imports the module of a verb when the verb is asked for: `check` must start fast."""

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
    sys.exit(_status(command, arguments))


def _status(command: click.Command, arguments: list[str] | None) -> int:
    try:
        outcome = command.main(arguments, standalone_mode=False)
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
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`). Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.INTERRUPTED
    except Exception:  # noqa: BLE001 - the one place where a defect of ours ends, with its traceback
        traceback.print_exc()
        click.echo(f"{command.name}: this is a defect in kaizen-event-kit; please report the lines above", err=True)
        return Exit.DEFECT
    return outcome if isinstance(outcome, int) else Exit.OK
