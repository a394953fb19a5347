"""BundleSource on a directory where emitters leave bundles, each under the key of its event.

The threat is whoever may write to that directory, which is more than us: perhaps the emitter's whole machine.
A link would make us archive, and publish to readers of the bucket, a file that only we may read; a FIFO
would hold a worker for ever; a file of endless length would fill memory or the store. So a bundle is opened
without following links and without waiting, and only a plain file of one name and bounded size is read.
The directory itself is the operator's choice and is trusted.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from contextlib import asynccontextmanager
from functools import partial
from io import BufferedReader, BytesIO, FileIO
from typing import TYPE_CHECKING, Any, TypeVar

from archiver.bundles.mounts import Place
from archiver.core.errors import BundleMissing, BundleRefused, BundleUnsettled, StoreUnavailable
from archiver.ports import Bundle
from contracts.toolkit import spool_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from contracts import PreparedEvent

T = TypeVar("T")

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_MEDIUM_LOST = {errno.EIO, errno.ESTALE}
_SMALL_BYTES = 1 << 20  # read whole: 16 in hand are 16 MiB


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
            BundleUnsettled: it changed while it was read.
            BundleRefused: no plain file of one name, or larger than `max_bytes`.
            StoreUnavailable: the directory cannot be opened, or reading fails; no event is to blame.
        """
        path = self._directory / spool_name(event)
        raw, before, content = await self._done(self._open, path)
        with raw:
            try:
                file = BufferedReader(raw) if content is None else BytesIO(content)
                yield Bundle(file, before.st_size, "spool", partial(self._done, self._remove, path, before))
            except OSError as error:
                if error.errno not in _MEDIUM_LOST:
                    raise
                raise StoreUnavailable(f"read the bundle {path}", _why(error)) from error
            # Of the open file, not of the name: a bundle replaced by renaming leaves us the old one, whole.
            after = os.fstat(raw.fileno())
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise BundleUnsettled(str(path))

    async def _done(self, work: Callable[..., T], *about: Any) -> T:
        """Do it at once on a disk of this machine; else in a thread, which costs more than the work, but may hang."""
        if await self._place.is_local():
            return work(*about)
        return await asyncio.to_thread(work, *about)

    def _open(self, path: Path) -> tuple[FileIO, os.stat_result, bytes | None]:
        """Open a bundle; the content of a small one is read at once."""
        descriptor = self._descriptor(path)
        try:
            found = os.fstat(descriptor)
            self._refuse_unsafe(path, found)
            content = os.read(descriptor, found.st_size) if found.st_size <= _SMALL_BYTES else None
            return FileIO(descriptor), found, content
        except BaseException as error:
            os.close(descriptor)
            if isinstance(error, OSError) and error.errno in _MEDIUM_LOST:
                raise StoreUnavailable(f"read the bundle {path}", _why(error)) from error
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
            # EACCES is an operator's mistake, ENFILE and EIO are the machine's.
            raise StoreUnavailable(f"open the bundle {path}", _why(error)) from error
        finally:
            os.close(directory)

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
            raise StoreUnavailable(f"remove the bundle {path}", f"{_why(error)}; {hint}") from error
        finally:
            os.close(directory)

    def _open_directory(self) -> int:
        try:
            return os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise StoreUnavailable(
                f"open the spool {self._directory}",
                f"{_why(error)}; is the volume mounted, and may this user read it? (ARCHIVER_SPOOL)",
            ) from error

    def _refuse_unsafe(self, path: Path, found: os.stat_result) -> None:
        if not stat.S_ISREG(found.st_mode):
            kind = _KINDS.get(stat.S_IFMT(found.st_mode), "no plain file")
            raise BundleRefused(str(path), f"it is {kind}")
        if found.st_nlink > 1:
            raise BundleRefused(str(path), f"it has {found.st_nlink} names (hard links)")
        if found.st_size > self._max_bytes:
            raise BundleRefused(str(path), f"it has {found.st_size} bytes, more than {self._max_bytes}")


def _identity(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _why(error: OSError) -> str:
    return error.strerror or str(error)
