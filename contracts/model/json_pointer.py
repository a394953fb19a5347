"""Select payload values by JSON pointer pattern, with or without their pointers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

from contracts.model.secrets import may_be_secret, names_secret
from contracts.model.violation import key_token, pointer

EVERY_STRING: Final = "**"
"""The value of a rule's `at` that selects every string."""


def walk(value: object, place: str = "") -> Iterator[tuple[str, object]]:
    """Yield (pointer, value) for the value and all that is in it, in document order."""
    yield place, value
    if isinstance(value, dict):
        for name, item in value.items():
            yield from walk(item, place + pointer(key_token(name)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from walk(item, f"{place}/{index}")


def select(payload: object, at: str) -> Iterator[tuple[str, Any]]:
    """Yield (pointer, value) for each value that `at` selects: a pointer, `/*` for items, `**` for every string."""
    if at == EVERY_STRING:
        yield from _texts(payload, "", "")
        return
    places = [("", payload)]
    for step in at.split("/")[1:]:
        if step == "*":
            places = [
                (f"{place}/{index}", item)
                for place, value in places
                if isinstance(value, list)
                for index, item in enumerate(value)
            ]
        else:
            places = [
                (f"{place}/{step}", value[step]) for place, value in places if isinstance(value, dict) and step in value
            ]
    yield from places


def values(value: Any, path: Sequence[str]) -> Sequence[Any]:
    """Return the values that `select` lists for the steps of a pointer, without their pointers."""
    for number, step in enumerate(path, 1):
        if step == "*":
            items = value if isinstance(value, list) else []
            return [found for item in items for found in values(item, path[number:])] if path[number:] else items
        if not isinstance(value, dict) or step not in value:
            return ()
        value = value[step]
    return (value,)


def strings(value: Any, name: str = "") -> list[str]:
    """List the texts that `select` yields for `**`, without their pointers and at a tenth of the cost."""
    found = []
    if isinstance(value, dict):
        for key, item in value.items():
            if _is_secret_key(key):
                found.append(key)
            kind = type(item)
            if kind is str:
                found.append(f"{key}: {item}" if names_secret(key) else item)
            elif kind is dict or kind is list:
                found += strings(item, key)
    elif isinstance(value, list):
        for item in value:
            found += strings(item, name)
    elif isinstance(value, str):
        found.append(f"{name}: {value}" if names_secret(name) else value)
    return found


def _texts(value: Any, place: str, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield place, f"{name}: {value}" if names_secret(name) else value
    elif isinstance(value, dict):
        for key, item in value.items():
            here = place + pointer(key_token(key))
            if _is_secret_key(key):
                yield here, key
            yield from _texts(item, here, key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, f"{place}/{index}", name)


@lru_cache(maxsize=1024)
def _is_secret_key(name: str) -> bool:
    """Say whether a key holds a secret itself."""
    return may_be_secret(name)
