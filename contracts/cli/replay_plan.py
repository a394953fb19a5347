"""What `contracts replay` is asked to send, and the plan as people read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from contracts.bus.access import NatsAccess
from contracts.errors import BadInput, KitError
from contracts.model.violation import printable
from contracts.rules.registry import load_contract

if TYPE_CHECKING:
    from contracts.replay.events.capture import Found
    from contracts.replay.plan.planner import Digest, Wanted
    from contracts.replay.plan.schedule import Shape

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


class Source(NamedTuple):
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
        lines = [f"{_counted(count, 'event')} may not be sent, and nothing was:"]
        for reason, each in sorted(refused.items()):
            more = ", …" if each.events > len(each.examples) else ""
            lines.append(f"  {each.events:,} for {reason}: {', '.join(each.examples)}{more}")
        if any(reason.startswith("boundary/") for reason in refused):
            lines.append("  nothing sends what the boundary forbids; captures are without it: contracts record")
        if any("/" in reason and not reason.startswith(("boundary/", "payload/")) for reason in refused):
            lines.append(
                "  contracts explain RULE says what a rule expects; --invalid sends what breaks it all the same"
            )
        return "\n".join(lines)


def option(name: str) -> str:
    """Return what a parameter of the command at hand is called on the command line."""
    command = click.get_current_context().command
    return next(each.opts[0] for each in command.params if each.name == name)


def refuse_orphans(given: Mapping[str, Any]) -> None:
    """Refuse options that say something of an option that is not there.

    Raises:
        BadInput: names both.
    """
    for name, needed in _NEEDS.items():
        if given[name] not in (None, ()) and not given[needed]:
            raise BadInput(
                f"{option(name)} says something of {option(needed)}, which is not there\n  give both, or none"
            )
    if given["since"] is not None and given["from_seq"] is not None:
        raise BadInput("--since and --from-seq exclude each other: both say where the slice begins")


def chosen_source(given: Mapping[str, Any], environment: Mapping[str, str]) -> Source:
    """Return the one source that the options name; golden fixtures where they name none.

    Raises:
        BadInput: more than one, or no server for a stream.
    """
    from contracts.replay.events.sources import from_file, from_fixtures

    named = [name for name in ("fixtures", "file", "stream") if given[name] is not None]
    if len(named) > 1:
        raise BadInput(f"{' and '.join(map(option, named))} exclude each other: one replay has one source")
    if given["file"] is not None:
        where = "standard input" if given["file"] == "-" else given["file"]
        return Source(printable(where), from_file(given["file"]))
    if given["stream"] is not None:
        return _stream(given, environment)
    contract = load_contract(given["fixtures"] or _EMITTED)
    return Source(f"the golden fixtures of {contract.name}", from_fixtures([contract], invalid=given["invalid"]))


def _stream(given: Mapping[str, Any], environment: Mapping[str, str]) -> Source:
    from contracts.replay.events.nats_source import Slice, read_slice

    access = NatsAccess.from_environment(environment, url=given["url"])
    if access is None:
        raise BadInput("no NATS server is named for --from-stream\n  give --nats nats://host:4222, or set NATS_URL")
    part = Slice(
        given["stream"],
        since=given["since"],
        from_sequence=given["from_seq"],
        until=given["until"],
    )
    return Source(f"stream {part.stream} at {access.place}", read_slice(access, part, name="contracts replay"))


def show_plan(source: str, wanted: Wanted, digest: Digest) -> None:
    """Print what is to be sent, where, how many messages, and how long that takes."""
    target, repeats = wanted.target, digest.messages - digest.events
    where = f"{target.name}: {target.place}" + (f", stream {target.stream}" if target.stream else "")
    click.echo(
        f"what      {_counted(digest.events, 'event')} from {source}"
        + (f", {repeats:,} of them twice" if repeats else "")
    )
    if wanted.rewriting is not None:
        click.echo(f"rewritten {_rewriting(wanted)}")
    click.echo(f"where     {where}")
    for subject, count in sorted(digest.subjects.items()):
        click.echo(f"subject   {printable(subject)}: {count:,}")
    click.echo(f"how many  {_counted(digest.messages, 'message')}")
    seed = f", seed {wanted.seed}" if wanted.shape.draws else ""
    click.echo(f"how long  {_how_long(digest.lasts_s, wanted.shape)}{seed}")
    if digest.passed_over:
        click.echo(f"left out  {_counted(digest.passed_over, 'event')} seen on other subjects than {wanted.subject}")
    refused = sum(each.events for each in digest.refused.values())
    if refused:
        click.echo(f"refused   {_counted(refused, 'event')}")


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def _rewriting(wanted: Wanted) -> str:
    assert wanted.rewriting is not None
    changes = ["occurred_at, so that the latest is now"]
    changes += [f"root {old} to {new}" for old, new in wanted.rewriting.roots.items()]
    changes += [f"repo {old} to {new}" for old, new in wanted.rewriting.repos.items()]
    return "; ".join(changes)


def _how_long(lasts_s: float, shape: Shape) -> str:
    told = ["as fast as it goes"] if shape.rate is None and shape.speed is None else [f"{lasts_s:,.1f} s at least"]
    told += [f"{shape.rate:g}/s"] if shape.rate is not None else []
    told += [f"{shape.speed:g}x"] if shape.speed is not None else []
    told += [f"jitter {shape.jitter:.0%}"] if shape.jitter else []
    told += [f"shuffled by fewer than {shape.shuffle:,} places"] if shape.shuffle > 1 else []
    return ", ".join(told)
