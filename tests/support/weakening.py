"""Copies of the contracts and their corpus that a test may take something out of."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from contracts import checker
from contracts.fixtures import corpus
from contracts.rules import registry

Change = Callable[[dict[str, Any], list[str]], None]
"""Gets the schema and the blocks of contract.toml, and may change both."""


def own_corpus(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy the corpus into a folder, and let all of `contracts` read that one for the rest of the test."""
    shutil.copytree(corpus.ROOT, folder / "fixtures")
    monkeypatch.setattr(corpus, "ROOT", folder / "fixtures")
    return folder / "fixtures"


def weaken(contract: str, change: Change, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Change a copy of a contract, and let all of `contracts` read that one for the rest of the test."""
    shutil.copytree(registry.SPECS, folder / "specs")
    home = folder / "specs" / contract.replace("@", "/")
    schema = json.loads((home / "schema.json").read_bytes())
    blocks = (home / "contract.toml").read_text("utf-8").split("\n\n")
    change(schema, blocks)
    (home / "schema.json").write_text(json.dumps(schema), "utf-8")
    (home / "contract.toml").write_text("\n\n".join(blocks), "utf-8")
    monkeypatch.setattr(registry, "SPECS", folder / "specs")
    for module, name in ((registry, "_load"), (checker, "_declared"), (checker, "_validator")):
        monkeypatch.setattr(module, name, cache(getattr(module, name).__wrapped__))


def without_rule(rule: str) -> Change:
    """Return a change that takes one rule out: the keyword from the schema, or the block from contract.toml."""
    path, _, keyword = rule.rpartition("/")

    def change(schema: dict[str, Any], blocks: list[str]) -> None:
        kept = [block for block in blocks if f'id = "{rule}"' not in block]
        if len(kept) < len(blocks):
            blocks[:] = kept
            return
        *parents, last = path.replace("[]", ".[]").split(".")
        for name in parents if keyword == "required" else [*parents, last]:
            if name != "payload":
                schema = schema["items"] if name == "[]" else schema["properties"][name]
        if keyword == "required":
            schema["required"].remove(last)
        else:
            del schema[keyword]

    return change
