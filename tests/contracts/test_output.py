"""What an option names is written as its kind asks: nothing is destroyed, nothing is half-written."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from contracts import BadInput, output
from contracts.output import open_growing, open_output, write_output

DATA = b"# Coach\n"


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.endswith(".part")]


def test_a_new_file_has_the_mode_that_the_umask_leaves(tmp_path: Path) -> None:
    path, beside = tmp_path / "out.md", tmp_path / "beside"
    beside.touch()

    write_output(path, DATA, replace=False)

    assert path.read_bytes() == DATA
    assert path.stat().st_mode == beside.stat().st_mode
    assert not leftovers(tmp_path)


def test_a_file_that_exists_is_replaced_only_if_told_so(tmp_path: Path) -> None:
    path = tmp_path / "out.md"
    path.write_bytes(b"mine")

    with pytest.raises(BadInput, match=r"out\.md exists\n.*--force"):
        write_output(path, DATA, replace=False)
    assert path.read_bytes() == b"mine"

    write_output(path, DATA, replace=True)
    assert path.read_bytes() == DATA
    assert not leftovers(tmp_path)


def test_a_file_that_comes_while_another_is_written_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "out.md"

    with pytest.raises(BadInput, match="exists"), open_output(path, replace=False) as file:  # noqa: PT012 - what happens meanwhile
        file.write(DATA)
        path.write_bytes(b"mine")

    assert path.read_bytes() == b"mine"
    assert not leftovers(tmp_path)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755, 0o444], ids=oct)
def test_a_file_that_is_replaced_keeps_its_mode_and_owner(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "out.md"
    path.write_bytes(b"old")
    path.chmod(mode)
    if os.getuid() == 0:
        os.chown(path, 12345, 54321)
    before = path.stat()

    write_output(path, DATA, replace=True)

    after = path.stat()
    assert (stat.S_IMODE(after.st_mode), after.st_uid, after.st_gid) == (mode, before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino, "whoever has the old file open keeps it whole"


def test_nobody_sees_a_file_half_written_and_a_failure_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "out.md"
    path.write_bytes(b"old")

    with pytest.raises(ZeroDivisionError), open_output(path, replace=True) as file:  # noqa: PT012 - what happens meanwhile
        file.write(DATA)
        file.flush()
        assert path.read_bytes() == b"old"
        raise ZeroDivisionError

    assert path.read_bytes() == b"old"
    assert not leftovers(tmp_path)


@pytest.mark.parametrize("is_there", [True, False], ids=["to a file", "to nothing yet"])
def test_links_are_followed_and_stay_links(*, is_there: bool, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    target, link, outer = tmp_path / "elsewhere" / "real.md", tmp_path / "link", tmp_path / "outer"
    link.symlink_to("elsewhere/real.md")
    outer.symlink_to(link)
    if is_there:
        target.write_bytes(b"old")

    write_output(outer, DATA, replace=is_there)

    assert target.read_bytes() == DATA
    assert (outer.readlink(), link.readlink()) == (link, Path("elsewhere/real.md"))
    assert not leftovers(tmp_path)
    assert not leftovers(tmp_path / "elsewhere")


def test_a_link_to_a_file_that_exists_is_no_way_around_force(tmp_path: Path) -> None:
    (tmp_path / "real.md").write_bytes(b"mine")
    (tmp_path / "link").symlink_to("real.md")

    with pytest.raises(BadInput, match="link exists"):
        write_output(tmp_path / "link", DATA, replace=False)


def test_a_circle_of_links_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")

    with pytest.raises(BadInput, match="Too many levels of symbolic links"):
        write_output(tmp_path / "a", DATA, replace=True)


@pytest.mark.parametrize("replace", [True, False])
@pytest.mark.parametrize("through_link", [True, False])
def test_a_pipe_is_written_into_and_stays_a_pipe(*, replace: bool, through_link: bool, tmp_path: Path) -> None:
    pipe, link, read = tmp_path / "pipe", tmp_path / "link", []
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()

    write_output(link if through_link else pipe, DATA, replace=replace)

    reader.join()
    assert read == [DATA]
    assert pipe.is_fifo()


def test_a_device_is_written_into_and_stays_a_device() -> None:
    write_output("/dev/null", DATA, replace=False)

    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/proc/self/fd/1", "link"])
def test_standard_output_is_written_on_whatever_it_is(name: str, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/dev/stdout")
    code = f"from contracts.output import write_output; write_output({name!r}, b'two', replace=False)"
    script = f'printf one; "{sys.executable}" -c "{code}"; printf three'

    with (tmp_path / "out").open("wb") as file:
        subprocess.run(["sh", "-c", script], stdout=file, cwd=tmp_path, check=True)

    assert (tmp_path / "out").read_bytes() == b"onetwothree"


@pytest.mark.parametrize("name", ["", ".", "folder", "folder/", "new/"])
def test_a_directory_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()

    for refused in (open_output(name, replace=True), open_growing(name)):
        with pytest.raises(BadInput, match="Is a directory"), refused:
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_socket_is_refused(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))

        with pytest.raises(BadInput, match="Is a socket"):
            write_output(tmp_path / "socket", DATA, replace=True)


@pytest.mark.parametrize(
    ("name", "why"),
    [("no/such/folder.md", "No such file or directory"), ("file/below", "Not a directory"), ("x" * 256, "too long")],
)
def test_what_cannot_be_written_says_why(name: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    for refused in (open_output(tmp_path / name, replace=True), open_growing(tmp_path / name)):
        with pytest.raises(BadInput, match=why), refused:
            pass


def test_the_longest_name_there_can_be_is_written(tmp_path: Path) -> None:
    write_output(tmp_path / ("x" * 255), DATA, replace=False)

    assert (tmp_path / ("x" * 255)).read_bytes() == DATA


def test_a_file_in_a_directory_that_takes_no_other_is_written_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.md"
    path.write_bytes(b"a longer one that was there")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:  # root may write everywhere
        patched.setattr(output, "_draft", refuse)
        write_output(path, DATA, replace=True)
    assert path.read_bytes() == DATA

    with monkeypatch.context() as patched:  # a file that is mounted alone
        patched.setattr(Path, "replace", refuse)
        write_output(path, DATA * 2, replace=True)
    assert path.read_bytes() == DATA * 2
    assert not leftovers(tmp_path)


def test_a_recording_grows_in_place_and_never_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "captures.jsonl"
    (tmp_path / "link").symlink_to(path)

    with pytest.raises(KeyboardInterrupt), open_growing(tmp_path / "link") as file:  # noqa: PT012 - what happens meanwhile
        file.write(DATA)
        file.flush()
        assert path.read_bytes() == DATA
        raise KeyboardInterrupt

    assert path.read_bytes() == DATA
    with pytest.raises(BadInput, match="exists"), open_growing(path):
        pass


def test_a_recording_of_nothing_leaves_no_file(tmp_path: Path) -> None:
    with open_growing(tmp_path / "captures.jsonl"):
        pass

    assert not list(tmp_path.iterdir())
