"""`contracts record`: events as captures, one a line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

import click

from contracts.bus.access import NatsAccess
from contracts.cli.amounts import When
from contracts.errors import BadInput, Exit, NothingChecked
from contracts.model.counted import counted
from contracts.model.violation import printable
from contracts.output import open_growing

if TYPE_CHECKING:
    from contracts.replay.events.capture import Found


@click.command()
@click.argument("source", metavar="nats://[HOST]/SUBJECT | FILE | -")
@click.option("--into", required=True, metavar="FILE.jsonl", help="A new file, or '-' for standard output.")
@click.option("--stream", help="Record what this JetStream stream holds now, instead of listening to the subject.")
@click.option("--since", type=When(), help="Of the stream, from this day, time, or long ago (2h) on.")
@click.option("--from-seq", type=click.IntRange(min=1), metavar="N", help="Of the stream, from this sequence on.")
@click.option("--until", type=When(), help="Only what came before this time.")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="Stop after N messages.")
@click.option(
    "--until-idle",
    "idle_s",
    type=click.FloatRange(min=0.1),
    metavar="SECONDS",
    help="When listening, stop after so long without a message.",
)
def record(
    source: str,
    *,
    into: str,
    stream: str | None,
    since: datetime | None,
    from_seq: int | None,
    until: datetime | None,
    count: int | None,
    idle_s: float | None,
) -> Exit:
    """Record events into FILE.jsonl, a capture a line, for `contracts replay --from-file`.

    The SOURCE is a NATS subject that is listened to (nats:///SUBJECT: on the server of NATS_URL or NATS_CONTEXT), with
    --stream a slice of a stream, or a file of payloads or
    captures. Secrets and URL credentials are removed and listed; messages that are no events are skipped and listed.
    """
    from itertools import islice

    from contracts.replay.events.capture import Capture
    from contracts.replay.events.recorder import recorded

    if "://" in source:
        found = _from_nats(source, stream, since, from_seq, until, count, idle_s)
    else:
        if any(each is not None for each in (stream, since, from_seq, until, idle_s)):
            raise BadInput("a file has no --stream, --since, --from-seq, --until or --until-idle\n  leave them out")
        from contracts.replay.events.sources import from_file

        found = from_file(source)
    events = scrubbed = left_out = 0
    with open_growing(into) as file:
        for each in recorded(islice(found, count)):
            if isinstance(each, Capture):
                file.write(each.to_line())
                events += 1
                scrubbed += bool(each.scrubbed)
                for at, rule in each.scrubbed:
                    click.echo(f"scrubbed: {printable(each.origin)}: {printable(at)} ({rule})", err=True)
            else:
                left_out += 1
                click.echo(f"skipped: {printable(each.where)}: {', '.join(each.rules)}", err=True)
        if not events:
            raise NothingChecked(f"there is no event to record; {counted(left_out, 'message')} skipped")
    click.echo(f"{counted(events, 'event')} into {into}, {scrubbed:,} scrubbed, {left_out:,} skipped", err=True)
    return Exit.BROKEN if left_out else Exit.OK


def _from_nats(
    url: str,
    stream: str | None,
    since: datetime | None,
    from_seq: int | None,
    until: datetime | None,
    count: int | None,
    idle_s: float | None,
) -> Iterator[Found]:
    from contracts.replay.events.nats_source import Listening, Slice, listen, read_slice

    subject = url.partition("://")[2].partition("/")[2]
    access = NatsAccess.from_environment(os.environ, url=url)
    if access is None:
        raise BadInput("nothing names a NATS server; expected nats://HOST:PORT/SUBJECT, NATS_URL or NATS_CONTEXT")
    if stream is not None:
        if idle_s is not None:
            raise BadInput("--until-idle is for a subject that is listened to; a stream ends where it ends now")
        if since is not None and from_seq is not None:
            raise BadInput("--since and --from-seq exclude each other: both set the start of the slice")
        return read_slice(access, Slice(stream, subject or ">", since, from_seq, until), name="contracts record")
    if since is not None or from_seq is not None:
        raise BadInput("--since and --from-seq need --stream: core NATS keeps nothing")
    tokens = subject.split(".")
    if not all(tokens) or ">" in tokens[:-1] or len(subject.split()) != 1:
        raise BadInput(f"{subject!r} is not a subject; expected nats://host:port/subject")
    if count is None and idle_s is None and until is None:
        raise BadInput("listening never ends by itself\n  give --count, --until-idle or --until")
    return listen(access, Listening(subject, count, idle_s, until), name="contracts record")
