"""The values of the configuration file: what a team would otherwise type after `contracts`.

`contracts.schema.json` describes it; `contracts.config.discovery` finds it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, time
from functools import reduce
from itertools import accumulate
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

from contracts.config.discovery import find_config_file, parse_toml, read_text
from contracts.errors import BadInput
from contracts.model.did_you_mean import nearest
from contracts.model.violation import show

if TYPE_CHECKING:
    import jsonschema_rs

SCHEMA_FILE: Final = Path(__file__).parent / "contracts.schema.json"
"""JSON Schema 2020-12 of the configuration, for editors and for this module."""

Table = TypeVar("Table")

_VARIABLE: Final = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_URL: Final = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.-]*)://")
_LOGIN: Final = re.compile(r"\s*(?:[A-Za-z][A-Za-z0-9+.-]*://)?(?P<login>[^/?#]*)@")
_URLS: Final = frozenset({"url", "uri"})
_PHRASES: Final = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "array": "a list",
    "object": "a table",
}


@dataclass(frozen=True, slots=True)
class EmitterConfig:
    """One `[emitters.NAME]` table; None where a key is not set. `timeout` is in seconds.

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
    """One `[targets.NAME]` table: a place that replays may go to; None or empty where a key is not set.

    `contracts.schema.json` describes each key. `url` and `headers` may hold credentials.
    """

    url: str = field(repr=False)
    stream: str | None = None
    prefix: str | None = None
    context: str | None = None
    creds: str | None = None
    nkey: str | None = None
    ca: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Config:
    """The configuration, validated; None or empty where a key is not set.

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
    """Read the nearest configuration file from the folder `start` upwards, or return an empty `Config`.

    Raises:
        BadInput: it cannot be used; lists every problem.
    """
    path = find_config_file(start)
    return read_config(path, environment) if path else Config()


def read_config(path: Path, environment: Mapping[str, str]) -> Config:
    """Read one configuration file: `contracts.toml`, or `pyproject.toml` by its name.

    Raises:
        BadInput: it cannot be used; lists every problem.
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
    problems = _problems(document)
    if problems:
        listed = "\n  ".join(problems)
        raise BadInput(f"{path} cannot be used:\n  {listed}\n  every key: contracts schema config")
    emitters = {name: EmitterConfig(**table) for name, table in document.pop("emitters", {}).items()}
    targets = {name: TargetConfig(**table) for name, table in document.pop("targets", {}).items()}
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in document.items()}
    return Config(path=path, emitters=emitters, targets=targets, **_substituted(values, environment, str(path)))


def _problems(document: Any) -> list[str]:
    """Validate against `contracts.schema.json`, and describe each error in the words of a TOML file."""
    import jsonschema_rs  # noqa: PLC0415 - only where there is a configuration

    schema = json.loads(SCHEMA_FILE.read_bytes())
    errors = list(jsonschema_rs.Draft202012Validator(schema).iter_errors(_as_json(document)))
    of_another_type = {tuple(each.instance_path) for each in errors if each.kind.name == "type"}
    return [
        problem
        for each in errors
        if each.kind.name == "type" or tuple(each.instance_path) not in of_another_type
        for problem in _described(each, document, schema)
    ]


def _as_json(value: Any) -> Any:
    """Return a TOML value as JSON has it: dates, times, NaN and infinity are none, and match no type."""
    match value:
        case dict():
            return {name: _as_json(each) for name, each in value.items()}
        case list():
            return [_as_json(each) for each in value]
        case date() | time():
            return None
        case float() if not isfinite(value):
            return None
    return value


def _described(error: jsonschema_rs.ValidationError, document: Any, schema: Any) -> list[str]:
    value = reduce(lambda inside, token: inside[token], error.instance_path, document)
    *_, table, rule = accumulate(error.schema_path, lambda inside, token: inside[token], initial=schema)
    known = table.get("properties", {})
    match error.kind.name:
        case "additionalProperties":
            listed = f"; known: {', '.join(known)}"
            unknown = [each for each in value if each not in known]
            return [
                f"unknown key {_place([*error.instance_path, each])!r}{_hint(each, known) or listed}"
                for each in unknown
            ]
        case "required":
            missing = error.kind.as_dict()["property"]
            at = _place([*error.instance_path, missing])
            return [f"no {at!r}; expected {known[missing]['description']}"]
        case "type":
            expected = _PHRASES[rule]
        case "enum":
            expected = f"one of {', '.join(rule)}{_hint(str(value), rule)}"
        case "minimum":
            expected = f"at least {rule}"
        case "exclusiveMinimum":
            expected = f"more than {rule}"
        case other:
            expected = f"{rule!r} ({other})"
    return [f"{_place(error.instance_path) or 'the document'}: found {_shown(value)}, expected {expected}"]


def _place(path: Sequence[str | int]) -> str:
    return "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in path).removeprefix(".")


def _hint(value: str, known: Iterable[str]) -> str:
    near = nearest(value, known)
    return f"; did you mean {near!r}?" if near else ""


def _shown(value: object) -> str:
    return f"the date or time {value}" if isinstance(value, date | time) else show(value)


def _substituted(values: Mapping[str, Any], environment: Mapping[str, str], where: str) -> dict[str, Any]:
    variables = _Variables(environment)
    result = {name: variables.url(value) if name in _URLS else variables.fill(value) for name, value in values.items()}
    if variables.unset:
        listed = ", ".join(f"${{{name}}}" for name in variables.unset)
        raise BadInput(f"{where} names variables that are not set: {listed}\n  set them, or write $${{ for a plain ${{")
    return result


class _Variables:
    """Fills `${NAME}`s, and notes the names that are not set."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.unset: dict[str, None] = {}

    def fill(self, value: Any) -> Any:
        match value:
            case str():
                return self._text(value)
            case tuple():
                return tuple(map(self.fill, value))
            case dict():
                return {name: self.fill(each) for name, each in value.items()}
        return value

    def url(self, text: str) -> str:
        """Fill a URL; user and password are percent-encoded, so that they may hold any character."""
        scheme = _URL.match(text)
        if scheme is None:
            return self._text(text)
        servers = text.split(",") if scheme[1] in {"nats", "tls"} else [text]
        return ",".join(map(self._server, servers))

    def _server(self, text: str) -> str:
        login = _LOGIN.match(text)
        start, end = login.span("login") if login else (0, 0)
        quoted = self._text(text[start:end], lambda value: quote(value, safe=""))
        return text[:start] + quoted + self._text(text[end:])

    def _text(self, text: str, encode: Callable[[str], str] = str) -> str:
        def variable(match: re.Match[str]) -> str:
            name = match[1]
            if name is None:
                return "${"
            if name not in self._environment:
                self.unset[name] = None
            return encode(self._environment.get(name, ""))

        return _VARIABLE.sub(variable, text)
