"""Find the configuration: `contracts.toml`, or `[tool.contracts]` in `pyproject.toml`.

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
        raw = path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror or error}") from None
    marks = {"\ufeff".encode(name): name for name in ("utf-8", "utf-16-le", "utf-16-be")}
    if name := next((name for mark, name in marks.items() if raw.startswith(mark)), None):
        raise BadInput(
            f"{path} starts with a byte order mark ({name.upper()}), which TOML does not allow\n"
            "  save it as UTF-8 without BOM"
        )
    try:
        return raw.decode().replace("\r\n", "\n")
    except UnicodeError as error:
        raise BadInput(f"cannot read {path}: {error}") from None


def parse_toml(text: str, path: Path | str) -> dict[str, Any]:
    """Parse TOML; `path` is what an error calls it.

    Raises:
        BadInput: it is not TOML; names the line.
    """
    import tomllib  # noqa: PLC0415 - only where there is something to read

    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also numbers of thousands of digits, and deep nesting
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
