"""`archiver run` and `archiver put`: the archive being written, from the bus and by hand."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from hashlib import sha256
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

import click

from archiver.core.errors import NotAllDone
from archiver.settings import Settings, load_settings, nats_access
from contracts import BadInput
from contracts.toolkit import Exit, close_nats, connect_nats, format_rfc3339

if TYPE_CHECKING:
    from collections import Counter

    from structlog.typing import FilteringBoundLogger

    from contracts.toolkit import NatsAccess


@click.command()
@click.option("--until-idle", is_flag=True, help="Stop once nothing is waiting; for jobs and demos.")
@click.option(
    "--max-wait",
    "max_wait_s",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="With --until-idle: end with status 4 once no event was finished for so long.  "
    "[default: ARCHIVER_BUNDLE_DEADLINE_S + 120]",
)
@click.option("--keep", is_flag=True, help="Leave archived bundles in their source.  [default: delete them]")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="How many processes.")
@click.option("--supervised", is_flag=True, hidden=True, help="One of several: stops when standard input ends.")
def run(*, until_idle: bool, max_wait_s: float | None, keep: bool, workers: int, supervised: bool) -> Exit:
    """Archive prepared bundles until stopped.

    While the store, NATS or the spool is unavailable nothing is lost: it waits, and recovers on its own. A NATS
    server that is connected and does not answer for 40 seconds ends it with exit status 4, for a supervisor to
    restart it.

    With --until-idle it is a job, and always ends: with status 0 once nothing is waiting; with status 4 where the
    consumer or the stream is deleted, or where no event was finished for --max-wait. Events may be waiting for a late
    bundle, or for a store that is down; the log has the cause and the remaining time, and they stay in the stream.

    SIGTERM or Ctrl-C: fetches nothing more, finishes messages in hand within ARCHIVER_GRACE_S, returns the rest to the
    queue, exits 0. A second signal exits 130 at once; nothing is lost, it is delivered again.

    With --workers N, N processes do so, each under its own name. One that ends is restarted after 1 to 30 seconds;
    with --until-idle the others do its work. Settings that cannot be used end all.
    """
    from archiver.bundles.chain import require_sources

    if max_wait_s is not None and not until_idle:
        raise click.UsageError("--max-wait needs --until-idle")
    settings, access = load_settings(), nats_access()
    require_sources(settings)
    if workers > 1:
        return Exit(asyncio.run(_supervise(settings, workers, until_idle=until_idle)))
    with asyncio.Runner(loop_factory=fastest_loop()) as runner:
        limit_s = inf if not until_idle else settings.bundle_deadline_s + 120 if max_wait_s is None else max_wait_s
        try:
            tally: Mapping[str, int] = runner.run(
                _run(settings, access, until_idle=until_idle, max_wait_s=limit_s, release=not keep, tied=supervised)
            )
        except NotAllDone as error:
            _print_tally(error.summary, "nothing was done")
            raise
    _print_tally(tally, "nothing was waiting")
    return Exit.OK


def _print_tally(tally: Mapping[str, int], none: str) -> None:
    click.echo(", ".join(f"{count} {name}" for name, count in sorted(tally.items())) or none)


def fastest_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's maker of event loops where uvloop is installed; None is asyncio's own."""
    try:
        import uvloop
    except ModuleNotFoundError:
        return None
    return uvloop.new_event_loop


async def _supervise(settings: Settings, workers: int, *, until_idle: bool) -> int:
    import random

    from archiver.worker.logs import open_log
    from archiver.worker.supervisor import Supervisor, this_command

    log = open_log(settings.log_format)
    command = this_command("--workers", "1", "--supervised")
    supervisor = Supervisor(command, workers, settings.worker, settings.grace_s, log, random.random)
    with _stopping(again=supervisor.kill) as stop:
        return await supervisor.run(stop, until_idle=until_idle)


async def _run(
    settings: Settings, access: NatsAccess, *, until_idle: bool, max_wait_s: float, release: bool, tied: bool
) -> Counter[str]:
    from archiver.bundles.chain import open_sources
    from archiver.bus.jetstream import JetStreamAnnouncer, JetStreamInbox
    from archiver.wiring import World, make_consumer, open_store, probe_store
    from archiver.worker.logs import open_log

    log = open_log(settings.log_format).bind(worker=settings.worker)
    with _told_to_stop() if tied else _stopping() as stop:
        async with open_store(settings):
            found = await probe_store(settings)
        log.info("the store was probed", **asdict(found))
        async with open_store(settings, checksums=found.checksum != "refused") as store:
            client = await connect_nats(access, name=f"archiver {settings.worker}", error_cb=_report_to(log))
            try:
                inbox = await JetStreamInbox.bind(client, stream=settings.stream, consumer=settings.consumer)
                announcer = JetStreamAnnouncer(client, settings.subject_prefix)
                consumer = make_consumer(
                    settings,
                    World(store, open_sources(settings, client), announcer, inbox),
                    log,
                    ack_wait_s=inbox.ack_wait_s,
                    create_only=found.create_only == "honoured",
                    release=release,
                )
                if "spool" in settings.sources and not await asyncio.to_thread(Path.is_dir, settings.spool or Path()):
                    log.warning("the spool does not exist; events wait until it is mounted", spool=str(settings.spool))
                log.info(
                    "ready", bucket=settings.bucket, store=settings.store, stream=settings.stream, nats=access.place
                )
                gc.freeze()  # what is loaded by now stays: no use in looking through it again and again
                return await consumer.run(stop, until_idle=until_idle, max_wait_s=max_wait_s)
            finally:
                await close_nats(client)


def _report_to(log: FilteringBoundLogger) -> Callable[[Exception], Awaitable[None]]:
    told: deque[str] = deque(maxlen=1)

    async def report(error: Exception) -> None:
        if str(error) not in told:  # an outage repeats itself with each attempt to reconnect
            told.append(str(error))
            log.warning("nats", why=str(error))

    return report


@contextmanager
def _stopping(again: Callable[[], None] = lambda: None) -> Iterator[asyncio.Event]:
    """Set an event at the first SIGTERM or SIGINT; at the second call `again` and end the process."""
    stop = asyncio.Event()

    def told() -> None:
        if stop.is_set():
            again()
            os._exit(Exit.INTERRUPTED)  # a second signal means no more clean-up; the bus delivers again
        stop.set()

    with _at_signals(told):
        yield stop


@contextmanager
def _told_to_stop() -> Iterator[asyncio.Event]:
    """Set an event when standard input ends, and at any signal, however often: when to give up is the supervisor's."""
    stop, loop, stdin = asyncio.Event(), asyncio.get_running_loop(), sys.stdin.fileno()

    def ended() -> None:
        loop.remove_reader(stdin)
        stop.set()

    loop.add_reader(stdin, ended)
    try:
        with _at_signals(stop.set):
            yield stop
    finally:
        loop.remove_reader(stdin)


@contextmanager
def _at_signals(told: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        loop.add_signal_handler(number, told)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--event", "event_file", type=click.Path(path_type=Path), required=True, help="The event, as JSON.")
def put(file: Path, event_file: Path) -> Exit:
    """Archive FILE as the bundle of an event, without a bus; prints the reference's key.

    For bundles that were left behind, and for tests. No follow-up event is published.
    """
    from archiver.core.outcome import Dead
    from archiver.worker.pipeline import validate

    try:
        payload = event_file.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read the event {event_file}: {error.strerror}") from None
    event = validate(payload, source=str(event_file))
    if isinstance(event, Dead):
        click.echo(f"archiver: {event_file} is not an event that can be archived ({event.reason})", err=True)
        click.echo(f"  {event.detail}\n  for all violations: contracts check {event_file}", err=True)
        return Exit.BROKEN
    asyncio.run(_put(load_settings(), file, event, payload))
    return Exit.OK


async def _put(settings: Settings, file: Path, event: object, payload: bytes) -> None:
    from archiver.core.keys import ref_key
    from archiver.core.reference import Source
    from archiver.ports import Bundle
    from archiver.wiring import SystemClock, make_archive, open_store
    from contracts import PreparedEvent

    assert isinstance(event, PreparedEvent)
    try:
        opened = file.open("rb")
    except OSError as error:
        raise BadInput(f"cannot read the bundle {file}: {error.strerror}") from None
    now = format_rfc3339(SystemClock().now())
    with opened as bundle_file:
        size = os.fstat(bundle_file.fileno()).st_size
        source = Source(
            subject=str(event.payload["event"]),
            stream="",
            sequence=0,
            msg_id="",
            received_at=now,
            deliveries=0,
            payload_sha256=sha256(payload).hexdigest(),
        )
        async with open_store(settings) as store:
            archive = make_archive(settings, store)
            stored = await archive.store_bundle(event, Bundle(bundle_file, size, "file"))
            reference = await archive.write_reference(event, source, stored)
    if reference.bundle.sha256 != stored.sha256:
        first = reference.bundle.key
        click.echo(f"warning: the event was archived before with another bundle, which stays: {first}", err=True)
        click.echo(f"  this one is kept too: {stored.key}, recorded under conflicts/v1/{event.key}/", err=True)
    if not reference.bundle.size_matches:
        declared = reference.bundle.declared_bytes
        click.echo(f"warning: the event declares {declared} bytes, the bundle has {reference.bundle.bytes}", err=True)
    click.echo(ref_key(event))
