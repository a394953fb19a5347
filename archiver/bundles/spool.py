"""BundleSource on a directory where emitters leave bundles, each under the key of its event.

The threat is anyone who can write to that directory, perhaps the emitter's whole machine.
A link would make us archive, and publish to readers of the bucket, a file that only we may read; a FIFO
would block a worker indefinitely; a file of endless length would fill memory or the store. So a bundle is opened
without following links and without waiting, and only a regular file with one name and a bounded size is read.
The directory itself is the operator's choice and is trusted.

An error of one file is that bundle's (`BundleUnreadable`): its event is retried on its own, and others go on. Only an
error that concerns every file is the spool's (`SourceUnavailable`): the directory itself cannot be opened, searched or
listed, or the machine has no file handles, memory or space left.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from io import BufferedReader, BytesIO, FileIO
from typing import TYPE_CHECKING, Any, TypeVar

from archiver.bundles.mounts import Place
from archiver.core.errors import (
    BundleMissing,
    BundleRefused,
    BundleUnreadable,
    BundleUnsettled,
    SourceUnavailable,
)
from archiver.ports import Bundle
from contracts import KitError
from contracts.toolkit import spool_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from contracts import PreparedEvent

T = TypeVar("T")

SPOOL = "spool"
"""The name of this source, in ARCHIVER_SOURCES, health and references."""

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_MACHINE = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.ENOSPC, errno.EDQUOT}
_GONE = {errno.ENODEV, errno.ENXIO, errno.ENOTCONN, errno.ESHUTDOWN, errno.EHOSTDOWN, errno.EHOSTUNREACH}  # FUSE, NFS
_SMALL_BYTES = 1 << 20  # read whole: 16 messages take 16 MiB


class SpoolSource:
    """Bundles in `directory`, read up to `max_bytes` each."""

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self._directory, self._max_bytes = directory, max_bytes
        self._place = Place(directory)

    @asynccontextmanager
    async def open(self, event: PreparedEvent, said: str | None = None) -> AsyncIterator[Bundle]:  # noqa: ARG002
        """Open the bundle of `event`; on leaving, disown it if it was written to meanwhile.

        So what was read may be stored inside the block, and is relied upon only after it.

        Raises:
            BundleMissing: not there (yet).
            BundleUnsettled: it changed while it was read or uploaded.
            BundleUnreadable: this file cannot be opened or read.
            BundleRefused: not a regular file with one name, or larger than `max_bytes`.
            SourceUnavailable: the spool as a whole fails; no event is to blame.
        """
        path = self._directory / spool_name(event)
        raw, before, content = await self._done(self._open, path)
        with raw:
            try:
                file = BufferedReader(raw) if content is None else BytesIO(content)
                yield Bundle(file, before.st_size, SPOOL, partial(self._done, self._remove, path, before))
            except KitError as error:
                if raw.failure is not None:  # a store's driver may have wrapped it
                    raise raw.failure from error
                # A store refuses a body that is not what was hashed (400 BadDigest): that is the bundle's change.
                if _has_changed(raw, before):
                    raise BundleUnsettled(str(path)) from error
                raise
            # Of the open file, not of the name: a bundle replaced by renaming leaves us the old one, whole.
            has_changed = _has_changed(raw, before)
        if has_changed:
            raise BundleUnsettled(str(path))

    async def check(self) -> None:
        """See `ports.BundleSource.check`."""
        await self._done(self._check)

    def _check(self) -> None:
        directory = self._open_directory()
        try:
            self._require_searchable(directory)
        finally:
            os.close(directory)

    async def _done(self, work: Callable[..., T], *about: Any) -> T:
        """Do it at once on a disk of this machine; else in a thread, which costs more than the work, but may hang."""
        if await self._place.is_local():
            return work(*about)
        return await asyncio.to_thread(work, *about)

    def _open(self, path: Path) -> tuple[_BundleFile, os.stat_result, bytes | None]:
        """Open a bundle; the content of a small one is read at once."""
        descriptor = self._descriptor(path)
        try:
            found = os.fstat(descriptor)
            self._refuse_unsafe(path, found)
            content = os.read(descriptor, found.st_size) if found.st_size <= _SMALL_BYTES else None
            return _BundleFile(descriptor, partial(self._failure, path)), found, content
        except BaseException as error:
            os.close(descriptor)
            if isinstance(error, OSError):
                raise self._failure(path, error) from error
            raise

    def _descriptor(self, path: Path) -> int:
        directory = self._open_directory()
        try:
            # O_NONBLOCK: opening a FIFO would wait for its writer. It means nothing for a plain file.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            return os.open(path.name, flags, dir_fd=directory)
        except FileNotFoundError:
            raise BundleMissing(str(path)) from None
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise BundleRefused(str(path), "it is a symbolic link") from error
            if error.errno == errno.ENXIO:
                raise BundleRefused(str(path), "it is a socket") from error
            raise self._failure(path, error) from error
        finally:
            os.close(directory)

    def _failure(self, path: Path, error: OSError) -> BundleUnreadable | SourceUnavailable:
        """Decide whether an error of one file is that file's or the spool's; ask the directory where that is open."""
        if error.errno in _MACHINE | _GONE:
            return SourceUnavailable(SPOOL, f"read the bundle {path}", _why(error))
        try:
            self._check()
        except SourceUnavailable as failure:
            return failure
        return BundleUnreadable(str(path), _why(error))

    def _require_searchable(self, directory: int) -> None:
        """Raise where every name in the directory would fail: no right to search it, or its medium is lost."""
        try:
            os.stat(".", dir_fd=directory)
            with os.scandir(directory) as entries:
                next(entries, None)
        except OSError as error:
            raise self._spool_failed(error) from error

    def _remove(self, path: Path, read: os.stat_result) -> None:
        """Remove the file that was read, unless it is gone or another has taken its name.

        The directory is not synced: at worst a power cut brings the file back, and a copy too many harms nobody.
        """
        directory = self._open_directory()
        try:
            if _identity(os.stat(path.name, dir_fd=directory, follow_symlinks=False)) == _identity(read):
                os.unlink(path.name, dir_fd=directory)
        except FileNotFoundError:
            pass  # another worker's, or the operator's, doing
        except OSError as error:
            hint = "may this user write to the spool? (ARCHIVER_SPOOL)"
            raise SourceUnavailable(SPOOL, f"remove the bundle {path}", f"{_why(error)}; {hint}") from error
        finally:
            os.close(directory)

    def _open_directory(self) -> int:
        try:
            return os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise self._spool_failed(error) from error

    def _spool_failed(self, error: OSError) -> SourceUnavailable:
        hint = "is the volume mounted, and may this user read it? (ARCHIVER_SPOOL)"
        return SourceUnavailable(SPOOL, f"open the directory {self._directory}", f"{_why(error)}; {hint}")

    def _refuse_unsafe(self, path: Path, found: os.stat_result) -> None:
        if not stat.S_ISREG(found.st_mode):
            kind = _KINDS.get(stat.S_IFMT(found.st_mode), "not a regular file")
            raise BundleRefused(str(path), f"it is {kind}")
        if found.st_nlink > 1:
            raise BundleRefused(str(path), f"it has {found.st_nlink} names (hard links)")
        if found.st_size > self._max_bytes:
            raise BundleRefused(str(path), f"it has {found.st_size} bytes, more than {self._max_bytes}")


class _BundleFile(FileIO):
    """An open bundle whose read errors name the bundle or the spool; other files' errors stay what they are."""

    def __init__(self, descriptor: int, explain: Callable[[OSError], KitError]) -> None:
        super().__init__(descriptor)
        self._explain = explain
        self.failure: KitError | None = None
        """The first read error, explained."""

    def readinto(self, buffer: Any, /) -> int | None:
        """Read as `FileIO` does."""
        with self._explained():
            return super().readinto(buffer)

    def readall(self) -> bytes:
        """Read as `FileIO` does."""
        with self._explained():
            return super().readall()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.failure = self._explain(error)
            raise self.failure from error


def _has_changed(file: FileIO, before: os.stat_result) -> bool:
    after = os.fstat(file.fileno())
    return (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns)


def _identity(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _why(error: OSError) -> str:
    return error.strerror or str(error)
