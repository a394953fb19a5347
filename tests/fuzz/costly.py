"""Payloads just under the size limit, each of a shape that may be costly: keys, items, nesting, text, digits."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final

from contracts.fixtures.corpus import ROOT

LIMIT_BYTES: Final = 65536
_EXAMPLE: Final = (ROOT / "kaizen.schedule.prepared" / "1" / "valid" / "spec-example.json").read_bytes()


def costly_payloads() -> Iterator[tuple[str, bytes]]:
    """Yield (name, payload) for each shape, filled up to the limit."""
    for name, item in _KEYS.items():
        yield f"unknown keys: {name}", _filled(partial(_keys, item))
    for name, value in _ITEMS.items():
        for field in ("session_close", "pointers"):
            yield f"{field}: {name}", _filled(partial(_items, field, value))
    for name, piece in _TEXTS.items():
        for field in ("prepare_command", "root", "agent", "repo", "occurred_at", "event", "version", "cadence"):
            yield f"{field}: {name}", _filled(partial(_text, field, piece))
        yield f"session_close text: {name}", _filled(partial(_one_item, piece))
        yield f"key: {name}", _filled(partial(_one_key, piece))
    for name, make in _RAW.items():
        yield f"raw: {name}", _filled(make)


def _event(changes: Mapping[str, Any]) -> bytes:
    return json.dumps({**json.loads(_EXAMPLE), **changes}, ensure_ascii=False).encode()


def _keys(name: Callable[[int], str], count: int) -> bytes:
    return _event({name(number): 1 for number in range(count)})


def _items(field: str, item: Callable[[int], Any], count: int) -> bytes:
    items = [item(number) for number in range(count)]
    return _event(
        {"bundle": json.loads(_EXAMPLE)["bundle"] | {field: items}} if field == "pointers" else {field: items}
    )


def _text(field: str, piece: str, count: int) -> bytes:
    return _event({field: piece * count})


def _one_item(piece: str, count: int) -> bytes:
    return _event({"session_close": [piece * count]})


def _one_key(piece: str, count: int) -> bytes:
    return _event({piece * count: 1})


def _filled(make: Callable[[int], bytes]) -> bytes:
    """Return the largest of the payloads that is under the limit."""
    low, high = 0, 1
    while high <= LIMIT_BYTES and len(make(high)) <= LIMIT_BYTES:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if len(make(middle)) <= LIMIT_BYTES else (low, middle)
    return make(low)


_KEYS: Final[dict[str, Callable[[int], str]]] = {
    "short": lambda i: f"k{i}",
    "near a known one": lambda i: f"prepare_command{i}",
    "like secrets": lambda i: f"AKIA{i:016}",
    "not printable": lambda i: f"\x1b{i}",
    "long": lambda i: f"{i}" + "k" * 200,
}
_ITEMS: Final[dict[str, Callable[[int], Any]]] = {
    "numbers": lambda i: i,
    "nulls": lambda _: None,
    "short words": lambda i: f"A{i}",
    "slugs": lambda i: f"a{i}",
    "one word": lambda _: "a",
    "operators": lambda i: f"coach; {i}",
    "open quotes": lambda i: f"coach '{i}",
    "placeholders": lambda i: f"kaizen-agentic coach <x{i}>",
    "AWS keys": lambda i: f"AKIA{i:016}",
    "long tokens": lambda i: f"Aa1{i:021}",
    "passwords": lambda i: f"coach --password hunter{i}",
    "names of secrets": lambda i: f"token {i}",
    "URLs": lambda i: f"https://u:p{i}@h",
    "lists": lambda i: [i],
    "objects": lambda i: {f"k{i}": i},
    "floats": lambda i: i + 0.5,
    "line breaks": lambda i: f"a\n{i}",
}
_TEXTS: Final[dict[str, str]] = {
    "letters": "a",
    "digits": "1",
    "spaces": " ",
    "quotes": "'",
    "double quotes": '"',
    "backslashes": "\\",
    "words": "a ",
    "options": "--target ",
    "options with values": "--format=markdown ",
    "operators": ";",
    "braces": "{a,",
    "nested braces": "{",
    "brackets": "[a",
    "globs": "*?",
    "placeholders": "<a> ",
    "open placeholders": "<a",
    "dots": "../",
    "slashes": "/",
    "colons": "a:",
    "at signs": "a@",
    "URLs": "http://a:b@c ",
    "schemes": "a://",
    "assignments": "token=",
    "names of secrets": "password ",
    "headers": "Authorization: Basic ",
    "bearers": "bearer a",
    "base64": "eyJhbGciOiJIUzI1NiJ9.",
    "long tokens": "A1b2C3d4E5f6G7h8I9j0",
    "AWS": "AKIA",
    "keys": "aws_secret_key = ",
    "private keys": "-----BEGIN RSA PRIVATE KEY-----",
    "dashes": "-",
    "underscores": "_",
    "wide characters": "\u20ac",
    "marks": "\u202e",
    "controls": "\x01",
    "times": "2026-06-17T09:00:12Z",
    "percent": "%a%",
    "dollars": "${a}",
    "backticks": "`",
    "tildes": "~",
    "words and dashes": "a-",
    "capitals": "A",
    "mixed": "aA1",
    "equals": "=",
    "commas": ",",
}
_RAW: Final[dict[str, Callable[[int], bytes]]] = {
    "open brackets": lambda n: b"[" * n,
    "closed brackets": lambda n: b"]" * n,
    "nested": lambda n: b"[" * (n // 2) + b"]" * (n // 2),
    "nested objects": lambda n: b'{"a":' * n,
    "empty objects": lambda n: b"[" + b"{}," * n + b"{}]",
    "an integer": lambda n: b"1" * n,
    "an event with a large integer": lambda n: _EXAMPLE.replace(b"8421", b"1" * n),
    "an event with a large exponent": lambda n: _EXAMPLE.replace(b"8421", b"1e" + b"9" * n),
    "an event with a long fraction": lambda n: _EXAMPLE.replace(b"8421", b"0." + b"3" * n),
    "a negative exponent": lambda n: b"1e-" + b"9" * n,
    "digits and an exponent": lambda n: b"9" * n + b"e-" + str(n).encode(),
    "not numbers": lambda n: b"[" + b"NaN," * n + b"NaN]",
    "numbers too large": lambda n: b"[" + b"1e999," * n + b"1]",
    "the same key": lambda n: b"{" + b'"a":1,' * n + b'"a":1}',
    "keys twice": lambda n: b"{" + b",".join(b'"k%d":1,"k%d":1' % (i, i) for i in range(n)) + b"}",
    "an open string": lambda n: b'"' + b'\\"' * n,
    "escapes": lambda n: b'"' + b"\\u0041" * n + b'"',
    "surrogates": lambda n: b"[" + b",".join([b'"\\ud800"'] * (n + 1)) + b"]",
    "surrogates in one text": lambda n: b'"' + b"\\ud800" * n + b'"',
    "surrogates as keys": lambda n: b"{" + b",".join(b'"\\ud800%d":1' % i for i in range(n)) + b"}",
    "commas": lambda n: b"," * n,
    "colons": lambda n: b":" * n,
    "quotes": lambda n: b'"' * n,
    "zeros": lambda n: b"\0" * n,
    "high bytes": lambda n: b"\xff" * n,
    "white space": lambda n: b" " * n,
    "line breaks": lambda n: b"\n" * n,
    "bare words": lambda n: b"a " * n,
}
