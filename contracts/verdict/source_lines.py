"""Find the line of a JSON text on which each of many JSON pointers stands, so that a report can point into the file.

Total: any text has an answer, whether it is JSON or not. The text is walked once for all pointers, in linear time.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator

from contracts.model.violation import split_pointer

# A string ends at its quote or with the text, so that each one matches and no character is read twice.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[\[\]{},:]|[^\s\[\]{},:"]+', re.DOTALL)


class SourceText:
    """The text of the file that a result is about.

    `pointer_in_file` turns a pointer into the payload into a pointer into the file, where the two differ.
    """

    __slots__ = ("_pointer_in_file", "_text")

    def __init__(self, text: str, pointer_in_file: Callable[[str], str] | None = None) -> None:
        self._text, self._pointer_in_file = text, pointer_in_file

    def lines(self, pointers: Iterable[str]) -> dict[str, int | None]:
        """Return pointer -> line, 1 being the first, of the key or array item that each RFC 6901 pointer names.

        A place that is missing has the line of its nearest ancestor. Of a key that occurs twice the last one counts,
        as for most readers. None where the text holds no token.
        """
        in_file = {each: self._pointer_in_file(each) if self._pointer_in_file else each for each in pointers}
        offsets = _offsets(self._text, set(in_file.values()))
        breaks = [match.start() for match in re.finditer("\n", self._text)]
        return {
            each: None if offset is None else bisect_right(breaks, offset) + 1
            for each, offset in ((each, offsets[at]) for each, at in in_file.items())
        }


class _Node:
    """A place that is wanted, or on the way to one; `offset` is where it was last seen, None until then."""

    __slots__ = ("children", "offset")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.offset: int | None = None


def _offsets(text: str, pointers: set[str]) -> dict[str, int | None]:
    root = _Node()
    for at in pointers:
        node = root
        for token in split_pointer(at):
            node = node.children.setdefault(token, _Node())
    for node, offset in _places(text, root):
        node.offset = offset
    return {at: _deepest(root, at) for at in pointers}


def _deepest(root: _Node, at: str) -> int | None:
    node = root
    for token in split_pointer(at):
        if node.children[token].offset is None:
            break
        node = node.children[token]
    return node.offset


class _Container:
    """An array or object that is open: the wanted place it stands at, and the position or key inside it."""

    __slots__ = ("child", "index", "node")

    def __init__(self, node: _Node | None, *, is_array: bool) -> None:
        self.node, self.index = node, 0 if is_array else -1
        self.child: _Node | None = None

    @property
    def is_array(self) -> bool:
        return self.index >= 0

    def enter(self, key: str) -> None:
        self.child = self.node.children.get(key) if self.node else None


def _places(text: str, root: _Node) -> Iterator[tuple[_Node, int]]:
    """Yield (node, offset) for each wanted place: the first value of the text, and keys and array items."""
    open_: list[_Container] = []
    is_key = False
    for token in _TOKEN.finditer(text):
        word, inside = token[0], open_[-1] if open_ else None
        if word in "]}":
            del open_[-1:]
        elif word == ",":
            if inside and inside.is_array:
                inside.index += 1
        elif word != ":":
            if inside and (is_key or inside.is_array):
                inside.enter(_key(word) if is_key else str(inside.index))
                if inside.child:
                    yield inside.child, token.start()
            node = inside.child if inside else root
            if inside is None:
                yield root, token.start()
            if word in "[{":
                open_.append(_Container(node, is_array=word == "["))
        # In an object, a key follows the brace and each comma.
        is_key = word == "{" or (word == "," and inside is not None and not inside.is_array)


def _key(word: str) -> str:
    try:
        return str(json.loads(word))
    except ValueError:
        return word.strip('"')
