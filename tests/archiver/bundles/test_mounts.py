"""What may hang is told from what cannot: a directory on a network volume from one on a disk of this machine."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from archiver.bundles import mounts
from archiver.bundles.mounts import Place, kinds_on_the_way
from archiver.bundles.spool import SpoolSource
from contracts.toolkit import spool_name
from tests.support.builders import BUNDLE, prepared

DISK = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard"
VOLUME = "41 27 0:52 / /srv/spool rw,relatime shared:9 - nfs4 nas:/spool rw,vers=4.2"
WITH_SPACE = r"42 27 0:53 /x /srv/my\040spool rw - fuse.sshfs nas: rw"


@pytest.mark.parametrize(
    ("path", "kinds"),
    [
        ("/srv", {"ext4"}),
        ("/srv/spool", {"ext4", "nfs4"}),
        ("/srv/spool/below", {"ext4", "nfs4"}),
        ("/srv/spooler", {"ext4"}),
        ("/srv/my spool", {"ext4", "fuse.sshfs"}),
        ("/", {"ext4"}),
    ],
)
def test_all_that_is_mounted_on_the_way_to_a_directory_counts(path: str, kinds: set[str]) -> None:
    assert kinds_on_the_way(path, f"{DISK}\n{VOLUME}\n{WITH_SPACE}") == kinds


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table of mounts of the test's own; that it has changed, it says where the test says so."""
    path = tmp_path / "mountinfo"
    monkeypatch.setattr(mounts, "_TABLE", path)
    monkeypatch.setattr(mounts, "_mounts", Told)
    return path


class Told:
    """Counts the changes of the mounts that a test tells of."""

    count = 0

    def changes(self) -> int:
        return Told.count


@pytest.mark.parametrize(
    "told", [f"{DISK}\n{DISK.replace('ext4', 'nfs')}", DISK.replace("ext4", "of a later kernel"), "", None]
)
def test_a_directory_is_local_only_where_that_is_known_for_certain(table: Path, told: str | None) -> None:
    if told is not None:
        table.write_text(told)

    assert not asyncio.run(Place(table.parent).is_local())


def test_where_a_volume_is_mounted_later_it_is_looked_up_anew(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(table.parent)
    table.write_text(DISK)

    assert asyncio.run(place.is_local())

    table.write_text(f"{DISK}\n{DISK.replace('/ /', f'/ {table.parent}').replace('ext4', 'nfs4')}")
    assert asyncio.run(place.is_local()), "the table is not read again for each bundle"

    monkeypatch.setattr(Told, "count", 1)
    assert not asyncio.run(place.is_local())


@pytest.mark.parametrize(("told", "here"), [(DISK, True), (DISK.replace("ext4", "nfs4"), False)])
def test_a_bundle_is_read_and_removed_in_a_thread_where_that_may_hang(
    table: Path, monkeypatch: pytest.MonkeyPatch, told: str, *, here: bool
) -> None:
    table.write_text(told)
    event = prepared()
    (table.parent / spool_name(event)).write_bytes(BUNDLE)
    threads = []
    for name in ("_open", "_remove"):
        work = getattr(SpoolSource, name)
        monkeypatch.setattr(
            SpoolSource, name, lambda *about, work=work: (threads.append(threading.current_thread()), work(*about))[1]
        )

    async def steps() -> None:
        async with SpoolSource(table.parent, 1000).open(event) as bundle:
            assert bundle.file.read() == BUNDLE
        await bundle.release()

    asyncio.run(steps())

    assert [thread is threading.main_thread() for thread in threads] == [here, here]
    assert not (table.parent / spool_name(event)).exists()


def test_the_kernel_is_asked_for_changes_without_waiting() -> None:
    seen = mounts._Mounts()

    assert seen.changes() == seen.changes()
