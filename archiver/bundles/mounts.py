"""Decide whether a directory is on a local disk. On a network volume that is gone, each call on a name may hang."""

from __future__ import annotations

import asyncio
import os
import re
import select
from contextlib import suppress
from functools import cache
from pathlib import Path

_TABLE = Path("/proc/self/mountinfo")  # proc_pid_mountinfo(5)
_LOCAL = {"btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "ramfs", "tmpfs", "xfs", "zfs"}


class Place:
    """Where a directory is, looked up anew whenever something was mounted or unmounted."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._is_local, self._looked_up_at = False, -1

    async def is_local(self) -> bool:
        """Return whether the directory, and the path to it, is on local disks; False where that is not known."""
        mounts = _mounts()
        if mounts is None:
            return False
        changes = mounts.changes()
        if self._looked_up_at != changes:
            # In a thread: following the links in a path may hang, too.
            self._is_local, self._looked_up_at = await asyncio.to_thread(self._look_up), changes
        return self._is_local and self._looked_up_at == mounts.changes()

    def _look_up(self) -> bool:
        with suppress(OSError):
            kinds = kinds_on_the_way(os.path.realpath(self._directory), os.fsdecode(_TABLE.read_bytes()))
            return bool(kinds) and kinds <= _LOCAL
        return False


class _Mounts:
    """Counts the changes of the mounts that this process sees; the kernel reports each of them once."""

    def __init__(self) -> None:
        self._poll, self._changes = select.poll(), 0
        self._poll.register(os.open(_TABLE, os.O_RDONLY | os.O_CLOEXEC), select.POLLPRI)  # for as long as we live

    def changes(self) -> int:
        if self._poll.poll(0):
            self._changes += 1
        return self._changes


@cache
def _mounts() -> _Mounts | None:
    try:
        return _Mounts()
    except OSError:  # no Linux
        return None


def kinds_on_the_way(path: str, table: str) -> set[str]:
    """Return the types of the file systems that are mounted at a path or above it, by a table of proc_pid_mountinfo(5).

    Of all of them: the table does not show reliably which of two covers the other.
    """
    kinds = set()
    for line in table.splitlines():
        place, _, kind = line.partition(" - ")
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), place.split(" ")[4])
        if f"{path}/".startswith(point.rstrip("/") + "/"):
            kinds.add(kind.split(" ")[0])
    return kinds
