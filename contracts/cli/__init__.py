"""The command line of `contracts`: one module for each group of verbs, imported when its verb is used."""

from __future__ import annotations

import click

from contracts.cli.run import LazyGroup


@click.command(
    cls=LazyGroup,
    verbs={
        "list": "contracts.cli.show:list_contracts",
        "show": "contracts.cli.show:show",
        "explain": "contracts.cli.show:explain",
        "check": "contracts.cli.check:check",
        "verify-emitter": "contracts.cli.verify_emitter:verify_emitter",
        "fixtures": "contracts.cli.fixtures:fixtures",
        "emit": "contracts.cli.emit:emit",
        "resend": "contracts.cli.emit:resend",
        "record": "contracts.cli.record:record",
        "replay": "contracts.cli.replay:replay",
        "schema": "contracts.cli.schema:schema",
        "init": "contracts.cli.init:init",
        "doctor": "contracts.cli.doctor:doctor",
    },
)
@click.version_option(package_name="kaizen-event-kit", prog_name="contracts")
def contracts() -> None:
    """Validate events against their contract, and check that every known consumer can still read them.

    \b
    Exit status of every verb:
      0  pass             3  nothing was checked
      1  contract broken  4  a server is unreachable
      2  wrong usage, or unreadable input
      5  a defect in this program
      130  interrupted
    """
