"""Read a contract's JSON Schema as rules and as the spec's field table.

A schema here is a tree of `properties` and `items` without references, so each keyword stands at one
field and is one rule: `<field path>/<keyword>`. `tests/house/test_house.py` refuses a keyword that is not here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

ROOT: Final = "payload"
"""The field path of the payload itself, in rule ids."""

_TYPES = {
    "string": ("string", "a string"),
    "boolean": ("bool", "true or false"),
    "integer": ("int", "an integer"),
    "array": ("array", "an array"),
    "object": ("object", "an object"),
}


class Field(NamedTuple):
    """One row of the spec's field table: `path` as bundle.format, `type` and `notes` in the spec's words."""

    path: str
    type: str
    notes: str

    @property
    def line(self) -> str:
        """The row as the spec prints it."""
        return f"{self.path} {self.type} {self.notes}"


class Keyword(NamedTuple):
    """One schema keyword at one field: what makes a rule. `field` is its row of the table, if it has one."""

    rule: str
    expected: str
    field: str


def field_table(schema: Mapping[str, Any], path: str = "") -> Iterator[Field]:
    """List the leaf fields in the order of the schema, typed in the spec's words."""
    for name, child in schema["properties"].items():
        here = f"{path}.{name}" if path else name
        if child["type"] == "object":
            yield from field_table(child, here)
        elif child["type"] == "array":
            yield Field(here, f"{_TYPES[child['items']['type']][0]}[]", child["description"])
        else:
            word = "RFC3339" if child.get("format") == "date-time" else _TYPES[child["type"]][0]
            yield Field(here, word, child["description"])


def keywords(schema: Mapping[str, Any], path: str = "") -> Iterator[Keyword]:
    """List every keyword that can be broken, in the order of the schema."""
    rule, row = path or ROOT, path.removesuffix("[]")
    for keyword, value in schema.items():
        if keyword == "properties":
            for name, child in value.items():
                here = f"{path}.{name}" if path else name
                if name in schema.get("required", ()):
                    yield Keyword(f"{here}/required", "the field to be there", here)
                yield from keywords(child, here)
        elif keyword == "items":
            yield from keywords(value, f"{path}[]")
        elif keyword in _EXPECTED:
            yield Keyword(f"{rule}/{keyword}", _EXPECTED[keyword](value), row)


def phrase(options: list[Any]) -> str:
    """Render the values of an enum or a const for a person."""
    words = [repr(option) for option in options]
    return words[0] if len(words) == 1 else "one of " + ", ".join(words)


_EXPECTED: Final[Mapping[str, Callable[[Any], str]]] = {
    "type": lambda value: _TYPES[value][1],
    "const": lambda value: phrase([value]),
    "enum": phrase,
    "pattern": lambda value: f"text that matches {value}",
    "format": lambda _value: "an RFC 3339 date-time, such as 2026-06-17T09:00:12Z",
    "minimum": lambda value: f"at least {value}",
    "maximum": lambda value: f"at most {value}",
    "maxLength": lambda value: f"at most {value:,} characters",
    "maxItems": lambda value: f"at most {value:,} items",
    "uniqueItems": lambda _value: "each item once",
    "additionalProperties": lambda _value: "only the keys that the contract names",
}
SILENT: Final = frozenset({"$schema", "title", "description", "required", "properties", "items"})
"""Keywords that make no separate rule."""
BREAKABLE: Final = frozenset(_EXPECTED)
"""Keywords that make one rule at each field where they stand."""


def rule_of(schema_path: list[str | int]) -> tuple[str, str]:
    """Turn a validator's schema path into (field path, keyword): ['properties', 'agent', 'type'] -> agent, type."""
    path = ""
    tokens = iter(schema_path[:-1])
    for step in tokens:
        if step == "items":
            path += "[]"
        else:  # 'properties', followed by the name
            name = str(next(tokens))
            path = f"{path}.{name}" if path else name
    return path, str(schema_path[-1])
