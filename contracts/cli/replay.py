"""`contracts replay`: send recorded events again, to a target that is meant for it."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import click

from contracts.bus.access import NatsAccess
from contracts.cli.amounts import Pair, Rate, Share, Speed, When
from contracts.cli.option_groups import GroupedCommand
from contracts.config.values import find_config
from contracts.emit.spool import Spool
from contracts.errors import BadInput, Exit, KitError, NothingChecked
from contracts.model.counted import counted
from contracts.model.records import InvalidRecord, RecordSchema, record_of
from contracts.model.rfc3339 import format_rfc3339
from contracts.model.strict_json import Limits
from contracts.model.violation import printable
from contracts.output import write_output
from contracts.replay.events.capture import Found
from contracts.replay.events.sources import from_file, from_fixtures
from contracts.replay.plan.bundles import copy_bundles
from contracts.replay.plan.messages import PLAN, ReplayRun, read_messages, read_run, write_plan
from contracts.replay.plan.planner import Digest, Wanted, planned
from contracts.replay.plan.rewrite import Rewriting
from contracts.replay.plan.schedule import Schedule
from contracts.replay.target.rails import Target, find_target, refuse_live, same_target
from contracts.rules.registry import load_contract

REPORT: Final = "report.json"
"""The machine report's name in the folder of its run."""
_GROUPS: Final = {
    "What to send (one of the first three; golden fixtures by default)": (
        "fixtures",
        "file",
        "stream",
        "since",
        "from_seq",
        "until",
        "url",
        "subject",
        "invalid",
    ),
    "Rewriting": ("rewrite", "roots", "repos", "spool"),
    "Schedule of the traffic (by default in order, as fast as it goes)": (
        "rate",
        "speed",
        "jitter",
        "shuffle",
        "duplicate",
        "seed",
    ),
    "Sending (nothing is sent without --execute)": (
        "execute",
        "live",
        "concurrency",
        "await_s",
        "runs",
        "resume",
    ),
}
_CONCURRENCY: Final = 256
_EMITTED: Final = "kaizen.schedule.prepared"
_NEEDS: Final = {
    "since": "stream",
    "from_seq": "stream",
    "until": "stream",
    "url": "stream",
    "roots": "rewrite",
    "repos": "rewrite",
    "spool": "rewrite",
}


@click.command(cls=GroupedCommand, groups=_GROUPS)
@click.argument("target", required=False, metavar="TARGET")
@click.option(
    "--fixtures",
    is_flag=False,
    flag_value="",
    metavar="[SUBJECT[@VERSION]]",
    help="The valid golden fixtures of a contract.  [default: kaizen.schedule.prepared]",
)
@click.option("--from-file", "file", metavar="FILE", help="Captures or payloads, one a line; '-' is standard input.")
@click.option("--from-stream", "stream", metavar="STREAM", help="What a JetStream stream holds now.")
@click.option("--since", type=When(), help="Of the stream, from this day, time, or long ago (2h) on.")
@click.option("--from-seq", type=click.IntRange(min=1), metavar="N", help="Of the stream, from this sequence on.")
@click.option("--until", type=When(), help="Of the stream, only what came before this time.")
@click.option(
    "--nats", "url", metavar="URL", help="Server of --from-stream.  [default: $NATS_URL, or the context of `nats`]"
)
@click.option("--subject", metavar="PATTERN", help="Only what was seen on this subject; '*' and '>' as in NATS.")
@click.option("--invalid", is_flag=True, help="Events that break their contract, too; the boundary's rules hold.")
@click.option("--rewrite", is_flag=True, help="Move occurred_at: the latest to now, the gaps as they are.")
@click.option(
    "--map-root",
    "roots",
    type=Pair(),
    multiple=True,
    help="With --rewrite: another checkout path, for OLD and below it; repeatable.",
)
@click.option(
    "--map-repo", "repos", type=Pair(), multiple=True, help="With --rewrite: another repository slug; repeatable."
)
@click.option(
    "--spool",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="With --rewrite: where bundles lie; each gets its event's new name, too.",
)
@click.option("--rate", type=Rate(), help="Messages by time: 50/s, 90/min.")
@click.option("--speed", type=Speed(), help="The gaps as they were recorded, so many times as fast: 1x, 10x.")
@click.option("--jitter", type=Share(), help="Send up to this part of the gap before it early, at random: 20%.")
@click.option("--shuffle", type=click.IntRange(min=2), metavar="N", help="Move each message by fewer than N places.")
@click.option("--duplicate", type=Share(), help="Send this share of the events twice, as separate messages: 5%.")
@click.option("--seed", type=click.IntRange(min=0), metavar="N", help="Repeat the chances of another replay.")
@click.option("--execute", is_flag=True, help="Send it.")
@click.option("--yes-this-is-live", "live", metavar="NAME", help="The target looks live, and is meant.")
@click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    default=_CONCURRENCY,
    show_default=True,
    metavar="N",
    help="Messages on their way at once.",
)
@click.option(
    "--await-archived",
    "await_s",
    type=click.FloatRange(min=0.1),
    metavar="SECONDS",
    help="Match with kaizen.schedule.archived, up to so long after the last confirmation.",
)
@click.option(
    "--into",
    "runs",
    type=click.Path(file_okay=False, path_type=Path),
    default="replays",
    show_default=True,
    help="Where the folder of the run goes.",
)
@click.option(
    "--resume",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="RUN_FOLDER",
    help="Go on with a run that was interrupted.",
)
def replay(target: str | None, *, execute: bool, live: str | None, resume: Path | None, **given: Any) -> Exit:
    """Send events once more, to TARGET: a name under [targets] in contracts.toml, or a URL that is there.

    Shows the plan, and sends nothing without --execute. Golden fixtures, captures (`contracts record`, `archiver
    events`) and slices of a stream keep their subjects, behind the target's prefix. Each event is checked; one that
    breaks its contract stops the replay, and so does a target that looks live.
    """
    if resume is not None:
        return _resume(resume, target, live=live, given=given)
    if target is None:
        raise click.UsageError("Missing argument 'TARGET': a name under [targets] in contracts.toml")

    _refuse_orphans(given)
    place = find_target(find_config(Path.cwd(), os.environ), target, os.environ)
    if execute:
        refuse_live(place, [], live)  # checked first: it needs no server
    source = _chosen_source(given, os.environ)
    wanted, digest = _wanted(place, given), Digest()
    messages = planned(source.found, wanted, digest)
    if not execute:
        deque(messages, maxlen=0)
        _approve(source.name, wanted, digest, live)
        click.echo("dry run: nothing was sent; the same command with --execute sends it")
        return Exit.OK
    with _draft(given["runs"]) as draft:
        run_id = draft.name.removeprefix(".")
        write_plan(draft, messages, lambda: _run(run_id, wanted, digest))
        _approve(source.name, wanted, digest, live)
        folder = draft.rename(given["runs"] / run_id)
    click.echo(f"run       {folder / PLAN}")
    return _send(folder, place, given)


def _approve(source: str, wanted: Wanted, digest: Digest, live: str | None) -> None:
    """Show the plan, and end here where a rail stands in the way."""
    from contracts.replay.target.liveness import inspect_target

    _show_plan(source, wanted, digest)
    if digest.refused:
        raise EventsRefused(digest)
    if not digest.messages:
        why = f": {counted(digest.passed_over, 'event')} on other subjects" if digest.passed_over else ""
        raise NothingChecked(f"there is no event to send{why}")
    refuse_live(wanted.target, inspect_target(wanted.target, digest.subjects), live)


def _resume(folder: Path, target: str | None, *, live: str | None, given: dict[str, Any]) -> Exit:
    """Go on with a run, after its rails were checked again: hours may have passed."""
    from contracts.replay.target.liveness import inspect_target

    context = click.get_current_context()
    kept = {"target", "live", "resume", "concurrency", "await_s", "spool", "execute"}
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name not in kept and source is click.core.ParameterSource.COMMANDLINE:
            raise BadInput(f"{parameter.opts[0]} and --resume exclude each other: the plan holds what is sent, and how")
    run = read_run(folder)
    if target not in {None, run.target}:
        raise BadInput(f"the run in {folder} is for the target {run.target}, not for {target}")
    place = same_target(find_config(Path.cwd(), os.environ), run, os.environ)
    refuse_live(place, inspect_target(place, {each.subject for each in read_messages(folder)}), live)
    return _send(folder, place, given)


def _send(folder: Path, target: Target, given: dict[str, Any]) -> Exit:
    """Copy the bundles to the keys of the rewritten events, and send the run."""
    if given["spool"] is not None:
        _copy_bundles(folder, given["spool"])
    return _carry_out(folder, target, concurrency=given["concurrency"], await_archived_s=given["await_s"])


def _copy_bundles(folder: Path, directory: Path) -> None:

    copied, missing = copy_bundles(folder, Spool(directory))
    click.echo(f"bundles   {copied:,} under their new names in {directory}, {missing:,} not there", err=True)


def _wanted(target: Target, given: dict[str, Any]) -> Wanted:

    return Wanted(
        target=target,
        schedule=Schedule(
            rate=given["rate"],
            speed=given["speed"],
            jitter=given["jitter"] or 0.0,
            shuffle=given["shuffle"] or 1,
            duplicate=given["duplicate"] or 0.0,
        ),
        seed=secrets.randbelow(1 << 32) if given["seed"] is None else given["seed"],
        now=datetime.now(UTC),
        rewriting=Rewriting(roots=dict(given["roots"]), repos=dict(given["repos"])) if given["rewrite"] else None,
        subject=given["subject"],
        invalid=given["invalid"],
    )


def _run(run_id: str, wanted: Wanted, digest: Digest) -> ReplayRun:

    return ReplayRun(
        run_id=run_id,
        target=wanted.target.name,
        url=wanted.target.place,
        stream=wanted.target.stream,
        messages=digest.messages,
        lasts_s=digest.lasts_s,
        created_at=format_rfc3339(wanted.now),
        seed=wanted.seed if wanted.schedule.draws else None,
    )


@contextmanager
def _draft(runs: Path) -> Iterator[Path]:
    """Make the folder of a run under a hidden name; it goes again unless it was renamed. Run ids sort by time."""
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    folder = runs / f".{name}"
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise BadInput(f"cannot write into {runs}: {error.strerror or error}") from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _carry_out(folder: Path, target: Target, *, concurrency: int, await_archived_s: float | None) -> Exit:
    """Send what is left of a run; print the final table, and leave the report in its folder.

    A run that has its report is complete; the report stays as it is.

    Raises:
        KitError: the run was interrupted; the message names the command that resumes it.
    """
    if (folder / REPORT).exists():
        click.echo(f"complete  nothing is left to send: see {folder / REPORT}")
        return Exit.OK if _passes(folder / REPORT) else Exit.BROKEN
    from contracts.cli.tables import print_table
    from contracts.replay.send.run import execute

    run, next_step = read_run(folder), f"go on with it: contracts replay --resume {folder}"
    with click.progressbar(
        length=run.messages, label=run.run_id, file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as bar:
        try:
            report = asyncio.run(
                execute(
                    folder,
                    access=target.access,
                    concurrency=concurrency,
                    await_archived_s=await_archived_s,
                    progress=bar.update,
                )
            )
        except KitError as error:
            error.add_note(f"  {next_step}")
            raise
        except KeyboardInterrupt:
            click.echo(f"broken off; {next_step}", err=True)
            raise
    write_output(folder / REPORT, (json.dumps(report.to_json(), indent=2) + "\n").encode(), replace=True)
    print_table(("replay", run.run_id), report.rows())
    click.echo(f"report    {folder / REPORT}")
    return Exit(report.exit_code)


class _Source(NamedTuple):
    """Where events come from: its name for people, and what is found there."""

    name: str
    found: Iterator[Found]


class EventsRefused(KitError):
    """Events that may not be sent were among those that were to be; nothing is sent."""

    def __init__(self, digest: Digest) -> None:
        super().__init__(digest)
        self.digest = digest

    def __str__(self) -> str:
        refused = self.digest.refused
        count = sum(each.events for each in refused.values())
        lines = [f"{counted(count, 'event')} may not be sent, and nothing was:"]
        for reason, each in sorted(refused.items()):
            more = ", …" if each.events > len(each.examples) else ""
            lines.append(f"  {each.events:,} for {reason}: {', '.join(each.examples)}{more}")
        if any(reason.startswith("boundary/") for reason in refused):
            lines.append("  nothing sends what the boundary forbids; captures are without it: contracts record")
        if any("/" in reason and not reason.startswith(("boundary/", "payload/")) for reason in refused):
            lines.append("  contracts explain RULE shows what a rule expects; --invalid sends events that break it")
        return "\n".join(lines)


def _option(name: str) -> str:
    """Return what a parameter of the command at hand is called on the command line."""
    command = click.get_current_context().command
    return next(each.opts[0] for each in command.params if each.name == name)


def _refuse_orphans(given: Mapping[str, Any]) -> None:
    """Refuse options that need another one, which was not given.

    Raises:
        BadInput: names both.
    """
    for name, needed in _NEEDS.items():
        if given[name] not in (None, ()) and not given[needed]:
            raise BadInput(f"{_option(name)} needs {_option(needed)}")
    if given["since"] is not None and given["from_seq"] is not None:
        raise BadInput("--since and --from-seq exclude each other: both set the start of the slice")


def _chosen_source(given: Mapping[str, Any], environment: Mapping[str, str]) -> _Source:
    """Return the one source that the options name; golden fixtures where they name none.

    Raises:
        BadInput: more than one, or no server for a stream.
    """
    named = [name for name in ("fixtures", "file", "stream") if given[name] is not None]
    if len(named) > 1:
        raise BadInput(f"{' and '.join(map(_option, named))} exclude each other: one replay has one source")
    if given["file"] is not None:
        where = "standard input" if given["file"] == "-" else given["file"]
        return _Source(printable(where), from_file(given["file"]))
    if given["stream"] is not None:
        return _stream(given, environment)
    contract = load_contract(given["fixtures"] or _EMITTED)
    return _Source(f"the golden fixtures of {contract.name}", from_fixtures([contract], invalid=given["invalid"]))


def _stream(given: Mapping[str, Any], environment: Mapping[str, str]) -> _Source:
    from contracts.replay.events.nats_source import Slice, read_slice

    access = NatsAccess.from_environment(environment, url=given["url"])
    if access is None:
        raise BadInput(
            "no NATS server is named for --from-stream\n  give --nats nats://host:4222, or set NATS_URL or NATS_CONTEXT"
        )
    part = Slice(
        given["stream"],
        since=given["since"],
        from_sequence=given["from_seq"],
        until=given["until"],
    )
    return _Source(f"stream {part.stream} at {access.place}", read_slice(access, part, name="contracts replay"))


def _show_plan(source: str, wanted: Wanted, digest: Digest) -> None:
    """Print what is to be sent, where, how many messages, and how long that takes."""
    target, repeats = wanted.target, digest.messages - digest.events
    where = f"{target.name}: {target.place}" + (f", stream {target.stream}" if target.stream else "")
    click.echo(
        f"what      {counted(digest.events, 'event')} from {source}"
        + (f", {repeats:,} of them twice" if repeats else "")
    )
    if wanted.rewriting is not None:
        click.echo(f"rewritten {_rewriting(wanted)}")
    click.echo(f"where     {where}")
    for subject, count in sorted(digest.subjects.items()):
        click.echo(f"subject   {printable(subject)}: {count:,}")
    click.echo(f"how many  {counted(digest.messages, 'message')}")
    seed = f", seed {wanted.seed}" if wanted.schedule.draws else ""
    click.echo(f"how long  {_how_long(digest.lasts_s, wanted.schedule)}{seed}")
    if digest.passed_over:
        click.echo(f"skipped   {counted(digest.passed_over, 'event')} seen on other subjects than {wanted.subject}")
    refused = sum(each.events for each in digest.refused.values())
    if refused:
        click.echo(f"refused   {counted(refused, 'event')}")


def _rewriting(wanted: Wanted) -> str:
    assert wanted.rewriting is not None
    changes = ["occurred_at, so that the latest is now"]
    changes += [f"root {old} to {new}" for old, new in wanted.rewriting.roots.items()]
    changes += [f"repo {old} to {new}" for old, new in wanted.rewriting.repos.items()]
    return "; ".join(changes)


def _how_long(lasts_s: float, schedule: Schedule) -> str:
    told = (
        ["as fast as it goes"] if schedule.rate is None and schedule.speed is None else [f"{lasts_s:,.1f} s at least"]
    )
    told += [f"{schedule.rate:g}/s"] if schedule.rate is not None else []
    told += [f"{schedule.speed:g}x"] if schedule.speed is not None else []
    told += [f"jitter {schedule.jitter:.0%}"] if schedule.jitter else []
    told += [f"shuffled by fewer than {schedule.shuffle:,} places"] if schedule.shuffle > 1 else []
    return ", ".join(told)


def _passes(report: Path) -> bool:
    schema = RecordSchema(record_of(passes={"type": "boolean"}), Limits(payload_bytes=1 << 26, depth=64))
    try:
        return bool(schema.read(report.read_bytes())["passes"])
    except OSError as error:
        raise BadInput(f"cannot read {report}: {error.strerror}") from None
    except InvalidRecord as error:
        raise BadInput(f"{report} is not a replay's report: {error}\n  start the replay anew") from None
