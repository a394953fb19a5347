"""Strict JSON at the edge: bytes in, a value out, or every reason why two readers could see two events.

RFC 8259 leaves duplicate keys, huge numbers and invalid Unicode to each parser, and Python's own accepts
NaN; RFC 7493 (I-JSON) is what every parser reads alike. That, a size and a depth are the rules here.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, NoReturn

from contracts.errors import KitError
from contracts.model.counted import counted
from contracts.model.violation import key_token, pointer, show

LARGEST_EXACT_INTEGER: Final = 2**53 - 1  # RFC 7493 section 2.2


class Limits(NamedTuple):
    """How large and how deeply nested a payload may be: octets, and levels of arrays and objects."""

    payload_bytes: int = 65536
    depth: int = 16


USUAL_LIMITS: Final = Limits()
"""The limits where no contract sets others."""

EXPECTED: Final = {
    "boundary/size": "at most {payload_bytes} bytes in all: metadata and a command, never repo contents",
    "payload/encoding": "UTF-8",
    "payload/bom": "JSON without a byte order mark",
    "payload/syntax": "one JSON value (RFC 8259)",
    "payload/number": "a number that a double holds: no NaN or Infinity, integers up to 2^53 - 1",
    "payload/depth": "at most {depth} levels of arrays and objects",
    "payload/duplicate-key": "each key once in an object",
    "payload/surrogate": "whole Unicode characters: no lone surrogate",
}
"""The rules of this module, by id, with what each expects; they hold for every contract."""


class Malformation(NamedTuple):
    """One reason why a payload is not strict JSON: the rule, the JSON pointer, and what was found."""

    rule: str
    pointer: str
    found: str


class MalformedPayload(KitError):
    """Not strict JSON; `malformations` has every reason that was found."""

    def __init__(self, malformations: tuple[Malformation, ...]) -> None:
        super().__init__(malformations)
        self.malformations = malformations

    def __str__(self) -> str:
        return "; ".join(f"{item.pointer or '(payload)'}: {item.found} [{item.rule}]" for item in self.malformations)


class _Irregular(ValueError):
    """Something only strict JSON refuses; the slow path names it."""


def parse_payload(raw: bytes, limits: Limits = USUAL_LIMITS) -> Any:
    """Parse one payload strictly.

    Raises:
        MalformedPayload: with every reason; a syntax error hides what follows it.
    """
    try:
        text = _decode(raw, limits)
        value = _FAST.decode(text)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):  # UnicodeError and JSONDecodeError are ValueErrors
        raise MalformedPayload(tuple(_reasons(raw, limits))) from None
    return value


def _decode(raw: bytes, limits: Limits) -> str:
    if len(raw) > limits.payload_bytes or raw.startswith(b"\xef\xbb\xbf"):
        raise _Irregular
    text = raw.decode()
    if raw.count(b"{") + raw.count(b"[") > limits.depth and _depth(text) > limits.depth:
        raise _Irregular
    return text


def _depth(text: str) -> int:
    """Return the deepest nesting, without parsing: the parser itself recurses."""
    depth = deepest = 0
    # A string ends at its quote or with the text, so that each one matches and no letter is read twice.
    for bracket in re.findall(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[\[{\]}]', text, re.DOTALL):
        if bracket in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif bracket in "]}":
            depth -= 1
    return deepest


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _Irregular
    return value


def _refuse(_text: str) -> NoReturn:
    raise _Irregular


def _integer(text: str) -> int:
    if len(text) > 17 or abs(value := int(text)) > LARGEST_EXACT_INTEGER:
        raise _Irregular
    return value


def _number(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise _Irregular
    return value


_FAST: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_refuse, parse_int=_integer, parse_float=_number
)


def _reasons(raw: bytes, limits: Limits) -> Iterator[Malformation]:
    """Return every reason why the fast path refused; runs only when it did."""
    if wide := wide_encoding(raw):
        yield Malformation("payload/encoding", "", wide)
        return
    if len(raw) > limits.payload_bytes:
        yield Malformation("boundary/size", "", counted(len(raw), "byte"))
        return
    if raw.startswith(b"\xef\xbb\xbf"):
        yield Malformation("payload/bom", "", "a UTF-8 byte order mark (EF BB BF)")
        raw = raw[3:]
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        octet = f"0x{raw[error.start]:02X}"
        yield Malformation("payload/encoding", "", f"{octet} at byte {error.start}: {error.reason}")
        return
    if (depth := _depth(text)) > limits.depth:
        yield Malformation("payload/depth", "", counted(depth, "level"))
        return
    if not text.strip():
        yield Malformation("payload/syntax", "", "white space only" if text else "nothing: 0 bytes")
        return
    try:
        value = _LENIENT.decode(text)
    except json.JSONDecodeError as error:
        yield Malformation("payload/syntax", "", f"{error.msg} at line {error.lineno} column {error.colno}")
        return
    yield from _walk(value, ())


def wide_encoding(raw: bytes) -> str | None:
    """Return the name of UTF-16 or UTF-32, by its mark or its zeros (RFC 4627, section 3); None for other bytes."""
    for mark, name in _WIDE_MARKS.items():
        if raw.startswith(mark):
            return f"{name}, by its byte order mark ({mark.hex(' ').upper()})"
    found = _WIDE_ZEROS.get("".join("0" if octet == 0 else "x" for octet in raw[:4]))
    return found and f"{found}, without a byte order mark"


_WIDE_ZEROS: Final = {
    "000x": "UTF-32 (big-endian)",
    "x000": "UTF-32 (little-endian)",
    "0x0x": "UTF-16 (big-endian)",
    "x0x0": "UTF-16 (little-endian)",
}
# UTF-32 before UTF-16, whose mark its own begins with.
_WIDE_MARKS: Final = {
    b"\xff\xfe\0\0": "UTF-32 (little-endian)",
    b"\0\0\xfe\xff": "UTF-32 (big-endian)",
    b"\xff\xfe": "UTF-16 (little-endian)",
    b"\xfe\xff": "UTF-16 (big-endian)",
}


class _Bad(NamedTuple):
    """Stands in the parsed value for a number that must not be there."""

    text: str


class _Repeated(dict[str, Any]):
    """An object some of whose keys came more than once."""

    keys_twice: tuple[str, ...] = ()


def _repeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = _Repeated(pairs)
    value.keys_twice = tuple(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
    return value


def _lenient_integer(text: str) -> int | _Bad:
    try:
        return _integer(text)
    except _Irregular:
        return _Bad(text)


def _lenient_number(text: str) -> float | _Bad:
    try:
        return _number(text)
    except _Irregular:
        return _Bad(text)


_LENIENT: Final = json.JSONDecoder(
    object_pairs_hook=_repeated, parse_constant=_Bad, parse_int=_lenient_integer, parse_float=_lenient_number
)
"""Parses on, and marks each place that strict JSON refuses."""


def _walk(value: object, path: tuple[str | int, ...]) -> Iterator[Malformation]:
    if isinstance(value, _Bad):
        shown = value.text if len(value.text) <= 40 else value.text[:39] + "…"
        yield Malformation("payload/number", pointer(*path), shown)
    elif isinstance(value, str) and _is_broken(value):
        yield Malformation("payload/surrogate", pointer(*path), _lone_surrogate(value))
    elif isinstance(value, _Repeated):
        for name in value.keys_twice:
            yield Malformation(
                "payload/duplicate-key", pointer(*path, key_token(name)), f"the key {show(name)} more than once"
            )
        for name, item in value.items():
            if _is_broken(name):
                found = f"a key with {_lone_surrogate(name)}"
                yield Malformation("payload/surrogate", pointer(*path, key_token(name)), found)
            yield from _walk(item, (*path, key_token(name)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _walk(item, (*path, index))


def _is_broken(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _lone_surrogate(text: str) -> str:
    found = next(letter for letter in text if "\ud800" <= letter <= "\udfff")
    return f"a lone surrogate (U+{ord(found):04X})"
