"""The spool against hostile files and failing machines."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
import tempfile
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import pytest

from archiver.bundles.spool import SpoolSource
from archiver.core.errors import (
    BundleMissing,
    BundleRefused,
    BundleUnreadable,
    BundleUnsettled,
    SourceUnavailable,
    StoreUnavailable,
)
from contracts import PreparedEvent
from contracts.toolkit import BundleInfo, spool_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_BYTES = 1000
LONG_AGO_NS = 1_600_000_000_000_000_000
EVENT = PreparedEvent(
    payload={},
    key="ab" * 32,
    occurred_at=datetime(2026, 6, 17, 9, tzinfo=UTC),
    repo="kaizen-agentic",
    root="/srv/kaizen-agentic",
    agent="coach",
    cadence="weekly",
    prepare_command="kaizen-agentic schedule prepare coach --target /srv/kaizen-agentic",
    bundle=BundleInfo(
        format="markdown", agent_prompt_found=True, has_memory=True, has_metrics=True, pointers=(), bytes=8
    ),
    session_close=(),
)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Where the bundle belongs; nothing is there yet."""
    spool = tmp_path / "spool"
    spool.mkdir()
    return spool / spool_name(EVENT)


def bundle_text(path: Path, meanwhile: Callable[[], object] = lambda: None) -> bytes:
    async def steps() -> bytes:
        async with SpoolSource(path.parent, MAX_BYTES).open(EVENT) as opened:
            assert opened.obtained_from == "spool"
            text = opened.file.read(MAX_BYTES + 1)
            assert len(text) == opened.size_bytes
            meanwhile()
            return text

    return asyncio.run(steps())


def test_a_bundle_is_read_under_the_key_of_its_event(bundle: Path) -> None:
    bundle.write_bytes(b"# Coach\n")

    assert bundle_text(bundle) == b"# Coach\n"


@pytest.mark.parametrize("size", [0, MAX_BYTES])
def test_a_bundle_may_be_empty_and_as_large_as_allowed(bundle: Path, size: int) -> None:
    bundle.write_bytes(b"x" * size)

    assert len(bundle_text(bundle)) == size


def test_a_bundle_that_is_not_there_is_missing(bundle: Path) -> None:
    with pytest.raises(BundleMissing, match=f"no bundle at {bundle}"):
        bundle_text(bundle)


def a_symbolic_link(path: Path) -> None:
    secret = path.parent.parent / "secret"
    secret.write_bytes(b"private key")
    path.symlink_to(secret)


def a_dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


def a_hard_link(path: Path) -> None:
    secret = path.parent.parent / "secret"
    secret.write_bytes(b"private key")
    path.hardlink_to(secret)


def a_fifo(path: Path) -> None:
    os.mkfifo(path)


def a_directory(path: Path) -> None:
    path.mkdir()


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as unix:
        here = Path.cwd()
        os.chdir(path.parent)  # the path of a socket is limited to 108 bytes
        try:
            unix.bind(path.name)
        finally:
            os.chdir(here)


def five_gib_of_nothing(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(5 * 1024**3)


@pytest.mark.parametrize(
    ("put", "why"),
    [
        (a_symbolic_link, "it is a symbolic link"),
        (a_dangling_link, "it is a symbolic link"),
        (a_hard_link, r"it has 2 names \(hard links\)"),
        (a_fifo, "it is a FIFO"),
        (a_directory, "it is a directory"),
        (a_socket, "it is a socket"),
        (five_gib_of_nothing, "it has 5368709120 bytes, more than 1000"),
    ],
)
def test_what_is_no_plain_file_of_bounded_size_is_refused_at_once(
    bundle: Path, put: Callable[[Path], None], why: str
) -> None:
    put(bundle)
    release = threading.Timer(2, lambda: os.close(os.open(bundle, os.O_RDWR)))  # else a hang would hang us too
    release.start()
    began = time.monotonic()

    with pytest.raises(BundleRefused, match=why):
        bundle_text(bundle)

    release.cancel()
    assert time.monotonic() - began < 1
    assert open_files_under(bundle.parent) == []


@pytest.mark.parametrize("change", [b"longer than before", b"", b"# Roach\n"], ids=["grown", "cut", "same size"])
def test_a_bundle_that_is_written_to_while_it_is_read_is_refused(bundle: Path, change: bytes) -> None:
    bundle.write_bytes(b"# Coach\n")
    os.utime(bundle, ns=(LONG_AGO_NS, LONG_AGO_NS))

    with pytest.raises(BundleUnsettled, match="changed while it was read"):
        bundle_text(bundle, meanwhile=lambda: bundle.write_bytes(change))


def test_a_bundle_that_is_replaced_while_it_is_read_is_read_as_it_was(bundle: Path) -> None:
    bundle.write_bytes(b"# Coach\n")
    aside = bundle.with_suffix(".new")
    aside.write_bytes(b"# Coach, rendered again\n")

    assert bundle_text(bundle, meanwhile=lambda: aside.replace(bundle)) == b"# Coach\n"


def test_an_error_inside_the_block_is_not_hidden_by_a_change(bundle: Path) -> None:
    bundle.write_bytes(b"# Coach\n")

    def change_and_fail() -> None:
        bundle.write_bytes(b"")
        raise TimeoutError("the store")

    with pytest.raises(TimeoutError, match="the store"):
        bundle_text(bundle, meanwhile=change_and_fail)


def test_a_spool_that_is_not_mounted_blames_no_event_and_says_what_to_look_at(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"No such file or directory; is the volume mounted"):
        bundle_text(tmp_path / "none" / spool_name(EVENT))


def test_a_spool_that_is_a_file_blames_no_event(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(SourceUnavailable, match="Not a directory"):
        bundle_text(tmp_path / "file" / spool_name(EVENT))


@contextmanager
def nobody() -> Iterator[None]:
    """Run as a user whom permissions bind, which they do not root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(
    ("closed", "error"),
    [
        pytest.param(("file", 0o000), BundleUnreadable, id="the file"),
        pytest.param(("directory", 0o000), SourceUnavailable, id="the directory"),
        pytest.param(("directory", 0o444), SourceUnavailable, id="the directory may be listed and not searched"),
        pytest.param(("directory", 0o111), SourceUnavailable, id="the directory may be searched and not listed"),
    ],
)
def test_a_closed_file_is_its_bundles_trouble_and_a_closed_directory_the_spools(
    closed: tuple[str, int], error: type[Exception]
) -> None:
    kind, mode = closed
    with tempfile.TemporaryDirectory() as made:  # not tmp_path, whose parents are closed to others
        bundle = Path(made) / spool_name(EVENT)
        bundle.write_bytes(b"# Coach\n")
        bundle.chmod(mode if kind == "file" else 0o444)
        bundle.parent.chmod(mode if kind == "directory" else 0o755)
        try:
            with nobody(), pytest.raises(error, match="Permission denied"):
                bundle_text(bundle)
        finally:
            bundle.parent.chmod(stat.S_IRWXU)


# What one name can answer, and what only a machine or a medium that fails for all names answers.
OF_ONE = "EACCES EPERM ENAMETOOLONG EISDIR ENOTDIR EIO ESTALE EOVERFLOW EINVAL ETXTBSY EBUSY EUCLEAN EBADMSG"
OF_ALL = "ENFILE EMFILE ENOMEM ENOSPC EDQUOT ENODEV ENOTCONN EHOSTDOWN ESHUTDOWN"
ERRORS = [(code, BundleUnreadable) for code in OF_ONE.split()] + [(code, SourceUnavailable) for code in OF_ALL.split()]


def failing(monkeypatch: pytest.MonkeyPatch, call: str, error: OSError, *, is_it: Callable[..., bool]) -> None:
    really = getattr(os, call)

    def fail(*about: object, **at: object) -> object:
        if is_it(*about):
            raise error
        return really(*about, **at)

    monkeypatch.setattr(os, call, fail)


@pytest.mark.parametrize(("code", "kind"), ERRORS, ids=[code for code, _ in ERRORS])
@pytest.mark.parametrize("call", ["open", "read"])
def test_an_error_of_one_file_is_its_bundles_and_one_of_the_machine_the_spools(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, code: str, kind: type[Exception], call: str
) -> None:
    bundle.write_bytes(b"# Coach\n")
    number = getattr(errno, code)
    error = OSError(number, os.strerror(number))
    is_it = (lambda path, *_: path == bundle.name) if call == "open" else (lambda *_: True)
    failing(monkeypatch, call, error, is_it=is_it)

    with pytest.raises(kind, match=os.strerror(number)):
        bundle_text(bundle)

    monkeypatch.undo()
    assert open_files_under(bundle.parent) == []


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.EACCES])
def test_an_error_of_one_file_is_the_spools_where_the_directory_fails_as_well(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    bundle.write_bytes(b"# Coach\n")
    error = OSError(code, os.strerror(code))
    failing(monkeypatch, "open", error, is_it=lambda path, *_: path == bundle.name)
    failing(monkeypatch, "scandir", error, is_it=lambda *_: True)

    with pytest.raises(SourceUnavailable, match=f"could not open the directory {bundle.parent}: {os.strerror(code)}"):
        bundle_text(bundle)


@pytest.mark.parametrize("read", [lambda file: file.read(4096), lambda file: file.read()], ids=["some", "all"])
def test_a_large_bundle_that_cannot_be_read_to_its_end_is_its_own_trouble(
    bundle: Path, read: Callable[[BinaryIO], bytes]
) -> None:
    bundle.write_bytes(b"x" * (2 << 20))

    async def steps() -> None:
        async with SpoolSource(bundle.parent, 4 << 20).open(EVENT) as opened:
            directory = os.open(bundle.parent, os.O_RDONLY)
            os.dup2(directory, opened.file.fileno())  # from here on a read fails: it is a directory
            os.close(directory)
            try:
                read(opened.file)
            except BundleUnreadable as error:
                raise StoreUnavailable("write the blob", str(error)) from error  # as a driver may wrap it

    with pytest.raises(BundleUnreadable, match=os.strerror(errno.EISDIR)):
        asyncio.run(steps())


@pytest.mark.parametrize("refusal", [StoreUnavailable("write the blob", "400 BadDigest"), BundleRefused("x", "413")])
def test_a_store_that_refuses_a_bundle_that_grew_meanwhile_is_not_to_blame(bundle: Path, refusal: Exception) -> None:
    bundle.write_bytes(b"x" * 10)
    os.utime(bundle, ns=(LONG_AGO_NS, LONG_AGO_NS))

    def grow_and_be_refused() -> None:
        bundle.write_bytes(b"x" * 20)
        raise refusal

    with pytest.raises(BundleUnsettled, match="changed while it was read"):
        bundle_text(bundle, meanwhile=grow_and_be_refused)


def test_a_spool_that_is_there_passes_its_check_and_one_that_is_not_does_not(tmp_path: Path) -> None:
    asyncio.run(SpoolSource(tmp_path, MAX_BYTES).check())

    with pytest.raises(SourceUnavailable, match="is the volume mounted"):
        asyncio.run(SpoolSource(tmp_path / "none", MAX_BYTES).check())


def open_files_under(directory: Path) -> list[str]:
    links = [os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()]
    return [target for target in links if target.startswith(str(directory))]
