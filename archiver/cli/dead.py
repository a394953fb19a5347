"""`archiver dead`: list, show, redrive and drop what could never be archived."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from archiver.settings import load_settings, nats_access
from contracts import BadInput, event_key
from contracts.toolkit import (
    Exit,
    Group,
    MalformedPayload,
    NothingChecked,
    Spool,
    When,
    close_nats,
    connect_nats,
    counted,
    format_rfc3339,
    open_output,
    parse_payload,
    print_table,
    printable,
    spool_name,
)

if TYPE_CHECKING:
    from archiver.bus.dead_letters import DeadLetters, Filed

_LONGEST_CELL = 64
_HEADERS = ("number", "filed at", "reason", "subject", "was", "deliveries", "repo", "agent")


@click.group(cls=Group)
def dead() -> None:
    """What could never be archived: events that break the contract, or whose bundle never came.

    Each is a letter in the stream KAIZEN_ARCHIVE_DLQ, with its reason and its original bytes, and has the
    number that `archiver dead list` shows. Its content is untrusted, and is escaped in output.
    """


@dead.command("list")
@click.option("--reason", help="Only letters with this reason, such as bundle_missing.")
@click.option("--since", type=When(), help="Only letters from this day (2026-06-17) or RFC 3339 time on.")
@click.option("--json", "as_json", is_flag=True, help="One letter a line, as JSON without its payload.")
def list_(reason: str | None, since: datetime | None, *, as_json: bool) -> Exit:
    """List the letters, oldest first. Exit status 3 where there is none."""
    asyncio.run(_list(reason, since, as_json=as_json))
    return Exit.OK


@dead.command()
@click.argument("number", type=click.IntRange(min=1))
@click.option("--payload", "with_payload", is_flag=True, help="The payload too, escaped; it may hold secrets.")
@click.option(
    "-o", "--output", metavar="FILE", help="Write only the payload, as it was, to this file; '-' is standard output."
)
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def show(number: int, output: str | None, *, force: bool, with_payload: bool, as_json: bool) -> Exit:
    """Show one letter in full.

    Its payload is shown on request only: it may hold secrets, which can be the very reason why it is here.
    """
    asyncio.run(_show(number, output, force=force, with_payload=with_payload, as_json=as_json))
    return Exit.OK


@dead.command()
@click.argument("numbers", type=click.IntRange(min=1), nargs=-1, metavar="[NUMBER]...")
@click.option("--all", "every", is_flag=True, help="Every dead letter, instead of numbers.")
@click.option("--reason", help="With --all: only dead letters with this reason.")
@click.option("--force", is_flag=True, help="Also publish what breaks the contract; it will be dead-lettered again.")
@click.option(
    "--with",
    "corrected",
    type=click.File("rb"),
    metavar="FILE",
    help="Publish this corrected copy of one dead letter's event instead; '-' is stdin.",
)
def redrive(
    numbers: tuple[int, ...], reason: str | None, corrected: BinaryIO | None, *, every: bool, force: bool
) -> Exit:
    """Publish the original events again, and drop each dead letter once that is confirmed.

    An event that breaks today's contract is refused: it would be dead-lettered again. Correct a copy of it
    (archiver dead show NUMBER -o FILE) and publish that --with FILE: the copy is checked, gets the bundle that the
    original has in the spool, and its header Kaizen-Corrected-From names the original, whose dead letter stays.

    This may be repeated and interrupted at any time: an event is archived once, since its identity is its content. It
    is published under a separate message id, because JetStream would confirm a repeat of the original id without
    storing it. Exit status 1: something was not published.
    """
    if bool(numbers) == every or (reason and not every):
        raise click.UsageError("expected numbers, or --all, which takes --reason; archiver dead list shows them")
    if corrected is not None:
        if len(numbers) != 1:
            raise click.UsageError("--with FILE takes the number of one dead letter")
        return asyncio.run(_redrive_corrected(numbers[0], corrected.read(), force=force))
    return asyncio.run(_redrive(numbers, reason, force=force))


@dead.command()
@click.argument("numbers", type=click.IntRange(min=1), nargs=-1, required=True, metavar="NUMBER...")
@click.option("--yes", is_flag=True, help="Ask no questions.")
def drop(numbers: tuple[int, ...], *, yes: bool) -> Exit:
    """Erase letters for good, after showing them; the events in them are then nowhere.

    Asks first; without a terminal, --yes is required.
    """
    if not yes and not sys.stdin.isatty():
        raise BadInput("dropping cannot be undone, and there is no terminal to ask on\n  if you mean it, add --yes")
    return asyncio.run(_drop(numbers, yes=yes))


async def _list(reason: str | None, since: datetime | None, *, as_json: bool) -> None:
    rows = []
    async with _dead_letters() as dead_letters:
        async for filed in dead_letters.all():
            if (since and filed.filed_at < since) or not _is_about(filed, reason):
                continue
            if as_json:
                click.echo(json.dumps(_record(filed), ensure_ascii=False))
            else:
                rows.append(_row(filed))
    if rows:
        print_table(_HEADERS, rows)
    elif not as_json:
        raise NothingChecked("there is no dead letter" + (" that matches" if since or reason else ""))


async def _show(number: int, output: str | None, *, force: bool, with_payload: bool, as_json: bool) -> None:
    async with _dead_letters() as dead_letters:
        filed = await dead_letters.one(number)
    if output is not None:
        if filed.letter is None:
            raise BadInput(f"dead letter {filed.number} has no payload to write: it is {filed.problem}")
        with open_output(output, replace=force) as file:
            file.write(filed.letter.payload)
        return
    payload = filed.letter.payload if filed.letter else b""
    record = _record(filed)
    if as_json:
        copy = {"payload_b64": base64.b64encode(payload).decode()} if with_payload else {}
        click.echo(json.dumps(record | copy, ensure_ascii=False))
        return
    for name, value in record.items():
        if name == "replay" and not value:
            continue
        click.echo(f"{name:16}{_block(str(value), 16)}")
    if filed.letter is None:
        return
    kept = f"{counted(len(payload), 'byte')} {'is' if len(payload) == 1 else 'are'} kept"
    if with_payload:
        click.echo(f"{'payload':16}{kept}:\n\n{_block(payload.decode('utf-8', 'backslashreplace'))}")
    else:
        click.echo(f"{'payload':16}{kept}; --payload shows them, -o FILE writes them; they may hold secrets")


async def _redrive(numbers: Iterable[int], reason: str | None, *, force: bool) -> Exit:
    from archiver.bus.dead_letters import DeadLetterMissing, NotRedriven

    left = False
    async with _dead_letters() as dead_letters:
        # Chosen first: what is redriven can be dead-lettered again at once, and has a new number then.
        chosen = numbers or [each.number async for each in dead_letters.all() if _is_about(each, reason)]
        if not chosen:
            raise NothingChecked("there is no dead letter" + (f" with the reason {reason!r}" if reason else ""))
        for number in chosen:
            try:
                sequence = await dead_letters.redrive(await dead_letters.one(number), _anything if force else _broken)
            except (DeadLetterMissing, NotRedriven) as error:
                left = True
                click.echo(f"archiver: {error}", err=True)
            else:
                click.echo(f"dead letter {number}: published again as #{sequence}")
    return Exit.BROKEN if left else Exit.OK


async def _redrive_corrected(number: int, payload: bytes, *, force: bool) -> Exit:
    from archiver.bus.dead_letters import DeadLetterMissing, NotRedriven

    if not force and (why := _broken(payload)):
        click.echo(f"archiver: not published: the corrected copy can never be archived: {why}", err=True)
        return Exit.BROKEN
    async with _dead_letters() as dead_letters:
        try:
            filed = await dead_letters.one(number)
            where = _move_bundle(filed, payload)
            sequence = await dead_letters.redrive_corrected(filed, payload)
        except (DeadLetterMissing, NotRedriven) as error:
            click.echo(f"archiver: {error}", err=True)
            return Exit.BROKEN
    click.echo(f"dead letter {number}: corrected copy published as #{sequence}")
    click.echo(f"  the original stays; once the copy is archived: archiver dead drop {number}")
    if where:
        click.echo(f"  {where}", err=True)
    return Exit.OK


def _broken(payload: bytes) -> str:
    """Return why a payload can never be archived, by today's contract, or ''."""
    from archiver.core.outcome import Dead
    from archiver.worker.pipeline import validate

    found = validate(payload, source="the event")
    return f"{found.reason}: {found.detail}" if isinstance(found, Dead) else ""


def _anything(_: bytes) -> str:
    return ""


def _move_bundle(filed: Filed, corrected: bytes) -> str:
    """Give the original's bundle in the spool the corrected event's name; return what is left to do, or ''.

    A bundle is found by its event's identity, which a correction changes.
    """
    from archiver.core.outcome import Dead
    from archiver.worker.pipeline import validate

    event, settings = validate(corrected, source="the corrected copy"), load_settings()
    if isinstance(event, Dead):
        return ""
    name = spool_name(event)
    if "spool" not in settings.sources or settings.spool is None:
        return f"its bundle is expected as object {settings.object_store}/{name}"
    old = _event_key(filed.letter.payload) if filed.letter else None
    if old and settings.spool.is_dir() and Spool(settings.spool).copy(f"{old}.{event.bundle.ending}", name):
        return ""
    return f"its bundle is expected as {settings.spool / name}"


def _event_key(payload: bytes) -> str | None:
    try:
        return event_key(parse_payload(payload))
    except (MalformedPayload, ValueError, TypeError, KeyError):
        return None


async def _drop(numbers: Iterable[int], *, yes: bool) -> Exit:
    from archiver.bus.dead_letters import DeadLetterMissing

    there, missing = [], False
    async with _dead_letters() as dead_letters:
        for number in dict.fromkeys(numbers):
            try:
                there.append(await dead_letters.one(number))
            except DeadLetterMissing as error:
                missing = True
                click.echo(f"archiver: {error}", err=True)
        if there:
            print_table(_HEADERS, map(_row, there))
        if there and not yes and not click.confirm(f"Erase {len(there)} for good?", err=True):
            raise NothingChecked("nothing was dropped")
        for filed in there:
            await dead_letters.drop(filed.number)
            click.echo(f"dead letter {filed.number}: dropped")
    return Exit.BROKEN if missing else Exit.OK


@asynccontextmanager
async def _dead_letters() -> AsyncIterator[DeadLetters]:
    from archiver.bus.dead_letters import DeadLetters

    settings = load_settings()
    client = await connect_nats(nats_access(), name="archiver dead")
    try:
        yield await DeadLetters.bind(client, stream=settings.stream, subject_prefix=settings.subject_prefix)
    finally:
        await close_nats(client)


def _is_about(filed: Filed, reason: str | None) -> bool:
    return reason is None or (filed.letter is not None and filed.letter.reason == reason)


def _record(filed: Filed) -> dict[str, Any]:
    head = {"number": filed.number, "filed_at": format_rfc3339(filed.filed_at)}
    if filed.letter is None:
        return head | {"problem": filed.problem}
    repo, agent = filed.letter.names
    record = filed.letter.as_record() | {"repo": repo, "agent": agent}
    return head | {name: _shown(value) for name, value in record.items()}


def _row(filed: Filed) -> tuple[str, ...]:
    head = (str(filed.number), format_rfc3339(filed.filed_at))
    letter = filed.letter
    if letter is None:
        return (*head, "unreadable", "", "", "", "", "")
    told = (letter.reason, letter.subject, f"{letter.stream}#{letter.sequence}", str(letter.deliveries), *letter.names)
    cells = map(printable, told)
    return (*head, *(each if len(each) <= _LONGEST_CELL else f"{each[:_LONGEST_CELL]}…" for each in cells))


def _shown(value: Any) -> Any:
    """Return what may be shown of a value of a letter: anybody may have published it."""
    return "\n".join(map(printable, value.split("\n"))) if isinstance(value, str) else value


def _escaped(text: str) -> str:
    """Keep terminals from obeying a payload that was asked for, whatever else is in it."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def _block(text: str, indent: int = 0) -> str:
    return f"\n{' ' * indent}".join(map(_escaped, text.split("\n")))
