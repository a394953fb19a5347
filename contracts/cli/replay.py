"""`contracts replay`: events once more, into a place that is meant for it."""

from __future__ import annotations

import os
import secrets
import shutil
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from contracts.cli.amounts import Pair, Rate, Share, Speed, When
from contracts.cli.option_groups import GroupedCommand
from contracts.cli.replay_plan import EventsRefused, chosen_source, refuse_orphans, show_plan
from contracts.cli.replay_run import carry_out
from contracts.errors import BadInput, Exit, NothingChecked

if TYPE_CHECKING:
    from contracts.replay.plan.messages import ReplayRun
    from contracts.replay.plan.planner import Digest, Wanted
    from contracts.replay.target.rails import Target

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
    "Shape of the traffic (by default in order, as fast as it goes)": (
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
@click.option("--nats", "url", metavar="URL", help="Server of --from-stream.  [default: $NATS_URL]")
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
@click.option("--duplicate", type=Share(), help="Send this part of the events twice, as messages of their own: 5%.")
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
    from contracts.config.values import find_config
    from contracts.replay.plan.messages import PLAN, write_plan
    from contracts.replay.plan.planner import Digest, planned
    from contracts.replay.target.rails import find_target, refuse_live

    refuse_orphans(given)
    place = find_target(find_config(Path.cwd(), os.environ), target, os.environ)
    if execute:
        refuse_live(place, [], live)  # what needs no server is said before there is any work
    source = chosen_source(given, os.environ)
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
    from contracts.replay.target.liveness import look_at
    from contracts.replay.target.rails import refuse_live

    show_plan(source, wanted, digest)
    if digest.refused:
        raise EventsRefused(digest)
    if not digest.messages:
        why = f": {digest.passed_over:,} events were seen on other subjects" if digest.passed_over else ""
        raise NothingChecked(f"there is no event to send{why}")
    refuse_live(wanted.target, look_at(wanted.target, digest.subjects), live)


def _resume(folder: Path, target: str | None, *, live: str | None, given: dict[str, Any]) -> Exit:
    """Go on with a run, after its rails were checked again: hours may have passed."""
    from contracts.config.values import find_config
    from contracts.replay.plan.messages import read_messages, read_run
    from contracts.replay.target.liveness import look_at
    from contracts.replay.target.rails import refuse_live, same_target

    context = click.get_current_context()
    kept = {"target", "live", "resume", "concurrency", "await_s", "spool", "execute"}
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name not in kept and source is click.core.ParameterSource.COMMANDLINE:
            raise BadInput(f"{parameter.opts[0]} and --resume exclude each other: the plan says what is sent, and how")
    run = read_run(folder)
    if target not in {None, run.target}:
        raise BadInput(f"the run in {folder} is for the target {run.target}, not for {target}")
    place = same_target(find_config(Path.cwd(), os.environ), run, os.environ)
    refuse_live(place, look_at(place, {each.subject for each in read_messages(folder)}), live)
    return _send(folder, place, given)


def _send(folder: Path, target: Target, given: dict[str, Any]) -> Exit:
    """Put the bundles where the events will look for them, and hand the run to what sends it."""
    if given["spool"] is not None:
        _copy_bundles(folder, given["spool"])
    return carry_out(folder, target, concurrency=given["concurrency"], await_archived_s=given["await_s"])


def _copy_bundles(folder: Path, directory: Path) -> None:
    from contracts.emit.spool import Spool
    from contracts.replay.plan.bundles import copy_bundles

    copied, missing = copy_bundles(folder, Spool(directory))
    click.echo(f"bundles   {copied:,} under their new names in {directory}, {missing:,} not there", err=True)


def _wanted(target: Target, given: dict[str, Any]) -> Wanted:
    from contracts.replay.plan.planner import Wanted
    from contracts.replay.plan.rewrite import Rewriting
    from contracts.replay.plan.schedule import Shape

    return Wanted(
        target=target,
        shape=Shape(
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
    from contracts.model.rfc3339 import format_rfc3339
    from contracts.replay.plan.messages import ReplayRun

    return ReplayRun(
        run_id=run_id,
        target=wanted.target.name,
        url=wanted.target.place,
        stream=wanted.target.stream,
        messages=digest.messages,
        lasts_s=digest.lasts_s,
        created_at=format_rfc3339(wanted.now),
        seed=wanted.seed if wanted.shape.draws else None,
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
