"""What the configuration file says: what a team would otherwise type after `contracts`.

`contracts.schema.json` says what may stand in it; `contracts.config.discovery` finds it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from contracts.config.discovery import find_config_file, parse_toml, read_text
from contracts.errors import BadInput
from contracts.model.did_you_mean import nearest
from contracts.model.violation import show

SCHEMA_FILE: Final = Path(__file__).parent / "contracts.schema.json"
"""JSON Schema 2020-12 of the configuration, for editors and for this module."""

Table = TypeVar("Table")

_VARIABLE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_KINDS: Final[Mapping[str, tuple[type | tuple[type, ...], str]]] = {
    "string": (str, "text"),
    "integer": (int, "a whole number"),
    "number": ((int, float), "a number"),
    "array": (list, "a list"),
    "object": (dict, "a table"),
}


@dataclass(frozen=True, slots=True)
class EmitterConfig:
    """One `[emitters.NAME]` table; None where the file says nothing. `timeout` is in seconds.

    `contracts.schema.json` describes each key.
    """

    uri: str
    program: str | None = None
    trigger: str | None = None
    count: int | None = None
    correlate: str | None = None
    timeout: float | None = None
    scenarios: str | None = None
    stream: str | None = None
    openapi: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TargetConfig:
    """One `[targets.NAME]` table: a place that replays may go to; None or empty where the file says nothing.

    `contracts.schema.json` describes each key. `url` and `headers` may hold credentials.
    """

    url: str = field(repr=False)
    stream: str | None = None
    prefix: str | None = None
    creds: str | None = None
    nkey: str | None = None
    ca: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Config:
    """What the configuration file says, checked; None or empty where it says nothing.

    `path` is the file, None where there is none. Paths in it are relative to its folder: see `resolve`.
    """

    path: Path | None = None
    contract: str | None = None
    profile: str | None = None
    fail_on: str | None = None
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    waivers: str | None = None
    reports: tuple[str, ...] = ()
    emitters: Mapping[str, EmitterConfig] = field(default_factory=dict)
    targets: Mapping[str, TargetConfig] = field(default_factory=dict)

    def resolve(self, path: str) -> Path:
        """Return a path that the file names, seen from the working directory."""
        return self.path.parent / path if self.path else Path(path)

    def emitter(self, name: str, environment: Mapping[str, str]) -> EmitterConfig:
        """Return an emitter with its `${NAME}`s filled from the environment.

        Only here, so that nobody needs the variables of an emitter that is not observed.

        Raises:
            BadInput: no such emitter (names the nearest), or variables that are not set.
        """
        emitter = self._named("emitter", name, self.emitters)
        values = {key: getattr(emitter, key) for key in EmitterConfig.__slots__}
        return replace(emitter, **_substituted(values, environment, f"{self.path}: emitters.{name}"))

    def target(self, name: str, environment: Mapping[str, str]) -> TargetConfig:
        """Return a target with its `${NAME}`s filled from the environment, its credentials by that.

        Raises:
            BadInput: no such target (names the nearest), or variables that are not set.
        """
        target = self._named("target", name, self.targets)
        values = {key: getattr(target, key) for key in TargetConfig.__slots__}
        return replace(target, **_substituted(values, environment, f"{self.path}: targets.{name}"))

    def _named(self, kind: str, name: str, tables: Mapping[str, Table]) -> Table:
        if name in tables:
            return tables[name]
        near = nearest(name, tables)
        raise BadInput(
            f"no {kind} {name!r} in {self.path or 'a configuration file: there is none'}"
            + (f"; did you mean {near!r}?" if near else "")
            + f"\n  known: {', '.join(tables) or 'none'}"
        )


def find_config(start: Path, environment: Mapping[str, str]) -> Config:
    """Read the nearest configuration file from the folder `start` upwards, or return a `Config` that says nothing.

    Raises:
        BadInput: it cannot be used; says everything that is wrong with it.
    """
    path = find_config_file(start)
    return read_config(path, environment) if path else Config()


def read_config(path: Path, environment: Mapping[str, str]) -> Config:
    """Read one configuration file: `contracts.toml`, or `pyproject.toml` by its name.

    Raises:
        BadInput: it cannot be used; says everything that is wrong with it.
    """
    return parse_config(read_text(path), path, environment)


def parse_config(text: str, path: Path, environment: Mapping[str, str]) -> Config:
    """Read the text of `contracts.toml`, or of `pyproject.toml` by its name.

    Raises:
        BadInput: unknown keys with the nearest known one, wrong types, unset variables: every problem at once.
    """
    document: Any = parse_toml(text, path)
    if path.name == "pyproject.toml":
        tool = document.get("tool")
        document = tool.get("contracts", {}) if isinstance(tool, dict) else {}
    problems = list(_problems(document, json.loads(SCHEMA_FILE.read_bytes()), ""))
    if problems:
        listed = "\n  ".join(problems)
        raise BadInput(f"{path} cannot be used:\n  {listed}\n  every key: contracts schema config")
    emitters = {name: EmitterConfig(**table) for name, table in document.pop("emitters", {}).items()}
    targets = {name: TargetConfig(**table) for name, table in document.pop("targets", {}).items()}
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in document.items()}
    return Config(path=path, emitters=emitters, targets=targets, **_substituted(values, environment, str(path)))


def _problems(value: object, schema: Mapping[str, Any], at: str) -> Iterator[str]:
    """Hold a value against the part of JSON Schema that `contracts.schema.json` uses."""
    kind, phrase = _KINDS[schema["type"]]
    if not isinstance(value, kind) or isinstance(value, bool):
        yield f"{at or 'the document'}: found {show(value)}, expected {phrase}"
    elif isinstance(value, dict):
        yield from _table_problems(value, schema, at)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _problems(item, schema["items"], f"{at}[{index}]")
    elif isinstance(value, str) and value not in schema.get("enum", [value]):
        near = nearest(value, schema["enum"])
        hint = f"; did you mean {near!r}?" if near else ""
        yield f"{at}: found {show(value)}, expected one of {', '.join(schema['enum'])}{hint}"
    elif isinstance(value, int | float):
        if "minimum" in schema and not value >= schema["minimum"]:
            yield f"{at}: found {show(value)}, expected at least {schema['minimum']}"
        if "exclusiveMinimum" in schema and not value > schema["exclusiveMinimum"]:
            yield f"{at}: found {show(value)}, expected more than {schema['exclusiveMinimum']}"


def _table_problems(table: Mapping[str, Any], schema: Mapping[str, Any], at: str) -> Iterator[str]:
    known, others = schema.get("properties", {}), schema["additionalProperties"]
    for name, item in table.items():
        inside = f"{at}.{name}" if at else name
        if name in known:
            yield from _problems(item, known[name], inside)
        elif others:
            yield from _problems(item, others, inside)
        else:
            near = nearest(name, known)
            yield f"unknown key {inside!r}" + (f"; did you mean {near!r}?" if near else f"; known: {', '.join(known)}")
    for name in schema.get("required", ()):
        if name not in table:
            yield f"no {f'{at}.{name}'!r}; expected {known[name]['description']}"


def _substituted(values: Mapping[str, Any], environment: Mapping[str, str], where: str) -> dict[str, Any]:
    unset: dict[str, None] = {}

    def variable(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return "${"
        if name not in environment:
            unset[name] = None
        return environment.get(name, "")

    def fill(value: Any) -> Any:
        match value:
            case str():
                return _VARIABLE.sub(variable, value)
            case tuple():
                return tuple(fill(each) for each in value)
            case dict():
                return {name: fill(each) for name, each in value.items()}
            case _:
                return value

    filled = {name: fill(value) for name, value in values.items()}
    if unset:
        listed = ", ".join(f"${{{name}}}" for name in unset)
        raise BadInput(f"{where} names variables that are not set: {listed}\n  set them, or write $${{ for a plain ${{")
    return filled
