"""`archiver config`: what the environment says, without its secrets."""

from __future__ import annotations

import os

import click

from archiver.settings import load_settings, shown
from contracts.toolkit import NatsAccess, print_table


@click.command()
def config() -> None:
    """Show the settings as read from the environment; secrets as ***. Every problem is reported at once."""
    settings = load_settings()
    access = NatsAccess.from_environment(os.environ)
    rows = [("NATS_URL", access.place if access else "", "NATS server; `init` and `run` need it")]
    print_table(("variable", "value", "meaning"), [*rows, *shown(settings)])
