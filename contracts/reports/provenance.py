"""Where a report comes from: tool version, digests of contracts and fixtures, paths that others can open."""

from __future__ import annotations

import os
from pathlib import Path

from contracts.model.violation import printable
from contracts.rules.registry import load_contract


def tool_version() -> str:
    """Return the version of this distribution."""
    from importlib.metadata import version  # noqa: PLC0415 - 26 ms that a text report does not need

    return version("kaizen-event-kit")


def place(path: Path) -> tuple[str, bool]:
    """Return (path with slashes, whether it is relative).

    Relative to the checkout that CI names in GITHUB_WORKSPACE, or else to the working directory, since that is
    how annotations and code scanning find a file; absolute only outside both.
    """
    # normpath, not resolve: a symbolic link in the checkout is a file of the checkout.
    absolute = Path(os.path.normpath(Path.cwd() / path))
    for base in (os.environ.get("GITHUB_WORKSPACE"), Path.cwd()):
        if base and absolute.is_relative_to(base):
            return absolute.relative_to(base).as_posix(), True
    return absolute.as_posix(), False


def shown_path(path: Path) -> str:
    """Return a path as `place` does, printable."""
    return printable(place(path)[0])


class Digests:
    """SHA-256 digests, in hex, of what a run used; each is computed once while it is asked for in a row."""

    def __init__(self) -> None:
        self.contracts: dict[str, str] = {}
        self._last: tuple[Path | None, str | None] = (None, None)

    def contract(self, name: str) -> str:
        """Return the digest over the files of `SUBJECT@VERSION`, and keep it in `contracts`."""
        if name not in self.contracts:
            self.contracts[name] = load_contract(name).digest()
        return self.contracts[name]

    def fixture(self, path: Path) -> str | None:
        """Return the digest of a file; None where it is no regular file, such as a pipe that was read."""
        import hashlib  # noqa: PLC0415 - 2 ms that a text report does not need

        if self._last[0] != path:
            digest = None
            if path.is_file():
                with path.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
            self._last = (path, digest)
        return self._last[1]
