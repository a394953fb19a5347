"""Where a JSON pointer stands in a JSON text, by line, so that a report can point into the file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

# A string ends at its quote or with the text, so that each one matches and no letter is read twice.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[\[\]{},:]|[^\s\[\]{},:"]+', re.DOTALL)
_CHANGES = {"raw": str, "set": dict, "remove": list}


def line_of(text: str, pointer: str) -> int | None:
    """Return the line, 1 being the first, of the key or array item that an RFC 6901 pointer names.

    What is not there is looked for at its parent: a missing key stands where its object does. In a case of
    the corpus it is the line of the change that concerns the pointer. A text that is no JSON is read as far
    as it goes; None where it holds nothing at all.
    """
    case = _case(text)
    return _line(text, _place_in_case(case, pointer) if case else _tokens(pointer))


def _tokens(pointer: str) -> list[str]:
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]


def _case(text: str) -> dict[str, Any] | None:
    """Read a case of the corpus (see `contracts.fixtures.corpus`), or None where the text is a payload."""
    if '"breaks"' not in text:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    changes = [isinstance(value[name], kind) for name, kind in _CHANGES.items() if name in value]
    return value if changes and all(changes) else None


def _place_in_case(case: dict[str, Any], pointer: str) -> list[str]:
    """Choose the change at the pointer, above it or below it; a rule on two fields may concern only the other."""
    changes = {str(change): ["remove", str(index)] for index, change in enumerate(case.get("remove", ()))}
    changes |= {change: ["set", change] for change in case.get("set", ())}
    near = [each for each in changes if f"{pointer}/".startswith(f"{each}/") or each.startswith(f"{pointer}/")]
    if pointer and near:
        return changes[max(near, key=lambda change: (change == pointer, len(change)))]
    return [next(name for name in _CHANGES if name in case)]


def _line(text: str, wanted: list[str]) -> int | None:
    """Find the deepest place on the way to `wanted`; of a key that comes twice the last counts, as for most readers."""
    depth, offset = -1, 0
    for path, at in _places(text):
        if depth <= len(path) <= len(wanted) and [str(token) for token in path] == wanted[: len(path)]:
            depth, offset = len(path), at
    return None if depth < 0 else text.count("\n", 0, offset) + 1


def _places(text: str) -> Iterator[tuple[list[int | str], int]]:
    """Yield (path, offset) for the text's first value, and for every key and array item; `path` changes in place."""
    path: list[int | str] = []
    is_key = False
    for token in _TOKEN.finditer(text):
        word, at = token[0], token.start()
        is_item = bool(path) and isinstance(path[-1], int)
        if word in "]}":
            del path[-1:]
        elif word == ",":
            if is_item:
                path[-1] = int(path[-1]) + 1
        elif word != ":":
            if is_key:
                path[-1] = _key(word)
            if is_key or is_item or not path:
                yield path, at
            if word in "[{":
                path.append(0 if word == "[" else "")
        # A key stands after the brace, and after each comma, of an object.
        is_key = word == "{" or (word == "," and not is_item)


def _key(word: str) -> str:
    try:
        return str(json.loads(word))
    except ValueError:
        return word.strip('"')
