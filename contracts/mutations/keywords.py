"""For each schema keyword: values near a right one that break it.

A breaker takes what the keyword says and a value that passes, and yields (how, broken value). What is wrong with
a value is decided here by other means than the check's own, or the check would be held against itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from contracts.strict_json import LARGEST_EXACT_INTEGER

Broken = tuple[str, Any]
"""How a value was broken, for a person, and the broken value."""

_SAMPLES: Final[Mapping[str, object]] = {
    "string": "text",
    "boolean": True,
    "integer": 7,
    "number": 7.5,
    "array": [],
    "object": {},
    "null": None,
}


def typos(value: str) -> Iterator[Broken]:
    """Yield what a careless hand makes of a word, none of them the word itself."""
    variants = {
        "in the other case": value.swapcase(),
        "capitalised": value.capitalize(),
        "without its last letter": value[:-1],
        "with a letter twice": value + value[-1:],
        "with two letters swapped": value[1:2] + value[:1] + value[2:],
        "with a space after it": value + " ",
        "with a space before it": " " + value,
        "with a line break after it": value + "\n",
        "with an invisible letter": value + "\u200b",
        "as a minor version": value + ".0",
        "empty": "",
    }
    seen = {value}
    for how, variant in variants.items():
        if variant not in seen:
            seen.add(variant)
            yield how, variant


def _wrong_types(wanted: str, value: Any) -> Iterator[Broken]:
    for name, sample in _SAMPLES.items():
        if name != wanted:
            yield f"{'an' if name[0] in 'aio' else 'a'} {name}", sample
    if wanted != "array":
        yield "in a list", [value]
    if wanted in {"integer", "boolean"}:
        yield "in quotes", str(value).lower()


def _not_the_constant(wanted: str, _value: Any) -> Iterator[Broken]:
    yield from typos(wanted)


def _no_option(wanted: list[str], _value: Any) -> Iterator[Broken]:
    for option in wanted:
        yield from ((f"{option!r} {how}", text) for how, text in typos(option) if text not in wanted)
    yield "several at once", "|".join(wanted)


def _no_match(wanted: str, value: str) -> Iterator[Broken]:
    # A second opinion on the pattern: Python's `$` also matches before a last line break, ECMA's does not.
    matches = re.compile(re.sub(r"(?<!\\)\$$", r"\\Z", wanted), re.ASCII)
    middle = len(value) // 2
    candidates = dict(typos(value)) | {
        "sixty-five times as long": value * 65,
        "without its first letter": value[1:],
        "climbing": f"../{value}",
        "as a path": f"/{value}",
        "as a URL": f"https://{value}",
        "as an option": f"-{value}",
        "with a letter that looks alike": value.replace("a", "а").replace("e", "е"),  # noqa: RUF001 - Cyrillic
        "with foreign digits": value.translate({0x30 + digit: 0x660 + digit for digit in range(10)}),
    }
    for letter in " /\\*>.:\0é":
        candidates[f"with {letter!r} first"] = letter + value
        candidates[f"with {letter!r} inside"] = value[:middle] + letter + value[middle:]
        candidates[f"with {letter!r} last"] = value + letter
    yield from ((how, text) for how, text in candidates.items() if not matches.search(text))


def _no_time(_wanted: str, value: str) -> Iterator[Broken]:
    date, time, rest = value[:10], value[11:19], value[19:]
    offset = re.sub(r"^\.\d+", "", rest)
    yield "without an offset", f"{date}T{time}"
    yield "with a space between date and time", f"{date} {time}{rest}"
    yield "as a date only", date
    yield "as a time only", f"{time}{rest}"
    yield "in seconds since 1970", "1781686812"
    yield "in the basic form", value.replace("-", "").replace(":", "")
    yield "without seconds", f"{date}T{time[:5]}{offset}"
    yield "at 24:00", f"{date}T24:00:00{offset}"
    yield "at minute 60", f"{date}T{time[:3]}60:00{offset}"
    yield "at second 61", f"{date}T{time[:6]}61{offset}"
    yield "at a leap second at noon", f"{date}T12:00:60Z"
    yield "in month 13", f"{date[:4]}-13{date[7:]}T{time}{rest}"
    yield "on February 30", f"{date[:4]}-02-30T{time[:6]}00{offset}"
    yield "on day 0", f"{date[:8]}00T{time}{rest}"
    yield "with a year of two digits", value[2:]
    yield "with an offset of a day", f"{date}T{time[:6]}00+24:00"
    yield "with an offset without colon", f"{date}T{time[:6]}00+0200"
    yield "with an offset in words", f"{date}T{time} UTC"
    yield "with an empty fraction", f"{date}T{time}.{offset}"
    yield "with a comma in the fraction", f"{date}T{time},5{offset}"
    yield "with a line break after it", value + "\n"
    yield "with a space before it", " " + value
    yield "with foreign digits", value.translate({0x30 + digit: 0xFF10 + digit for digit in range(10)})
    yield "empty", ""


def _below(wanted: int, _value: Any) -> Iterator[Broken]:
    yield "one less than the least", wanted - 1


def _above(wanted: int, _value: Any) -> Iterator[Broken]:
    # Beyond 2^53 - 1 only a float gets through to the schema; as an integer it is no strict JSON.
    more = wanted + 1
    yield "one more than the most", more if more <= LARGEST_EXACT_INTEGER else float(more)


def _repeated(_wanted: Any, value: list[Any]) -> Iterator[Broken]:
    for item in value:
        yield f"with {item!r} twice", [*value, item]


def _extra_key(_wanted: Any, value: dict[str, Any]) -> Iterator[Broken]:
    yield "with a key that nobody knows", value | {"x-unknown": 1}
    yield "with a key without name", value | {"": None}
    for name, known in value.items():
        yield f"with {name!r} again in capitals", value | {name.upper(): known}


KEYWORDS: Final[Mapping[str, Callable[[Any, Any], Iterator[Broken]]]] = {
    "type": _wrong_types,
    "const": _not_the_constant,
    "enum": _no_option,
    "pattern": _no_match,
    "format": _no_time,
    "minimum": _below,
    "maximum": _above,
    "uniqueItems": _repeated,
    "additionalProperties": _extra_key,
}
"""Breakers by schema keyword; they get the keyword's value. A required key is taken out in mutants.py."""
