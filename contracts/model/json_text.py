"""Write a Python value as the JSON text that its reader would get, also if it is invalid.

`check` judges text, because only text shows duplicate keys, lone surrogates and NaN. So a mapping is written first, as
`json.dumps` writes it: compact, in UTF-8. What strict JSON forbids is written too, and the parser reports it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from contracts.model.violation import pointer, printable

_SURROGATES = re.compile("[\ud800-\udfff]")


def _mapping(value: object) -> dict[Any, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(type(value).__name__)


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_mapping)


def json_bytes(value: object) -> bytes:
    """Write a JSON value as UTF-8; a lone surrogate becomes its escape.

    Raises:
        TypeError: JSON cannot express it; names what was found and where.
    """
    try:
        text = _ENCODER.encode(value)
    except (TypeError, ValueError, RecursionError):
        # No JSON, or too deep for the encoder, or an integer of more digits than Python writes.
        text = "".join(_pieces(value))
    if not text.isascii():
        text = _SURROGATES.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return text.encode()


class _Level(NamedTuple):
    """An array or object that is being written; `entries` are those still to come."""

    closing: str
    entries: Iterator[tuple[str, str | int, Any]]
    identity: int


def _pieces(value: Any) -> Iterator[str]:
    """Write any depth without recursion, and know the place of what is not JSON."""
    levels: list[_Level] = []
    path: list[str | int] = []
    within: set[int] = set()
    while True:
        if isinstance(value, Mapping | list | tuple):
            if id(value) in within:
                raise TypeError(f"found a value that contains itself{_at(path)}; expected a JSON value")
            level = _object(value, path) if isinstance(value, Mapping) else _array(value)
            levels.append(level)
            within.add(level.identity)
            yield "{" if level.closing == "}" else "["
        else:
            yield _scalar(value, path)
        while levels:
            del path[len(levels) - 1 :]
            if entry := next(levels[-1].entries, None):
                before, name, value = entry
                path.append(name)
                yield before
                break
            done = levels.pop()
            within.discard(done.identity)
            yield done.closing
        else:
            return


def _object(value: Mapping[Any, Any], path: list[str | int]) -> _Level:
    def entries() -> Iterator[tuple[str, str, Any]]:
        comma = ""
        for key, item in value.items():
            if not isinstance(key, str | int | float | None):
                raise TypeError(f"found a key of type {type(key).__name__}{_at(path)}; expected a text")
            name = key if isinstance(key, str) else _scalar(key, path)
            yield f"{comma}{_ENCODER.encode(name)}:", name, item
            comma = ","

    return _Level("}", entries(), id(value))


def _array(value: list[Any] | tuple[Any, ...]) -> _Level:
    return _Level("]", (("," if index else "", index, item) for index, item in enumerate(value)), id(value))


def _scalar(value: Any, path: list[str | int]) -> str:
    try:
        return _ENCODER.encode(value)
    except ValueError:
        from decimal import Decimal  # noqa: PLC0415 - 2 ms that nearly no payload needs

        return str(Decimal(value))  # which writes integers of any length
    except TypeError:
        raise TypeError(f"found {type(value).__name__}{_at(path)}; expected a JSON value") from None


def _at(path: list[str | int]) -> str:
    return f" at {printable(pointer(*path))}" if path else ""
