"""The command line of `archiver`: each verb's module is imported when the verb is used."""

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
    """Archive the bundles of prepared events in an S3-compatible store, and read, verify and clean that archive.

    Settings come from the environment: AWS_* as every S3 tool reads them, NATS_*, and ARCHIVER_*; `archiver config`
    prints them.

    \b
    Exit status of every verb:
      0  done                    4  NATS or the store is unreachable
      1  not archived, damaged   5  a defect in this program
      2  wrong usage or settings
      3  nothing found, nothing to do
      130  interrupted
    """
