"""Where the configuration is: `contracts.toml`, or `[tool.contracts]` in `pyproject.toml`.

The nearest one from the working directory up to the repository's root counts, and no further: it names programs
to run, and above the repository anybody may have put it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from contracts.errors import BadInput


def find_config_file(start: Path) -> Path | None:
    """Return the nearest configuration file from the folder `start` upwards, or None.

    Raises:
        BadInput: a file on the way cannot be read.
    """
    for folder in _up_to_the_repository(start):
        own, shared = folder / "contracts.toml", folder / "pyproject.toml"
        if own.is_file():
            return own
        if shared.is_file() and _is_shared(shared):
            return shared
    return None


def read_text(path: Path) -> str:
    """Read a text file in UTF-8.

    Raises:
        BadInput: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeError) as error:
        raise BadInput(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None


def parse_toml(text: str, path: Path | str) -> dict[str, Any]:
    """Parse TOML; `path` is what an error calls it.

    Raises:
        BadInput: it is not TOML; says where.
    """
    import tomllib  # noqa: PLC0415 - only where there is something to read

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{path} is not TOML: {error}") from None


def _up_to_the_repository(start: Path) -> list[Path]:
    folders = [start, *start.parents]
    for number, folder in enumerate(folders, 1):
        if (folder / ".git").exists():
            return folders[:number]
    return [start]


def _is_shared(path: Path) -> bool:
    text = read_text(path)
    if "contracts" not in text:
        return False
    tool = parse_toml(text, path).get("tool")
    return isinstance(tool, dict) and "contracts" in tool
