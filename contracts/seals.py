"""Seals: the digest of every file of a corpus, so that no golden fixture changes without somebody saying so.

`SEALS.json` stands in the folder of a contract's version: file name -> SHA-256 of its bytes, sorted by name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from contracts.corpus import files, folder
from contracts.errors import BadInput, NothingChecked

FILE: Final = "SEALS.json"


@dataclass(frozen=True, slots=True)
class Breach:
    """A file that is not as it was sealed: edited, missing (but sealed) or unsealed (but there)."""

    name: str
    what: str


def seal(contract: str) -> int:
    """Write the seals of `SUBJECT@VERSION` anew; returns how many files are sealed.

    Raises:
        NothingChecked: the contract has no fixtures.
    """
    seals = _digests(contract)
    document = {
        "about": "written by `contracts fixtures seal`, compared by `contracts fixtures verify`",
        "sha256": seals,
    }
    (folder(contract) / FILE).write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return len(seals)


def breaches(contract: str) -> list[Breach]:
    """Compare every file of the corpus of `SUBJECT@VERSION` with its seal; in the order of the names.

    Raises:
        NothingChecked: the contract has no fixtures.
        BadInput: there are no seals, or they cannot be read.
    """
    path = folder(contract) / FILE
    found = _digests(contract)
    try:
        sealed: dict[str, str] = json.loads(path.read_bytes())["sha256"]
        names = sorted(found.keys() | sealed.keys())
    except FileNotFoundError:
        raise BadInput(f"{contract} has no seals: {path} is not there\n  write them: contracts fixtures seal") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(
            f"{path} cannot be read as seals: {type(error).__name__}: {error}\n"
            "  put it back from version control, or write it anew: contracts fixtures seal"
        ) from None
    return [Breach(name, what) for name in names if (what := _breach(name, found, sealed))]


def _breach(name: str, found: Mapping[str, str], sealed: Mapping[str, str]) -> str | None:
    if name not in found:
        return "missing"
    if name not in sealed:
        return "unsealed"
    return "edited" if found[name] != sealed[name] else None


def _digests(contract: str) -> dict[str, str]:
    digests = {name: sha256(path.read_bytes()).hexdigest() for name, path in files(contract) if name != FILE}
    if not digests:
        raise NothingChecked(f"{contract} has no fixtures in {folder(contract)}")
    return digests
