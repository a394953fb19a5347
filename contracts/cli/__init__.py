"""The command line of `contracts`: one module for each group of verbs, imported when its verb is asked for."""

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
    """Is this event right, and will everybody who reads it still cope?

    \b
    Exit status of every verb:
      0  pass             3  nothing was checked
      1  contract broken  4  a server cannot be reached
      2  wrong usage, or input that cannot be read
      5  a defect of ours
      130  interrupted
    """
