"""Taking a bundle out of the spool: the very file that was read, and nothing else."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from archiver.bundles.spool import SpoolSource
from archiver.core.errors import SourceUnavailable
from contracts.toolkit import spool_name
from tests.archiver.bundles.test_spool import nobody, open_files_under
from tests.support.builders import BUNDLE, prepared

EVENT = prepared()


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle in a spool."""
    spool = tmp_path / "spool"
    spool.mkdir()
    path = spool / spool_name(EVENT)
    path.write_bytes(BUNDLE)
    return path


def read_and_release(path: Path, meanwhile: Callable[[Path], object] = lambda _: None) -> None:
    async def steps() -> None:
        async with SpoolSource(path.parent, 1000).open(EVENT) as opened:
            opened.file.read()
        meanwhile(path)
        await opened.release()

    asyncio.run(steps())


def test_a_bundle_that_is_read_stays_until_it_is_released(bundle: Path) -> None:
    beside = bundle.with_name("other.md")
    beside.write_bytes(b"another bundle")

    read_and_release(bundle, meanwhile=lambda path: path.read_bytes())

    assert list(bundle.parent.iterdir()) == [beside]
    assert open_files_under(bundle.parent) == []


def take_away(path: Path) -> None:
    path.unlink()


def take_the_spool_away(path: Path) -> None:
    path.unlink()
    path.parent.rmdir()
    path.parent.mkdir()


@pytest.mark.parametrize("meanwhile", [take_away, take_the_spool_away])
def test_a_bundle_that_has_gone_already_is_released(bundle: Path, meanwhile: Callable[[Path], object]) -> None:
    read_and_release(bundle, meanwhile)

    assert list(bundle.parent.iterdir()) == []


def render_again(path: Path) -> None:
    aside = path.with_suffix(".part")
    aside.write_bytes(BUNDLE)
    shutil.copystat(path, aside)
    aside.replace(path)


def write_more(path: Path) -> None:
    told = path.stat()
    path.write_bytes(BUNDLE + b"more")
    os.utime(path, ns=(told.st_atime_ns, told.st_mtime_ns))


def write_the_same_length(path: Path) -> None:
    path.write_bytes(BUNDLE[::-1])
    os.utime(path, ns=(0, 0))


def link_to_the_same(path: Path) -> None:
    elsewhere = path.parent.parent / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def make_a_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def make_a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "meanwhile",
    [render_again, write_more, write_the_same_length, link_to_the_same, make_a_fifo, make_a_directory],
)
def test_whatever_took_the_name_meanwhile_stays(bundle: Path, meanwhile: Callable[[Path], object]) -> None:
    read_and_release(bundle, meanwhile)

    assert os.path.lexists(bundle)
    assert bundle.is_fifo() or bundle.is_dir() or bundle.read_bytes() != b""


def test_a_spool_that_may_not_be_written_to_says_what_to_look_at() -> None:
    with tempfile.TemporaryDirectory() as made:  # not tmp_path, whose parents are closed to others
        path = Path(made) / spool_name(EVENT)
        path.write_bytes(BUNDLE)
        Path(made).chmod(0o555)
        try:
            with nobody(), pytest.raises(SourceUnavailable) as refused:
                read_and_release(path)
        finally:
            Path(made).chmod(0o755)
        assert str(refused.value) == (
            f"the spool failed: could not remove the bundle {path}: {os.strerror(errno.EACCES)}; "
            "may this user write to the spool? (ARCHIVER_SPOOL)"
        )
        assert path.read_bytes() == BUNDLE


def test_a_spool_that_is_no_longer_mounted_says_so(bundle: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"could not open the directory .*; is the volume mounted"):
        read_and_release(bundle, meanwhile=lambda path: shutil.rmtree(path.parent))
