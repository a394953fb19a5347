"""Payloads as they come: files, directories, patterns, standard input; compressed or not; one each or one a line."""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from io import BufferedReader
from pathlib import Path
from typing import IO, Any, Final, NamedTuple, cast

from contracts.errors import BadInput, KitError, NothingChecked
from contracts.fixtures.corpus import is_case, is_description
from contracts.model.strict_json import wide_encoding
from contracts.model.violation import printable

MOST_BYTES: Final = 1 << 23
"""A payload is read no further: eight times what a NATS server takes by default."""

PIECE_BYTES: Final = 1 << 16
"""How many bytes of lines are checked, and travel to another process, together."""
_PLAIN: Final = (".json", ".jsonl", ".ndjson")
_LINES: Final = _PLAIN[1:]
_PACKED: Final = {b"\x1f\x8b": ".gz", b"\x28\xb5\x2f\xfd": ".zst"}
_UNPACK: Final = {".gz": "gzip -dc", ".zst": "zstd -dc"}


class Unit(NamedTuple):
    """A payload: a file or one line of it; or, with `lines`, those lines, of which `line` is the first.

    `path` is None for standard input. `is_cut` is True where `raw` is only the start of something too long.
    """

    file: str
    path: Path | None
    line: int | None = None
    raw: bytes = b""
    lines: list[bytes] | None = None
    is_cut: bool = False
    unpack: str = ""

    @property
    def source(self) -> str:
        """What reports call the payload."""
        name = self.file if self.path else "<stdin>"
        return f"{name}:{self.line}" if self.line else name

    def payloads(self) -> Iterator[Unit]:
        """Yield what is checked as one payload each."""
        if self.lines is None:
            yield self
            return
        for number, raw in enumerate(self.lines, self.line or 1):
            if raw.strip():
                yield self._replace(line=number, raw=raw, lines=None)


def find_units(files: Iterable[str], *, by_line: bool) -> Iterator[Unit | KitError]:
    """Yield what there is to check, in order; an error stands where something cannot be read.

    A directory stands for the .json, .jsonl and .ndjson files in it, at any depth; hidden ones are skipped. A name
    that no file has, and that holds `*`, `?` or `[`, is a pattern. `by_line` reads every file as one payload a line;
    otherwise that is done for .jsonl and .ndjson, and for a text that can only be JSON Lines.
    """
    for file in files:
        if file == "-":
            yield from _guarded(file, None, by_line=by_line)
            continue
        for each in _expanded(file):
            if isinstance(each, KitError):
                yield each
            else:
                yield from _guarded(str(each) if each != Path(file) else file, each, by_line=by_line)


def _expanded(file: str) -> Iterator[Path | KitError]:
    path = Path(file)
    if os.path.isdir(file):  # noqa: PTH112 - False where Path raises: a name may be too long
        yield from _inside(path)
    elif not os.path.lexists(file) and any(letter in file for letter in "*?["):
        import glob

        found = sorted(glob.glob(file, recursive=True))  # noqa: PTH207 - a pattern may be absolute
        if not found:
            yield BadInput(f"cannot read {printable(file)}: no file matches this pattern")
        for each in found:
            yield from _inside(Path(each)) if os.path.isdir(each) else [Path(each)]  # noqa: PTH112
    else:
        yield path


def _inside(folder: Path) -> Iterator[Path | KitError]:
    errors: list[OSError] = []
    found = [
        Path(parent, name)
        for parent, folders, names in os.walk(folder, onerror=errors.append)
        for name in (*names, *_visible_only(folders))
        if _is_wanted(Path(parent, name))
    ]
    yield from sorted(found)
    yield from (_unreadable(str(error.filename or folder), error) for error in errors)
    if not found and not errors:
        yield NothingChecked(
            f"nothing was checked in {printable(str(folder))}: it holds no payload\n"
            "  expected .json, .jsonl or .ndjson files, at any depth, also as .gz or .zst"
        )


def _visible_only(folders: list[str]) -> list[str]:
    """Keep `os.walk` out of hidden directories; there is no file in what is returned."""
    folders[:] = [name for name in folders if not name.startswith(".")]
    return []


def _is_wanted(path: Path) -> bool:
    name = path.name.removesuffix(".gz").removesuffix(".zst")
    if path.name.startswith(".") or not (name.endswith(_PLAIN) or is_case(path)) or is_description(path):
        return False
    # A link to nothing is reported; a pipe or a device would keep the run waiting.
    return os.path.isfile(path) or not os.path.exists(path)  # noqa: PTH110, PTH113


def _guarded(file: str, path: Path | None, *, by_line: bool) -> Iterator[Unit | KitError]:
    try:
        yield from _read(file, path, by_line=by_line)
    except KitError as error:
        yield error
    except Exception as error:
        if not isinstance(error, OSError | EOFError | ValueError | zlib.error) and not _is_of_zstd(error):
            raise
        yield _unreadable(file if path else "standard input", error)


def _unreadable(name: str, error: Exception) -> BadInput:
    return BadInput(f"cannot read {printable(name)}: {getattr(error, 'strerror', None) or error}")


def _read(file: str, path: Path | None, *, by_line: bool) -> Iterator[Unit]:
    with path.open("rb") if path else nullcontext(sys.stdin.buffer) as opened:
        stream, packed = _unpacked(opened if hasattr(opened, "peek") else BufferedReader(cast("Any", opened)), file)
        whole = Unit(file, path, unpack=_UNPACK.get(packed, ""))
        is_wide = wide_encoding(stream.peek(4)) is not None
        if not is_wide and (by_line or file.removesuffix(packed).endswith(_LINES)):
            yield from _lines(whole, stream, b"")
            return
        raw = _read_at_most(stream, MOST_BYTES + 1)
        if not is_wide and not (path and is_case(path)) and _is_json_lines(raw):
            yield from _lines(whole, stream, raw)
        elif path or raw.strip():
            yield whole._replace(raw=raw, is_cut=len(raw) > MOST_BYTES)


def _read_at_most(stream: IO[bytes], count: int) -> bytes:
    pieces = []
    while count > 0 and (piece := stream.read(count)):
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)


def _unpacked(stream: Any, file: str) -> tuple[Any, str]:
    """Return the stream without its compression, which its first bytes name, and the ending of such files."""
    head = stream.peek(4)[:4]
    packed = next((ending for mark, ending in _PACKED.items() if head.startswith(mark)), "")
    if packed == ".gz":
        import gzip

        return gzip.GzipFile(fileobj=stream), packed
    if packed == ".zst":
        try:
            if sys.version_info >= (3, 14):
                from compression import zstd
            else:
                from backports import zstd
        except ModuleNotFoundError:
            raise BadInput(
                f"cannot read {printable(file)}: zstd needs a package that is not installed\n"
                "  pip install 'kaizen-event-kit[archiver]'"
            ) from None
        return zstd.ZstdFile(stream), packed
    return stream, ""


def _is_of_zstd(error: Exception) -> bool:
    return type(error).__module__.endswith("zstd")  # which may not be installed


def _is_json_lines(raw: bytes) -> bool:
    """Return whether a text can only be JSON Lines: most of its first lines are objects."""
    lines = [line for line in (each.strip() for each in raw.split(b"\n", 200)[:200]) if line]
    objects = sum(line.startswith(b"{") and line.endswith(b"}") for line in lines)
    return objects > 1 and objects * 2 >= len(lines)


def _lines(whole: Unit, stream: IO[bytes], head: bytes) -> Iterator[Unit]:
    """Yield the lines in pieces, as soon as they arrive; of a line that is too long, its start."""
    read = cast("Any", stream).read1
    number, rest, skipping = 1, b"", False
    while data := head or read(PIECE_BYTES):
        head = b""
        *lines, rest = (rest + data).split(b"\n")
        if skipping and lines:
            lines, skipping = [b"", *lines[1:]], False
        if lines:
            yield whole._replace(line=number, lines=lines)
            number += len(lines)
        if skipping:
            rest = b""
        elif len(rest) > MOST_BYTES:
            yield whole._replace(line=number, raw=rest, is_cut=True)
            rest, skipping = b"", True
    if rest:
        yield whole._replace(line=number, lines=[rest])
