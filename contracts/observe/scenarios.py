"""Scenarios: an input checkout, arguments, and the golden event that an emitter must produce from them.

scenarios/<name>/
scenario.json   {"why", "repo", "agent", "cadence", "format", "root_name"?}
checkout/       what the emitter is given, as a private copy named `root_name`
event.json      the golden event, with the `root` that it was recorded with
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from contracts.errors import BadInput
from contracts.fixtures.corpus import ROOT


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario on disk."""

    folder: Path
    why: str
    repo: str
    agent: str
    cadence: str
    format: str
    root_name: str

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def golden_path(self) -> Path:
        """Where the golden event is, or should be."""
        return self.folder / "event.json"


@dataclass(frozen=True, slots=True)
class Stage:
    """A scenario made ready for one run: `root` is the private copy, `scratch` an empty private directory."""

    scenario: Scenario
    root: Path
    scratch: Path

    def placeholders(self) -> Mapping[str, str]:
        """What `{agent}` and the others stand for in a command."""
        scenario = self.scenario
        return {
            "agent": scenario.agent,
            "root": str(self.root),
            "cadence": scenario.cadence,
            "format": scenario.format,
            "repo": scenario.repo,
            "scratch": str(self.scratch),
        }


def load_scenarios(contract: str, folder: Path | None = None, names: tuple[str, ...] = ()) -> list[Scenario]:
    """Load scenarios from a folder, by default those that ship with `SUBJECT@VERSION`.

    Raises:
        BadInput: no such folder or scenario, or one that cannot be read; shows the expected layout.
    """
    subject, _, version = contract.partition("@")
    place = folder or ROOT / subject / version / "scenarios"
    if not place.is_dir():
        raise BadInput(f"there is no folder of scenarios at {place}")
    found = [_load(path) for path in sorted(place.iterdir()) if path.is_dir()]
    unknown = set(names) - {scenario.name for scenario in found}
    if unknown or not found:
        known = ", ".join(scenario.name for scenario in found) or "none"
        raise BadInput(f"no scenario {', '.join(sorted(unknown)) or 'at all'} in {place}\n  there: {known}")
    return [scenario for scenario in found if not names or scenario.name in names]


@contextmanager
def staged(scenario: Scenario) -> Iterator[Stage]:
    """Give the emitter a private copy of the checkout, and take everything away afterwards."""
    with tempfile.TemporaryDirectory(prefix="contracts-") as home:
        # Resolved: the emitter reports the real path, and /tmp may be a link.
        base = Path(home).resolve()
        root, scratch = base / "given" / scenario.root_name, base / "scratch"
        shutil.copytree(scenario.folder / "checkout", root)
        scratch.mkdir()
        yield Stage(scenario, root, scratch)


def _load(folder: Path) -> Scenario:
    path = folder / "scenario.json"
    try:
        told = json.loads(path.read_bytes())
        if not (folder / "checkout").is_dir():
            raise BadInput(f"scenario {folder} has no checkout/")
        names = ("why", "repo", "agent", "cadence", "format")
        return Scenario(
            folder=folder,
            **{name: _text(told[name]) for name in names},
            root_name=_name(told.get("root_name", "checkout")),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"{path} is not a scenario: {type(error).__name__}: {error}\n"
            '  expected {"why", "repo", "agent", "cadence", "format"} and, if it matters, "root_name"'
        ) from None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("each value is a string")
    return value


def _name(value: object) -> str:
    """Read what the checkout is to be called; a path would put it elsewhere."""
    name = _text(value)
    if name in {"", ".", ".."} or "/" in name or "\0" in name:
        raise ValueError(f"root_name {name!r} is not the name of a directory")
    return name
