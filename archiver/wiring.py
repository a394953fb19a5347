"""Put the parts together as the settings say: the one place that knows which adapter serves which port."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import version

from archiver.archive import Archive, Identity
from archiver.pipeline import Pipeline
from archiver.ports import Announcer, BundleSource, ObjectStore
from archiver.settings import Settings


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """See `ports.Clock.now`."""
        return datetime.now(UTC)


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[ObjectStore]:
    """Open the store that the settings name, and confirm that the bucket is there.

    Raises:
        BucketMissing, StoreUnavailable: from that first look.
    """
    store: ObjectStore
    if settings.store == "boto3":
        from archiver.adapters.s3 import Boto3Store

        store = Boto3Store(settings.s3)
    else:
        from archiver.adapters.obstore_s3 import ObstoreStore

        store = ObstoreStore(settings.s3)
    try:
        # Some stores create a missing bucket at the first write of an admin identity, so look first.
        await store.check()
        yield store
    finally:
        await store.close()


def make_archive(settings: Settings, store: ObjectStore) -> Archive:
    """Make the writing side of the archive."""
    prefix = settings.prefix.strip("/")
    identity = Identity(
        bucket=settings.bucket,
        prefix=f"{prefix}/" if prefix else "",
        worker=settings.worker,
        version=version("kaizen-event-kit"),
    )
    return Archive(store, SystemClock(), identity)


def make_pipeline(settings: Settings, store: ObjectStore, bundles: BundleSource, announcer: Announcer) -> Pipeline:
    """Make the pipeline of one worker."""
    return Pipeline(
        archive=make_archive(settings, store),
        bundles=bundles,
        announcer=announcer,
        deadline_s=settings.bundle_deadline_s,
        chance=random.random,  # spreads retries; nothing secret hangs on it
    )
