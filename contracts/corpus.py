"""The conformance corpus: golden fixtures that any implementation, in any language, can be held against.

    fixtures/<subject>/<version>/
        valid/*.json      payloads that break nothing; spec-example.json is the spec's own, byte for byte
        warnings/*.json   cases that break warnings only
        invalid/*.json    cases that break errors
        wire/*.bin        hostile bytes, each with a .json beside it that says why and which rules
        bundles/*         rendered bundles; the payload of the same name in valid/ has their size

A case is `{"why", "breaks": [rule ids]}` and one of `set` (pointer: value), `remove` (pointers), both being
changes to spec-example.json, or `raw` (the payload's text). This is the one module that walks the corpus.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from contracts.errors import BadInput

_PACKAGED = Path(__file__).parent / "_fixtures"
ROOT: Final = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).parent.parent / "fixtures"
"""The corpus: inside the installed wheel, or at the top of a checkout."""

CASE_FOLDERS: Final = ("invalid", "warnings")


class Case(NamedTuple):
    """One fixture: the payload's bytes, the rules it breaks (none where valid) and why it is there."""

    path: Path
    contract: str
    raw: bytes
    breaks: frozenset[str]
    why: str

    @property
    def name(self) -> str:
        """Folder and file name without ending, as `invalid/cadence-unknown`."""
        return f"{self.path.parent.name}/{self.path.stem}"


def cases(contract: str, *folders: str) -> Iterator[Case]:
    """Yield the fixtures of `SUBJECT@VERSION` from the named folders, in the order of their names."""
    for name in folders or ("valid", "warnings", "invalid", "wire"):
        for path in sorted((folder(contract) / name).glob("*.bin" if name == "wire" else "*.json")):
            yield read_case(path)


def is_case(path: Path) -> bool:
    """Say whether a file is a case of a corpus (a change to its spec-example), not a payload."""
    return (
        path.parent.name in CASE_FOLDERS and (path.absolute().parent.parent / "valid" / "spec-example.json").is_file()
    )


def read_case(path: Path) -> Case:
    """Read one fixture, whichever folder of a corpus it is in.

    Raises:
        BadInput: the file cannot be read, or is not a case; says what a case looks like.
    """
    path = path.absolute()
    version = path.parent.parent
    contract = f"{version.parent.name}@{version.name}"
    try:
        if path.parent.name == "valid":
            return Case(path, contract, path.read_bytes(), frozenset(), "valid")
        if path.suffix == ".bin":
            case = json.loads(path.with_suffix(".json").read_bytes())
            return Case(path, contract, path.read_bytes(), frozenset(case["breaks"]), case["why"])
        case = json.loads(path.read_bytes())
        raw = case["raw"].encode() if "raw" in case else _changed(version, case)
        return Case(path, contract, raw, frozenset(case["breaks"]), case["why"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(
            f"{path} is not a fixture case: {type(error).__name__}: {error}\n"
            '  a case is {"why": …, "breaks": [rule ids], "set": {pointer: value} | "remove": [pointers] | "raw": text}'
        ) from None


def files(contract: str) -> Iterator[tuple[str, Path]]:
    """Yield (name, path) of every file in the corpus of `SUBJECT@VERSION`; the name is relative to its folder."""
    home = folder(contract)
    found = {path.relative_to(home).as_posix(): path for path in home.rglob("*") if path.is_file()}
    yield from sorted((name, path) for name, path in found.items() if "__pycache__" not in name)


def folder(contract: str) -> Path:
    """Return the folder that holds the corpus of `SUBJECT@VERSION`."""
    subject, _, version = contract.partition("@")
    return ROOT / subject / version


def _changed(version: Path, case: Mapping[str, Any]) -> bytes:
    payload = json.loads((version / "valid" / "spec-example.json").read_bytes())
    for at, value in case.get("set", {}).items():
        put(payload, at, value)
    for at in case.get("remove", ()):
        parent, key = _parent(payload, at)
        del parent[int(key) if isinstance(parent, list) else key]
    return json.dumps(payload, indent=2, ensure_ascii=False).encode()


def put(payload: Any, at: str, value: object) -> None:
    """Set a value in a payload, in place; `at` is a pointer to a key or an item, or to the place after the last."""
    parent, key = _parent(payload, at)
    if isinstance(parent, list):
        parent[int(key) : int(key) + 1] = [value]
    else:
        parent[key] = value


def _parent(payload: Any, at: str) -> tuple[Any, str]:
    *path, key = at.split("/")[1:]
    for token in path:
        payload = payload[int(token) if isinstance(payload, list) else token]
    return payload, key
