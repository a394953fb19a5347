"""Read an archive from another program, synchronously or with asyncio.

    with open_archive("s3://bucket/prefix") as archive:
        for each in archive.find(repo="kaizen-agentic", agent="coach"):
            bundle = archive.read(each)

    async with open_archive("s3://bucket/prefix") as archive:
        async for each in archive.find(day=date(2026, 6, 17)):
            bundle = await archive.read(each)

A reader only reads, and only below its bucket and prefix: keys are built from what was checked, never taken from a
record. Credentials, endpoint and the rest are resolved as for the command `archiver`.
"""

from __future__ import annotations

import asyncio
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from contracts import BadInput, PreparedEvent, parse_rfc3339

if TYPE_CHECKING:
    from types import TracebackType

    from archiver.maintenance.reading import Entry
    from archiver.ports import BlobStore
    from archiver.settings import Settings

T = TypeVar("T")


class DamagedReference(UserWarning):
    """A reference that cannot be used was skipped; `archiver verify` shows what to do."""


@dataclass(frozen=True, slots=True)
class ArchivedEvent:
    """One archived event and its bundle.

    `sha256` is the hex digest of the bundle, `size_bytes` its size, both uncompressed. `ref_key` is the key of its
    reference below the archive's prefix, and `archived_at` when that was written.
    """

    event: PreparedEvent
    ref_key: str
    sha256: str
    size_bytes: int
    archived_at: datetime

    @property
    def key(self) -> str:
        """The identity of the event, 64 hex characters."""
        return self.event.key


OnDamage = Callable[[str, str], object]
"""Called with the key of a damaged reference and what is wrong with it."""


def warn_of_damage(key: str, why: str) -> None:
    """Issue a `DamagedReference` warning."""
    warnings.warn(f"{key} was skipped: {why}", DamagedReference, stacklevel=2)


def open_archive(where: str | Settings | None = None) -> Opening:
    """Open an archive for reading: with `with` or `async with`.

    `where` is `s3://bucket/prefix`, settings as `archiver.load_settings` returns them, or None for ARCHIVER_BUCKET and
    ARCHIVER_PREFIX. Endpoint, region and credentials come from the usual AWS_* variables and files.

    Raises:
        BadInput: the URL or a setting cannot be used, or the extra `archiver` is not installed.
    """
    try:
        from archiver.settings import Settings, load_settings  # noqa: PLC0415 - the extra may be missing

        if isinstance(where, Settings):
            return Opening(where)
        return Opening(load_settings(**_bucket_and_prefix(where)) if where is not None else load_settings())
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] in {"archiver", "contracts"}:
            raise
        raise BadInput(
            f"archiver.open_archive needs the package {error.name!r}\n  pip install 'kaizen-event-kit[archiver]'"
        ) from None


def _bucket_and_prefix(url: str) -> dict[str, str]:
    scheme, _, rest = url.partition("://")
    bucket, _, prefix = rest.partition("/")
    if scheme != "s3" or not bucket or set("@?#") & set(rest):
        raise BadInput("an archive's URL is s3://bucket/prefix, without credentials, query or fragment")
    return {"bucket": bucket, "prefix": prefix.strip("/")}


class Opening:
    """An archive to be opened: `with` gives an `ArchiveReader`, `async with` an `AsyncArchiveReader`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stack: ExitStack | AsyncExitStack | None = None

    def __enter__(self) -> ArchiveReader:
        with ExitStack() as stack:
            loop = stack.enter_context(_loop_in_thread())
            opened = _open(self._settings)
            reader = loop(opened.__aenter__())
            stack.callback(lambda: loop(opened.__aexit__(None, None, None)))
            self._stack = stack.pop_all()
        return ArchiveReader(reader, loop)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert isinstance(self._stack, ExitStack)
        self._stack.close()

    async def __aenter__(self) -> AsyncArchiveReader:
        async with AsyncExitStack() as stack:
            reader = await stack.enter_async_context(_open(self._settings))
            self._stack = stack.pop_all()
        return reader

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert isinstance(self._stack, AsyncExitStack)
        await self._stack.aclose()


@asynccontextmanager
async def _open(settings: Settings) -> AsyncIterator[AsyncArchiveReader]:
    from archiver.wiring import open_store  # noqa: PLC0415 - it loads every driver's module

    async with open_store(settings) as store:
        yield AsyncArchiveReader(store, settings.max_bundle_bytes)


class AsyncArchiveReader:
    """An open archive, for use with asyncio. Closed when its `async with` block ends."""

    def __init__(self, store: BlobStore, max_bundle_bytes: int) -> None:
        self._store, self._max_bundle_bytes = store, max_bundle_bytes

    async def get(self, key: str) -> ArchivedEvent:
        """Return an archived event, by its own key (64 hex characters) or the key of its reference.

        A reference's key costs one request; an event's key a listing of all references.

        Raises:
            NotArchived: nothing has that key.
            RecordDamaged: its reference cannot be used.
            StoreUnavailable: the store failed.
        """
        from archiver.maintenance.reading import find  # noqa: PLC0415

        return _archived(await find(self._store, key))

    async def find(
        self,
        *,
        repo: str | None = None,
        agent: str | None = None,
        day: date | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        on_damage: OnDamage = warn_of_damage,
    ) -> AsyncIterator[ArchivedEvent]:
        """Yield archived events of a repo, an agent, a day in UTC, or from `since` on and before `until`.

        They come by repo, then agent, then day. With `repo`, only that repo's references are listed. A damaged
        reference is skipped and passed to `on_damage`.

        Raises:
            ValueError: a time without an offset, or `day` together with `since` or `until`.
            StoreUnavailable: the store failed.
        """
        from archiver.maintenance.reading import Stray, references  # noqa: PLC0415

        since, until = _between(day, since, until)
        async for found in references(self._store, repo=repo, agent=agent, since=since, until=until):
            if isinstance(found, Stray):
                on_damage(found.key, found.why)
            else:
                yield _archived(found)

    def __aiter__(self) -> AsyncIterator[ArchivedEvent]:
        """Yield every archived event."""
        return self.find()

    @asynccontextmanager
    async def open(self, which: ArchivedEvent | str) -> AsyncIterator[BinaryIO]:
        """Open a bundle as a file, once its digest was checked; large ones are on disk, not in memory.

        `which` is an archived event, the key of an event, of a reference or of a blob.

        Raises:
            NotArchived: nothing has that key, or the blob is missing.
            DigestMismatch: the blob is damaged, or larger than ARCHIVER_MAX_BUNDLE_BYTES.
            RecordDamaged: the reference cannot be used.
            StoreUnavailable: the store failed.
        """
        from archiver.maintenance.reading import checked_bundle, resolve  # noqa: PLC0415

        name = which if isinstance(which, str) else which.ref_key
        blob_key, digest, limit_bytes = await resolve(self._store, name, self._max_bundle_bytes)
        async with checked_bundle(self._store, blob_key, digest, limit_bytes) as bundle:
            yield bundle

    async def read(self, which: ArchivedEvent | str) -> bytes:
        """Return a bundle, once its digest was checked; see `open`."""
        async with self.open(which) as bundle:
            return bundle.read()


class ArchiveReader:
    """An open archive. Closed when its `with` block ends; may be used from several threads at once."""

    def __init__(self, reader: AsyncArchiveReader, loop: _Loop) -> None:
        self._reader, self._run = reader, loop

    def get(self, key: str) -> ArchivedEvent:
        """See `AsyncArchiveReader.get`."""
        return self._run(self._reader.get(key))

    def find(
        self,
        *,
        repo: str | None = None,
        agent: str | None = None,
        day: date | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        on_damage: OnDamage = warn_of_damage,
    ) -> Iterator[ArchivedEvent]:
        """See `AsyncArchiveReader.find`."""
        _between(day, since, until)  # what is wrong is raised here, not at the first event
        found = self._reader.find(repo=repo, agent=agent, day=day, since=since, until=until, on_damage=on_damage)
        return self._each(found)

    def _each(self, found: AsyncIterator[ArchivedEvent]) -> Iterator[ArchivedEvent]:
        try:
            while (each := self._run(_next(found))) is not None:
                yield each
        finally:
            with suppress(RuntimeError):  # the archive was closed before the iteration ended
                self._run(found.aclose())  # type: ignore[attr-defined]

    def __iter__(self) -> Iterator[ArchivedEvent]:
        """Yield every archived event."""
        return self.find()

    @contextmanager
    def open(self, which: ArchivedEvent | str) -> Iterator[BinaryIO]:
        """See `AsyncArchiveReader.open`."""
        opened = self._reader.open(which)
        bundle = self._run(opened.__aenter__())
        try:
            yield bundle
        finally:
            self._run(opened.__aexit__(None, None, None))

    def read(self, which: ArchivedEvent | str) -> bytes:
        """See `AsyncArchiveReader.read`."""
        return self._run(self._reader.read(which))


def _archived(entry: Entry) -> ArchivedEvent:
    bundle = entry.reference.bundle
    archived_at = parse_rfc3339(entry.reference.archived_at)
    return ArchivedEvent(entry.event, entry.key, bundle.sha256, bundle.bytes, archived_at)


def _between(
    day: date | None, since: datetime | None, until: datetime | None
) -> tuple[datetime | None, datetime | None]:
    for at in (since, until):
        if at is not None and at.tzinfo is None:
            raise ValueError(f"{at} has no offset; expected an aware datetime")
    if day is None:
        return since, until
    if since or until:
        raise ValueError("day excludes since and until")
    begins = datetime.combine(day, time(), UTC)
    return begins, None if begins.date() == date.max else begins + timedelta(days=1)


async def _next(found: AsyncIterator[ArchivedEvent]) -> ArchivedEvent | None:
    return await anext(found, None)


class _Loop:
    """An event loop in a thread: a program that has one of its own, such as a notebook, may be synchronous too."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="archive reader", daemon=True)
        self._thread.start()

    def __call__(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end."""
        if self._loop.is_closed():
            work.close()
            raise RuntimeError("the archive is closed")
        running = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return running.result()
        except BaseException:
            running.cancel()  # without effect where it has ended
            raise

    def close(self) -> None:
        """End the thread."""
        self(self._loop.shutdown_asyncgens())
        self(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextmanager
def _loop_in_thread() -> Iterator[_Loop]:
    loop = _Loop()
    try:
        yield loop
    finally:
        loop.close()
