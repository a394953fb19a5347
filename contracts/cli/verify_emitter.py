"""`contracts verify-emitter`: gate an emitter, over any transport."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from contracts.cli.reporting import ReportOptions, report_options, reporting
from contracts.config.values import Config, EmitterConfig
from contracts.errors import BadInput, Exit
from contracts.rules.registry import load_contract

if TYPE_CHECKING:
    from contracts.observe.verify import Emitter

_PATH = click.Path(path_type=Path)


@click.command("verify-emitter")
@click.argument("uris", nargs=-1, metavar="[URI | NAME]...")
@click.option("--contract", "name", metavar="SUBJECT[@VERSION]", help="Contract to hold it against.")
@click.option("--scenario", "chosen", multiple=True, metavar="NAME", help="Run this scenario only; repeatable.")
@click.option("--scenarios", "folder", type=_PATH, help="Folder of scenarios.  [default: those that ship]")
@click.option("--program", help="Compare with what this prepare command prints, by name or path.")
@click.option("--trigger", metavar="CMD", help="Command that makes the emitter speak; run once the server listens.")
@click.option("--count", type=click.IntRange(min=1), help="How many events are enough.  [default: 1]")
@click.option("--correlate", multiple=True, metavar="POINTER=VALUE", help="Look only at events that have this value.")
@click.option("--timeout", type=click.FloatRange(min=0.1), metavar="SECONDS", help="Limit for one run.  [default: 30]")
@click.option("--stream", help="Observe this JetStream stream instead of core NATS.")
@click.option("--from-seq", type=click.IntRange(min=1), help="Start at this sequence number of the stream.")
@click.option("--openapi", metavar="FILE | URL", help="Let schemathesis drive the endpoint from this document (JSON).")
@click.option("--creds", type=_PATH, help="NATS credentials file.  [default: $NATS_CREDS]")
@click.option("--nkey", type=_PATH, help="File with a NATS nkey seed.  [default: $NATS_NKEY_FILE]")
@click.option("--ca", type=_PATH, help="Authority of the NATS server's certificate.  [default: $NATS_CA]")
@report_options
def verify_emitter(
    uris: tuple[str, ...],
    name: str | None,
    chosen: tuple[str, ...],
    folder: Path | None,
    options: ReportOptions,
    **flags: Any,
) -> Exit:
    """Observe an emitter over any transport, and check its events against the contract.

    \b
      cmd:PROGRAM ARGUMENTS     a program that prints the event; {agent} {root} {cadence} {format} {repo} and
                                {scratch}, an empty directory, are filled from scenarios
      nats://HOST:PORT/SUBJECT  a subject; --trigger runs once the subscription is confirmed; without HOST:PORT, on
                                the server of NATS_URL or NATS_CONTEXT
      http(s)://...             an endpoint that returns the event
      py:package.module:name    a callable; its parameters are filled like placeholders
      file:PATH, -              a file, a directory or JSONL; standard input

    A NAME is an emitter of the configuration file; without any, all of them are verified.

    Each scenario is an input checkout, arguments and the golden event: the emitter gets a private copy, and what
    comes out is compared field by field. Exit status 3 where no event was seen, 4 where a server does not answer.
    """
    from contracts.observe.observation import behaviour_rules
    from contracts.observe.scenarios import load_scenarios
    from contracts.observe.verify import verify

    contract = load_contract(name or options.config.contract or "kaizen.schedule.prepared")
    observed = 0
    with reporting(options, behaviour_rules()) as run:
        for emitter, configured, home in _emitters(uris, options.config, flags):
            place = folder or (options.config.resolve(configured) if configured else None)
            scenarios = load_scenarios(contract.name, place, chosen) if emitter.takes_scenarios else []
            with home:
                for count, result in verify(emitter, contract, scenarios):
                    observed += count
                    run.add(result)
    return run.status if observed else Exit.NOTHING


def _emitters(
    uris: tuple[str, ...], config: Config, flags: dict[str, Any]
) -> Iterator[tuple[Emitter, str | None, AbstractContextManager[None]]]:
    """Yield each emitter with its folder of scenarios, and where its commands are written from."""
    from contracts.observe.configured import at_home

    names = uris or tuple(config.emitters)
    if not names:
        raise BadInput(
            "there is no emitter to verify\n"
            "  give a URI, for example 'cmd:my-emitter {agent} {root}', or write one down: contracts init"
        )
    for name in names:
        is_uri = ":" in name or name == "-"
        told = EmitterConfig(uri=name) if is_uri else config.emitter(name, os.environ)
        yield _emitter(told, flags), told.scenarios, nullcontext() if is_uri else at_home(config)


def _emitter(told: EmitterConfig, flags: dict[str, Any]) -> Emitter:
    """Return the emitter of a table or a URI; flags take precedence over the table."""
    from contracts.observe.configured import emitter_of
    from contracts.observe.verify import parse_correlation

    files = {"NATS_CREDS": flags["creds"], "NATS_NKEY_FILE": flags["nkey"], "NATS_CA": flags["ca"]}
    environment = os.environ | {name: str(path) for name, path in files.items() if path}
    said = {
        "timeout_s": flags["timeout"],
        "trigger": flags["trigger"],
        "count": flags["count"],
        "correlate": tuple(parse_correlation(each) for each in flags["correlate"]),
        "stream": flags["stream"],
        "from_sequence": flags["from_seq"],
        "program": flags["program"],
        "openapi": flags["openapi"],
    }
    return replace(emitter_of(told, environment), **{name: value for name, value in said.items() if value})
