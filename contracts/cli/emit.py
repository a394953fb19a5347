"""`contracts emit` and `contracts resend`: the thin emitter."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from contracts.emit.emit import Emission, prepare_emission, publish_spooled
from contracts.emit.program import PrepareCommand
from contracts.emit.spool import Spool
from contracts.errors import BadInput, Exit, KitError, NothingChecked, Unreachable

if TYPE_CHECKING:
    from contracts.bus.access import NatsAccess

_SPOOL = click.option(
    "--spool",
    "spool_directory",
    type=click.Path(path_type=Path),
    required=True,
    help="Directory for bundles, and for events until NATS has confirmed them.",
)
_NATS = click.option("--nats", "url", metavar="URL", help="NATS server.  [default: $NATS_URL]")


@click.command()
@click.argument("agent")
@click.option("--root", type=click.Path(path_type=Path), required=True, help="Checkout that orients the agent.")
@click.option("--repo", metavar="SLUG", required=True, help="State Hub slug of the checkout.")
@click.option("--cadence", required=True, help="daily, weekly or monthly.")
@click.option(
    "--format",
    "bundle_format",
    type=click.Choice(["markdown", "json"]),
    default="markdown",
    show_default=True,
    help="Format of the bundle.",
)
@click.option("--program", default="kaizen-agentic", show_default=True, help="The program to run, by name or path.")
@_SPOOL
@click.option(
    "--object-store",
    "bucket",
    metavar="BUCKET",
    default="",
    help="Put the bundle into this bucket of the NATS Object Store; the spool holds it only until then.",
)
@_NATS
@click.option("--stdout", "to_stdout", is_flag=True, help="Print the event instead of publishing it.")
@click.option(
    "--mode",
    type=click.Choice(["0600", "0640", "0644", "0660", "0664"]),
    default="0640",
    show_default=True,
    help="Permissions of what is left in the spool, whatever the umask: the archiver has to read it.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0.1),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long the program may take.",
)
def emit(  # noqa: PLR0913 - one parameter for each flag
    agent: str,
    root: Path,
    repo: str,
    cadence: str,
    bundle_format: str,
    program: str,
    spool_directory: Path,
    url: str | None,
    *,
    bucket: str,
    to_stdout: bool,
    mode: str,
    timeout_s: float,
) -> Exit:
    """Run `schedule prepare` for AGENT, spool the bundle, and publish kaizen.schedule.prepared.

    The archiver reads bundles from the spool, or from the NATS Object Store (--object-store) where the two share no
    directory. The event is checked before it is published; one that breaks the contract leaves nothing behind. If
    NATS cannot be reached, refuses the credentials, has no stream or does not confirm, bundle and event stay in the
    spool and the exit status is 4: `contracts resend` publishes them.
    """
    if to_stdout and (url or bucket):
        raise click.UsageError(f"--stdout and {'--nats' if url else '--object-store'} exclude each other")
    if not root.is_dir():
        raise BadInput(f"--root {root} is not a directory; expected the checkout that orients the agent")
    access = None if to_stdout else _access(url)
    if bucket and not re.fullmatch(r"[A-Za-z0-9_-]+", bucket):
        raise BadInput(f"{bucket!r} cannot be a bucket; expected letters, digits, '-' and '_'")
    spool = Spool(spool_directory, int(mode, 8))
    command = PrepareCommand.find(program, agent=agent, root=str(root.resolve()), format=bundle_format)

    def prepare() -> Emission:
        return prepare_emission(
            command,
            spool,
            repo=repo,
            cadence=cadence,
            timeout_s=timeout_s,
            now=lambda: datetime.now(UTC),
            bucket=bucket,
        )

    with _terminated_as_interrupted():
        if access is None:
            emission = prepare()
            spool.confirmed(emission.event_path)
            click.echo(emission.payload)
        else:
            _publish(access, spool, [prepare().event_path], bucket)
    return Exit.OK


@click.command()
@_SPOOL
@_NATS
def resend(spool_directory: Path, url: str | None) -> Exit:
    """Publish the events that an interrupted `contracts emit` left in the spool.

    Each goes out under its own identity, so one that had arrived after all is not stored twice.
    """
    spool = Spool(spool_directory)
    waiting = spool.unconfirmed()
    if not waiting:
        raise NothingChecked(f"there is no unconfirmed event in {spool_directory}")
    _publish(_access(url), spool, waiting)
    return Exit.OK


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM end us as Ctrl-C does, and not in the middle of a draft."""
    before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _access(url: str | None) -> NatsAccess:
    from contracts.bus.access import NatsAccess

    access = NatsAccess.from_environment(os.environ, url=url)
    if access is None:
        raise BadInput("no NATS server is named\n  give --nats nats://host:4222, set NATS_URL, or print with --stdout")
    return access


def _publish(access: NatsAccess, spool: Spool, events: list[Path], bucket: str = "") -> None:
    """Publish events that are in the spool; unconfirmed events stay there, also after an error or Ctrl-C."""
    from contracts.bus.connection import close_nats, connect_nats
    from contracts.bus.object_store import put_bundle, require_bucket
    from contracts.bus.stored_once import publish_stored

    async def put(into: str, bundle: Path) -> None:
        await put_bundle(client, into, bundle, place=access.place)
        click.echo(f"put {bundle.name} into the object store: {into}")

    async def publish(subject: str, payload: bytes, message_id: str, headers: Mapping[str, str]) -> None:
        stored = await publish_stored(client, subject, payload, message_id=message_id, headers=headers)
        again = ", stored before" if stored.duplicate else ""
        click.echo(f"published {message_id} to {subject}: {stored.stream} #{stored.sequence}{again}")

    with _kept(spool, events), asyncio.Runner() as runner:
        client = runner.run(connect_nats(access, name="contracts emit"))
        try:
            if bucket:
                runner.run(require_bucket(client, bucket, place=access.place))
            for path in events:
                runner.run(publish_spooled(spool, path, publish, put))
        finally:
            runner.run(close_nats(client))


@contextmanager
def _kept(spool: Spool, events: list[Path]) -> Iterator[None]:
    """Print how to publish what is still in the spool when an error or Ctrl-C ends the block."""
    try:
        yield
    except (Unreachable, BadInput, KeyboardInterrupt) as error:
        if any(event.exists() for event in events):
            hint = f"event and bundle are safe; publish them with: contracts resend --spool {spool.directory}"
            if isinstance(error, KitError):
                error.add_note(f"  {hint}")
            else:
                click.echo(hint, err=True)
        raise
