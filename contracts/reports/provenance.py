"""Where a report comes from: tool version, digests of contracts and fixtures, paths that its readers can open."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from contracts.model.violation import printable
from contracts.rules.registry import load_contract

if TYPE_CHECKING:
    from contracts.verdict.findings import Finding

_STAND_INS: Final = ("contracts.toml", "pyproject.toml", "README.md")


def tool_version() -> str:
    """Return the version of this distribution."""
    from importlib.metadata import version  # noqa: PLC0415 - 26 ms that a text report does not need

    return version("kaizen-event-kit")


def place(path: Path) -> tuple[str, bool]:
    """Return (path with slashes, whether it is relative).

    Relative to the checkout that CI names in GITHUB_WORKSPACE, otherwise to the working directory, since that is
    how annotations and code scanning find a file; absolute only outside both.
    """
    return _place(path, _working_directory(), os.environ.get("GITHUB_WORKSPACE", ""))


@lru_cache(maxsize=64)
def _place(path: Path, here: Path | None, workspace: str) -> tuple[str, bool]:
    # normpath first, not realpath: a symbolic link in the checkout is a file of the checkout.
    absolute = Path(os.path.normpath(here / path if here else path))
    if not absolute.is_absolute():
        return absolute.as_posix(), False
    real = Path(os.path.realpath(absolute.parent)) / absolute.name
    for base in (Path(workspace) if Path(workspace).is_absolute() else None, here):
        if base is None:
            continue
        named, there = Path(os.path.normpath(base)), Path(os.path.realpath(base))
        for file, folder in ((absolute, named), (absolute, there), (real, there)):
            if file.is_relative_to(folder):
                return file.relative_to(folder).as_posix(), True
    return absolute.as_posix(), False


def shown_path(path: Path) -> str:
    """Return a path as `place` does, printable."""
    return printable(place(path)[0])


class Location(NamedTuple):
    """A line of a file in the checkout; `is_stand_in` is True where the finding is about something else."""

    path: str
    line: int
    is_stand_in: bool


def location(finding: Finding) -> Location:
    """Return where in the checkout to show a finding, for readers that refuse one without such a place.

    What came from a pipe, from an emitter or from outside the checkout stands at line 1 of the configuration file.
    """
    if finding.fixture:
        path, is_relative = place(finding.fixture)
        if is_relative:
            return Location(path, finding.fixture_line or 1, is_stand_in=False)
    return _stand_in(_working_directory(), os.environ.get("GITHUB_WORKSPACE", ""))


@lru_cache(maxsize=1)
def _stand_in(here: Path | None, workspace: str) -> Location:
    there = next((each for each in _STAND_INS if here and os.path.isfile(here / each)), _STAND_INS[0])  # noqa: PTH113
    path, is_relative = _place(Path(there), here, workspace)
    return Location(path if is_relative else there, 1, is_stand_in=True)


def _working_directory() -> Path | None:
    try:
        return Path.cwd()
    except OSError:  # it was deleted
        return None


class Digests:
    """SHA-256 digests, in hex, of what a run used. That of a file is kept while the same file is asked for."""

    def __init__(self) -> None:
        self.contracts: dict[str, str] = {}
        self._last: tuple[Path | None, str | None] = (None, None)

    def contract(self, name: str) -> str:
        """Return the digest over the files of `SUBJECT@VERSION`, and keep it in `contracts`."""
        if name not in self.contracts:
            self.contracts[name] = load_contract(name).digest()
        return self.contracts[name]

    def fixture(self, path: Path) -> str | None:
        """Return the digest of a file; None where it is no regular file, such as a pipe, or cannot be read any more."""
        if self._last[0] != path:
            self._last = (path, _digest(path))
        return self._last[1]


def _digest(path: Path) -> str | None:
    import hashlib  # noqa: PLC0415 - 2 ms that a text report does not need

    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return None
