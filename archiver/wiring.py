"""Build the parts from the settings: the one place that knows which implementation serves which port."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version

from structlog.typing import FilteringBoundLogger

from archiver.core.capabilities import Capabilities
from archiver.core.limiter import Limiter
from archiver.ports import Announcer, BlobStore, BundleSource, Inbox
from archiver.settings import Settings
from archiver.stores.retrying import RetryingAnnouncer, RetryingStore, retry
from archiver.stores.s3.access import S3Access
from archiver.worker.archive import Archive, Identity
from archiver.worker.consumer import Consumer
from archiver.worker.health import Health
from archiver.worker.pipeline import Pipeline
from archiver.worker.replays import Replays
from archiver.worker.source_watch import SourceWatch
from archiver.worker.watchdog import Watchdog


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """See `ports.Clock.now`."""
        return datetime.now(UTC)


@asynccontextmanager
async def open_store(settings: Settings, *, checksums: bool = True) -> AsyncIterator[BlobStore]:
    """Open the store that the settings name, confirm that the bucket is there, and retry what fails in passing.

    `checksums` is whether a body's digest is sent for the store to verify.

    Raises:
        BucketMissing, StoreUnavailable: from that first look.
    """
    access = replace(settings.s3, checksums=checksums)
    store = _driver(settings, access)
    try:
        # Some stores create a missing bucket at the first write of an admin identity, so look first.
        await store.check()
        yield RetryingStore(store)
    finally:
        await store.close()


def _driver(settings: Settings, access: S3Access) -> BlobStore:
    if settings.store == "boto3" or access.proxy:  # boto3 alone speaks to proxies
        from archiver.stores.s3.boto3_store import Boto3Store

        return Boto3Store(access)
    from archiver.stores.s3.direct import DirectStore

    return DirectStore(access)


async def probe_store(settings: Settings) -> Capabilities:
    """Try what the store does; see `BucketControl.probe`. For after `open_store`, which creates nothing.

    Raises:
        StoreUnavailable: a question is left open, also after a few tries.
    """
    from archiver.stores.s3.control import BucketControl

    control = BucketControl(settings.s3)
    try:
        return await retry(lambda: asyncio.to_thread(control.probe))
    finally:
        control.close()


def make_archive(settings: Settings, store: BlobStore, *, create_only: bool = True) -> Archive:
    """Make the writing side of the archive."""
    identity = Identity(
        bucket=settings.bucket,
        prefix=settings.prefix,
        worker=settings.worker,
        version=version("kaizen-event-kit"),
    )
    compress = settings.compression == "auto"
    return Archive(store, SystemClock(), identity, create_only=create_only, compress=compress)


@dataclass(frozen=True, slots=True)
class World:
    """What a worker works with, each behind its port."""

    store: BlobStore
    bundles: BundleSource
    announcer: Announcer
    inbox: Inbox


def make_consumer(
    settings: Settings, world: World, log: FilteringBoundLogger, *, ack_wait_s: float, create_only: bool, release: bool
) -> Consumer:
    """Make one worker: the pipeline, and what carries its outcomes out.

    `ack_wait_s` is the consumer's own; `create_only` is what a probe of the store has shown.
    """
    # random.random spreads waits; nothing secret hangs on it.
    health = Health(log)

    async def outstanding() -> int:
        return (await world.inbox.backlog()).unanswered

    async def probe() -> None:
        await world.store.check()
        await world.bundles.check()

    pipeline = Pipeline(
        archive=make_archive(settings, world.store, create_only=create_only),
        bundles=world.bundles,
        watch=SourceWatch(
            part="+".join(settings.sources),
            health=health,
            deadline_s=settings.bundle_deadline_s,
            outstanding=outstanding,
            accepts_empty=settings.empty_sources == "accept",
        ),
        announcer=RetryingAnnouncer(world.announcer),
        deadline_s=settings.bundle_deadline_s,
        release=release,
        chance=random.random,
    )
    return Consumer(
        inbox=world.inbox,
        process=Replays(pipeline, settings.replays).process,
        dead_letters=world.announcer,
        probe=probe,
        clock=SystemClock(),
        log=log,
        health=health,
        watchdog=Watchdog(world.inbox, log),
        worker=settings.worker,
        limiter=Limiter(settings.slots),
        ack_wait_s=ack_wait_s,
        grace_s=settings.grace_s,
        chance=random.random,
    )
