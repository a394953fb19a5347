"""The command line of `archiver`: each verb's module is imported when the verb is asked for."""

from __future__ import annotations

import click

from contracts.toolkit import LazyGroup


@click.command(
    cls=LazyGroup,
    verbs={
        "dev": "archiver.cli.dev:dev",
        "config": "archiver.cli.config:config",
        "init": "archiver.cli.init:init",
        "run": "archiver.cli.run:run",
        "put": "archiver.cli.run:put",
        "ls": "archiver.cli.get:ls",
        "get": "archiver.cli.get:get",
        "events": "archiver.cli.events:events",
        "verify": "archiver.cli.verify:verify",
        "gc": "archiver.cli.gc:gc",
        "dead": "archiver.cli.dead:dead",
        "doctor": "archiver.cli.doctor:doctor",
    },
)
@click.version_option(package_name="kaizen-event-kit", prog_name="archiver")
def archiver() -> None:
    """Where did the bundle go?

    Settings come from the environment: AWS_* as every S3 tool reads them, NATS_URL, and ARCHIVER_*;
    `archiver config` shows them.

    \b
    Exit status of every verb:
      0  done                    4  NATS or the store cannot be reached
      1  not archived, damaged   5  a defect of ours
      2  wrong usage or settings
      3  nothing to do
      130  interrupted
    """
