"""Write to what a user names: one rule for every option of both commands that names a file to write.

- `-`, /dev/stdout and the like are the open stream itself.
- Symbolic links are followed: what they lead to is written.
- A regular file is replaced at once, when everything is written; it keeps its mode and, where that is allowed, its
  owner. Until then, and if anything fails, the old file stays as it was. Data (a bundle, a payload) replaces a file
  only with --force; a report, which every run in CI writes again, always does.
- A pipe or a device is written into.
- A directory and a socket are refused.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from contracts.errors import BadInput

_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/([0-9]+)")
_MOST_LINKS = 40  # as Linux has it
_NOT_BESIDE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY, errno.EXDEV}


@contextmanager
def open_output(path: str | os.PathLike[str], *, replace: bool, what: str = "") -> Iterator[BinaryIO]:
    """Open what an option names, to be written as binary.

    `replace` is whether a regular file that exists is replaced; where the block raises, it stays as it was. `what`
    names the content in messages.

    Raises:
        BadInput: it cannot be written; gives the reason. Nothing was changed.
    """
    name = os.fspath(path)
    refused = f"cannot write {what} to {name}" if what else f"cannot write {name}"
    try:
        if name == "-":
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
            return
        target = _target(name)
        if isinstance(target, int):
            with os.fdopen(os.dup(target), "wb") as file:
                yield file
            return
        mode = _mode(target)
        if mode is not None and not stat.S_ISREG(mode):
            with os.fdopen(_opened_special(refused, target, mode), "wb") as file:
                yield file
            return
        if mode is not None and not replace:
            raise _exists(name)
        with _replacing(name, target, replace=replace) as file:
            yield file
    except BrokenPipeError:
        raise
    except OSError as error:
        raise BadInput(f"{refused}: {error.strerror or error}") from None


def write_output(path: str | os.PathLike[str], data: bytes, *, replace: bool) -> None:
    """Write all of it; see `open_output`."""
    with open_output(path, replace=replace) as file:
        file.write(data)


@contextmanager
def open_growing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open what a long recording goes to: a new file that grows in place, or anything but a regular file.

    A file in which nothing was written is removed again.

    Raises:
        BadInput: it cannot be written, or is a regular file already; gives the reason.
    """
    name = os.fspath(path)
    try:
        target = None if name == "-" else _target(name)
        mode = _mode(target) if isinstance(target, Path) else None
        if mode is not None and stat.S_ISREG(mode):
            raise BadInput(f"{name} exists\n  name a new file: what was recorded is never overwritten")
        if mode is not None or not isinstance(target, Path):
            with open_output(name, replace=False) as file:
                yield file
            return
        with target.open("xb") as file:
            try:
                yield file
            finally:
                if not file.tell():
                    target.unlink()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise BadInput(f"cannot write {name}: {error.strerror or error}") from None


def _exists(name: str) -> BadInput:
    return BadInput(f"{name} exists\n  name another file, or replace it with --force")


def _target(name: str) -> Path | int:
    """Follow links; return where they lead, or the descriptor that an entry of /dev/fd stands for.

    Opened by its path, a descriptor would be a second, independent one: it would overwrite what the first one wrote.
    """
    if not name or name.endswith("/"):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    path = Path(name)
    for _ in range(_MOST_LINKS):
        if found := _DESCRIPTOR.fullmatch(str(path)):
            return int(found[1])
        if not path.is_symlink():
            return path
        path = path.parent / path.readlink()
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def _mode(target: Path) -> int | None:
    try:
        return target.stat().st_mode
    except FileNotFoundError:
        return None


def _opened_special(refused: str, target: Path, mode: int) -> int:
    if stat.S_ISDIR(mode):
        raise BadInput(f"{refused}: Is a directory\n  name a file in it")
    if stat.S_ISSOCK(mode):
        raise BadInput(f"{refused}: Is a socket\n  name a file, a pipe or a device")
    return os.open(target, os.O_WRONLY | os.O_NOCTTY)


@contextmanager
def _replacing(name: str, target: Path, *, replace: bool) -> Iterator[BinaryIO]:
    """Write beside the target, then rename; where its directory takes no second file, copy into the target."""
    try:
        draft, file = _draft(target)
    except OSError as error:
        if error.errno not in _NOT_BESIDE or _mode(target) is None or not os.access(target, os.W_OK):
            raise
        draft, file = None, tempfile.TemporaryFile()  # noqa: SIM115 - closed below
    try:
        with file:
            yield file
            _commit(name, draft, target, file, replace=replace)
    finally:
        if draft:
            with suppress(OSError):
                draft.unlink()


def _draft(target: Path) -> tuple[Path | None, BinaryIO]:
    draft = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        old = target.stat()
    except FileNotFoundError:
        old = None
    # The umask applies to a new file. One that replaces another is never readable by more than that was.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    file = os.fdopen(os.open(draft, flags, 0o666 if old is None else 0o600), "wb")
    if old is not None:
        with suppress(PermissionError):
            os.fchown(file.fileno(), old.st_uid, old.st_gid)
        os.fchmod(file.fileno(), stat.S_IMODE(old.st_mode))
    return draft, file


def _commit(name: str, draft: Path | None, target: Path, file: BinaryIO, *, replace: bool) -> None:
    file.flush()
    if draft is None:
        _copy_into(target, file)
        return
    if not replace:
        # A link is made only where nothing is, so that a file which came meanwhile is not lost.
        try:
            target.hardlink_to(draft)
        except FileExistsError:
            raise _exists(name) from None
        except OSError:  # a file system without links
            if os.path.lexists(target):
                raise _exists(name) from None
        else:
            return
    try:
        draft.replace(target)
    except OSError as error:
        if error.errno not in _NOT_BESIDE:
            raise
        with draft.open("rb") as written:  # a file that is mounted alone cannot be renamed over
            _copy_into(target, written)


def _copy_into(target: Path, written: BinaryIO) -> None:
    written.seek(0)
    with target.open("wb") as file:
        shutil.copyfileobj(written, file)
