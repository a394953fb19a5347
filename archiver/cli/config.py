"""`archiver config`: each setting, its value and where it came from, without secrets."""

from __future__ import annotations

import os

import click

from archiver.settings import load_settings, shown
from contracts.toolkit import NatsAccess, print_table


@click.command()
def config() -> None:
    """Show each setting, its value and where it came from; secrets as ***. Every problem is reported at once.

    Where a value came from is an environment variable, a profile in a file, or the default. Credentials that no
    variable holds are looked up as AWS tools do, which may run a program or ask a service.
    """
    settings = load_settings()
    access = NatsAccess.from_environment(os.environ)
    origin = access.named_by.replace("NATS_URL", "environment variable NATS_URL") if access else "default"
    rows = [("NATS_URL", access.place if access else "", origin, "NATS server; `init` and `run` need it")]
    print_table(("variable", "value", "from", "meaning"), [*rows, *shown(settings)])
