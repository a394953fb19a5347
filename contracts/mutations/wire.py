"""For each rule of strict JSON: bytes near a right payload that break it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from typing import Any, Final

from contracts.corpus import put
from contracts.places import walk
from contracts.strict_json import LARGEST_EXACT_INTEGER, Limits

BrokenBytes = tuple[str, bytes]
"""How a payload was broken, for a person, and its bytes."""

# Stands in a payload for JSON text that no value of Python serialises to; a private-use character, so never there.
_MARK: Final = "\ue000"


def _too_large(payload: Any, limits: Limits) -> Iterator[BrokenBytes]:
    raw = _json(payload)
    yield "with white space to one byte too many", raw + b" " * (limits.payload_bytes + 1 - len(raw))
    for place, value in _leaves(payload):
        if isinstance(value, str):
            yield f"with {place} filled", _json(payload, place, json.dumps("x " * (limits.payload_bytes // 2)))


def _not_utf_8(payload: Any, _limits: Limits) -> Iterator[BrokenBytes]:
    raw = _json(payload)
    yield "in UTF-16", raw.decode().encode("utf-16")
    yield "cut inside a character", raw + b"\xc3"
    for place, value in _leaves(payload):
        if isinstance(value, str):
            for how, octets in {
                "Latin-1": b"\xe9",
                "an overlong '/'": b"\xc0\xaf",
                "half a pair": b"\xed\xa0\x80",
            }.items():
                yield f"with {how} in {place}", _json(payload, place, f'"{_MARK}"').replace(_MARK.encode(), octets)


def _with_bom(payload: Any, _limits: Limits) -> Iterator[BrokenBytes]:
    yield "behind a byte order mark", b"\xef\xbb\xbf" + _json(payload)


def _not_one_value(payload: Any, _limits: Limits) -> Iterator[BrokenBytes]:
    raw = _json(payload)
    text = raw.decode()
    yield "as nothing", b""
    yield "as white space", b" \n"
    for share in (1, 2, 3):
        yield f"cut off after {share} of 4 parts", text[: len(text) * share // 4].encode()
    yield "without its last byte", raw[:-1]
    yield "twice", raw + b"\n" + raw
    yield "behind a greeting", b"kaizen: done\n" + raw
    yield "before a farewell", raw + b"\ndone"
    yield "with a comma too many", raw[:-1] + b",}"
    yield "with a comment", raw[:-1] + b"/* x */}"
    yield "behind a NUL", b"\0" + raw
    yield "before a NUL", raw + b"\0"
    yield "in single quotes", raw.replace(b'"', b"'")
    for place, value in _leaves(payload):
        yield f"with a comma only at {place}", _json(payload, place, ",")
        yield f"with an undefined word at {place}", _json(payload, place, "undefined")
        if isinstance(value, str):
            yield f"with a raw line break in {place}", _json(payload, place, json.dumps(value)[:-1] + '\n"')


def _no_exact_number(payload: Any, _limits: Limits) -> Iterator[BrokenBytes]:
    numbers = ("NaN", "Infinity", "-Infinity", "1e999", str(LARGEST_EXACT_INTEGER + 1), "9" * 5000)
    for place, _ in _leaves(payload):
        for number in numbers:
            yield f"with {number[:9]} at {place}", _json(payload, place, number)


def _too_deep(payload: Any, limits: Limits) -> Iterator[BrokenBytes]:
    yield "behind 20,000 brackets", b"[" * 20_000
    for place, _ in _leaves(payload):
        levels = limits.depth + 1 - place.count("/")
        yield f"one level too deep at {place}", _json(payload, place, "[" * levels + "]" * levels)


def _with_key_twice(payload: Any, _limits: Limits) -> Iterator[BrokenBytes]:
    for place, value in walk(payload):
        if isinstance(value, dict):
            for name, item in value.items():
                escaped = "".join(f"\\u{ord(letter):04x}" for letter in name)
                for how, key in {"": json.dumps(name), ", spelt otherwise": f'"{escaped}"'}.items():
                    again = _json(payload, place, f"{json.dumps(value)[:-1]}, {key}: {json.dumps(item)}}}")
                    yield f"with {place}/{name} twice{how}", again


def _with_lone_surrogate(payload: Any, _limits: Limits) -> Iterator[BrokenBytes]:
    for place, value in walk(payload):
        if isinstance(value, str):
            for half in ("\\ud800", "\\udfff", "\\udc00\\ud800"):
                yield f"with {half} in {place}", _json(payload, place, f'{json.dumps(value)[:-1]}{half}"')
        elif isinstance(value, dict):
            yield (
                f"with half a character in a key of {place}",
                _json(payload, place, f'{json.dumps(value)[:-1]}, "\\ud800": 1}}'),
            )


def _json(payload: Any, at: str | None = None, text: str = "") -> bytes:
    """Serialise a payload, with `text` in place of the value at the pointer `at`."""
    if at is None:
        return json.dumps(payload, ensure_ascii=False).encode()
    marked = deepcopy(payload)
    if at:
        put(marked, at, _MARK)
    else:
        marked = _MARK
    return json.dumps(marked, ensure_ascii=False).replace(f'"{_MARK}"', text, 1).encode()


def _leaves(payload: Any) -> Iterator[tuple[str, object]]:
    return ((place, value) for place, value in walk(payload) if not isinstance(value, dict | list))


WIRE: Final[Mapping[str, Callable[[Any, Limits], Iterator[BrokenBytes]]]] = {
    "boundary/size": _too_large,
    "payload/encoding": _not_utf_8,
    "payload/bom": _with_bom,
    "payload/syntax": _not_one_value,
    "payload/number": _no_exact_number,
    "payload/depth": _too_deep,
    "payload/duplicate-key": _with_key_twice,
    "payload/surrogate": _with_lone_surrogate,
}
"""Breakers by rule of contracts.strict_json."""
