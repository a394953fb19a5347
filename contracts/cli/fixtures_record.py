"""`contracts fixtures record`: captured events as fixtures, with their provenance."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from contracts.cli.fixtures import refuse_in_ci
from contracts.errors import BadInput, Exit, NothingChecked
from contracts.model.counted import counted
from contracts.rules.registry import load_contract

if TYPE_CHECKING:
    from contracts.fixtures.recorder import Recording
    from contracts.observe.observation import Observation
    from contracts.observe.verify import Emitter


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE... | -")
@click.option(
    "--into", "folder", type=click.Path(file_okay=False, path_type=Path), required=True, help="Directory to write to."
)
@click.option(
    "--emitter-version", metavar="TEXT", required=True, help="Version of the emitter that was captured; provenance."
)
@click.option(
    "--contract", "name", metavar="SUBJECT[@VERSION]", help="Contract of the events.  [default: what each names]"
)
@click.option("--trigger", metavar="CMD", help="Command that makes the emitter speak; run once the server listens.")
@click.option("--count", type=click.IntRange(min=1), help="How many events are enough.  [default: 1]")
@click.option("--timeout", type=click.FloatRange(min=0.1), metavar="SECONDS", help="Limit for one run.  [default: 30]")
@click.option("--stream", help="Record from this JetStream stream instead of core NATS.")
def record(
    sources: tuple[str, ...],
    *,
    folder: Path,
    emitter_version: str,
    name: str | None,
    trigger: str | None,
    count: int | None,
    timeout: float | None,
    stream: str | None,
) -> Exit:
    """Record captured events as fixtures, with their provenance. Refused in CI.

    A SOURCE is a file, a directory, JSONL, '-', or a URI as `contracts verify-emitter` takes it. Where it takes
    scenarios, --into is their folder, and each one's golden event.json is recorded anew. Secrets and URL credentials
    are taken out and noted in provenance.json, as are the rules that an event breaks; repeats are counted, not kept.
    """
    from contracts.fixtures.recorder import record as recorded

    refuse_in_ci("a golden event must be reviewed when it is captured")
    contract = load_contract(name) if name else None
    emitters = [_emitter(source, trigger, count, timeout, stream) for source in sources]

    def take(seen: list[Observation]) -> Recording:
        return recorded(seen, emitter_version=emitter_version, now=lambda: datetime.now(UTC), contract=contract)

    plain = [emitter for emitter in emitters if not emitter.takes_scenarios]
    for emitter in emitters:
        if emitter.takes_scenarios:
            _record_goldens(emitter, folder, take)
    return _record_plain(plain, folder, take) if plain else Exit.OK


def _emitter(source: str, trigger: str | None, count: int | None, timeout: float | None, stream: str | None) -> Emitter:
    from contracts.config.values import EmitterConfig
    from contracts.observe.configured import emitter_of

    uri = source if source == "-" or ":" in source else f"file:{source}"
    config = EmitterConfig(uri=uri, trigger=trigger, count=count, timeout=timeout, stream=stream)
    return emitter_of(config, os.environ)


def _record_plain(emitters: list[Emitter], folder: Path, take: Callable[[list[Observation]], Recording]) -> Exit:
    from contracts.fixtures.recorder import keep
    from contracts.observe.verify import observe

    recording = take([each for emitter in emitters for each in observe(emitter).observations])
    for left_out in recording.left_out:
        click.echo(f"skipped: {left_out}", err=True)
    if not recording.entries:
        raise NothingChecked("there is no event to record\n  expected a JSON object, or one a line")
    new = keep(recording, folder)
    for entry in recording.entries.values():
        click.echo(f"{entry['file']}: {_notes(entry)}")
    click.echo(f"{new} new, {len(recording.entries) - new} recorded before, {len(recording.left_out)} skipped")
    return Exit.BROKEN if recording.left_out else Exit.OK


def _record_goldens(emitter: Emitter, folder: Path, take: Callable[[list[Observation]], Recording]) -> None:
    """Run the emitter for each scenario of a folder, and make its output the scenario's golden event."""
    from contracts.fixtures.recorder import keep_golden
    from contracts.observe.scenarios import load_scenarios, staged
    from contracts.observe.verify import observe

    for scenario in load_scenarios("", folder):
        with staged(scenario) as stage:
            observed = observe(emitter, stage)
        faults = [str(violation) for violation in observed.violations]
        recording = take(list(observed.observations))
        if faults or recording.left_out or len(recording.entries) != 1:
            problem = "; ".join(faults or recording.left_out) or counted(len(recording.entries), "event")
            raise BadInput(f"cannot record {scenario.name}: expected one event, found {problem}")
        keep_golden(recording, scenario.folder)
        (entry,) = recording.entries.values()
        click.echo(f"{scenario.golden_path}: {_notes(entry)}")


def _notes(entry: Mapping[str, Any]) -> str:
    notes = [f"scrubbed {each['pointer']} ({each['rule']})" for each in entry["scrubbed"]]
    return ", ".join([*notes, *(f"breaks {rule}" for rule in entry["breaks"])]) or "as it came"
