"""The spool: the directory where an emitter leaves bundles, and events until the bus has confirmed them.

A name appears only once its content is on disk: write under a temporary name, fsync, rename, fsync the
directory. A file named `<event_key>.md` or `.json` is therefore complete, also after a power cut.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final
from uuid import uuid4

from contracts.errors import BadInput

MODE: Final = 0o640
_EVENT_ENDING = ".event.json"


class Spool:
    """One spool directory, from the emitter's side.

    Files get the permission bits `mode`, whatever the umask: by default the archiver can read them as another user of
    the same group.

    Raises:
        BadInput: the directory does not exist or is not writable; gives the next step.
    """

    def __init__(self, directory: Path, mode: int = MODE) -> None:
        if not directory.is_dir():
            raise BadInput(
                f"the spool directory {directory} does not exist\n"
                f"  create it (mkdir -p {directory}), or mount the volume that the archiver reads"
            )
        self.directory, self._mode = directory, mode

    @contextmanager
    def draft(self) -> Iterator[Draft]:
        """Open a file under a temporary name; it is removed unless it was kept."""
        path = self.directory / f".{uuid4().hex}.part"
        with _refusals(self.directory):
            file = path.open("xb")
        draft = Draft(file, path)
        try:
            with _refusals(self.directory), file:  # closing writes what is still buffered, and may be refused too
                yield draft
        finally:
            with suppress(FileNotFoundError):
                path.unlink()

    def keep(self, draft: Draft, name: str) -> Path:
        """Make a draft durable under its name."""
        with _refusals(self.directory):
            draft.file.flush()
            os.fchmod(draft.file.fileno(), self._mode)
            os.fsync(draft.file.fileno())
            draft.path.replace(self.directory / name)
            self.sync()
        return self.directory / name

    def copy(self, old: str, new: str) -> bool:
        """Copy a file to a second name: the archiver reads none that has two.

        Returns False if there is no such file. An existing file of the new name is not changed.
        """
        with _refusals(self.directory):
            if (self.directory / new).exists():
                return True
            try:
                bundle = (self.directory / old).open("rb")
            except FileNotFoundError:
                return False
            with bundle, self.draft() as draft:
                shutil.copyfileobj(bundle, draft.file)
                self.keep(draft, new)
        return True

    def sync(self) -> None:
        """Make the names here durable."""
        descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def keep_event(self, key: str, payload: bytes, bucket: str = "") -> Path:
        """Leave an event beside its bundle until the bus has confirmed it; `contracts resend` finds it there.

        Its name holds the bundle's destination: `<key>.event.json` nowhere else, `<key>@<bucket>.event.json` to a
        bucket of the Object Store.
        """
        with self.draft() as draft:
            draft.file.write(payload)
            return self.keep(draft, (f"{key}@{bucket}" if bucket else key) + _EVENT_ENDING)

    def bucket_of(self, event: Path) -> str:
        """Return the bucket that the bundle of an event is to go to; '' where it stays in the spool."""
        return event.name.removesuffix(_EVENT_ENDING).partition("@")[2]

    def read_event(self, path: Path) -> bytes:
        """Read an event that was left in the spool."""
        try:
            return path.read_bytes()
        except OSError as error:
            raise BadInput(f"cannot read the event {path}: {error.strerror or error}") from None

    def confirmed(self, event: Path) -> None:
        """Delete an event that the bus has confirmed."""
        event.unlink(missing_ok=True)

    def unconfirmed(self) -> list[Path]:
        """List the events that were never confirmed, in the order of their names."""
        return sorted(self.directory.glob("*" + _EVENT_ENDING))


class Draft:
    """A file being written in the spool: `file` under the temporary `path`."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self.file, self.path = file, path


@contextmanager
def _refusals(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BadInput(
            f"cannot write the bundle to the spool {directory}: {error.strerror or error}\n"
            f"  nothing was published; make room or fix the permissions, and run the same command again"
        ) from None
