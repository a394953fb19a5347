"""What is wrong with a payload, as data: rendered by `contracts.reports`, compared by tests.

Values are shown cut, and never where they may hold a secret.
"""

from __future__ import annotations

import json
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

from contracts.model.counted import counted
from contracts.model.secrets import mask, may_be_secret

SHOWN_CHARACTERS = 80


class Severity(StrEnum):
    """How much a rule weighs; `--fail-on` chooses which of them fail a run."""

    ERROR = "error"
    WARNING = "warning"


class Rule(NamedTuple):
    """One rule of a contract: what is expected, with its line of the spec or decision.

    `id` is stable, `<field path>/<keyword>`; it is API. `spec` is a line of the spec, verbatim, or
    None where the spec is silent and `decision` names the open point that was decided.
    """

    id: str
    severity: Severity
    expected: str
    spec: str | None
    spec_line: int | None
    decision: str | None


class Violation(NamedTuple):
    """One broken rule at one place.

    `pointer` is an RFC 6901 JSON pointer ('' is the whole payload). `found` and `expected` are phrases
    for people, `found` cut at 80 characters and free of possible secrets; `nearest` is the nearest valid
    value where one is near. `spec` is the spec's line, with its number in the spec's file.
    """

    rule: str
    severity: Severity
    pointer: str
    found: str
    expected: str
    nearest: str | None = None
    spec: str | None = None
    spec_line: int | None = None

    def __str__(self) -> str:
        return f"{self.pointer or '(payload)'}: found {self.found}, expected {self.expected} [{self.rule}]"


def pointer(*tokens: str | int) -> str:
    """Join reference tokens to an RFC 6901 JSON pointer."""
    return "".join("/" + str(token).replace("~", "~0").replace("/", "~1") for token in tokens)


def covers(pattern: str, rule: str) -> bool:
    """Whether a pattern names a rule by its id, or by a family: `x/*` all rules of a field, `*/x` all of a keyword."""
    return (
        rule == pattern
        or (pattern.endswith("/*") and rule.startswith(pattern[:-1]))
        or (pattern.startswith("*/") and rule.endswith(pattern[1:]))
    )


def printable(text: str) -> str:
    """Return what may be shown of a text, on one line: every way out of both commands uses this function.

    Secrets become ***. Line breaks, terminal controls (C0 and C1), text direction marks, invisible letters and lone
    surrogates are escaped.
    """
    text = mask(text)
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def key_token(name: str) -> str:
    """Return a key as the token of a pointer; one that is long, unprintable or maybe a secret is not shown."""
    shown = name.isprintable() and len(name) <= SHOWN_CHARACTERS and not may_be_secret(name)
    return name if shown else "…"


def show(value: object) -> str:
    """Render a found value for a person: its kind where that helps, cut at 80 characters, no secrets."""
    if isinstance(value, str):
        if may_be_secret(value):
            return f"a string of {counted(len(value), 'character')} that may hold a secret (not shown)"
        text = repr(value) if len(value) <= SHOWN_CHARACTERS else repr(value[: SHOWN_CHARACTERS - 1]) + "…"
        return text if value else "an empty string"
    if isinstance(value, list | dict):
        kind = "an array" if isinstance(value, list) else "an object"
        return f"{kind} of {len(value)}" if value else f"{kind} without entries"
    text = json.dumps(value)
    kind = {bool: "", type(None): ""}.get(type(value), "the number ")
    return kind + (text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…")


def withhold(value: object) -> str:
    """Describe a value without showing any of it."""
    return f"a value of {counted(len(value), 'character')} (not shown)" if isinstance(value, str) else show(value)


def resolve(payload: Any, at: str) -> tuple[bool, Any]:
    """Look a JSON pointer up: (True, value), or (False, None) where nothing is there."""
    for key in split_pointer(at):
        if isinstance(payload, dict) and key in payload:
            payload = payload[key]
        elif isinstance(payload, list) and key.isascii() and key.isdigit() and int(key) < len(payload):
            payload = payload[int(key)]
        else:
            return False, None
    return True, payload


@lru_cache(maxsize=256)
def split_pointer(at: str) -> tuple[str, ...]:
    """Return the reference tokens of an RFC 6901 JSON pointer, unescaped."""
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in at.split("/")[1:])
