"""Texts that match a regular expression, chosen by a number: few draws for Hypothesis, where a digest has 64 letters.

Reads a pattern with the parser of `re`, as Hypothesis does; JSON Schema's `$` is taken for the end of the text.
"""

from __future__ import annotations

import re._constants as codes  # type: ignore[import-not-found]
import re._parser as parser  # type: ignore[import-not-found]
import string
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from random import Random
from typing import Any, Final

_LETTERS: Final = string.ascii_letters + string.digits + string.punctuation + " éñ漢🜁"
_CATEGORIES: Final[Mapping[Any, Callable[[str], bool]]] = {
    codes.CATEGORY_SPACE: str.isspace,
    codes.CATEGORY_DIGIT: lambda letter: letter in string.digits,
    codes.CATEGORY_WORD: lambda letter: letter.isalnum() or letter == "_",
    codes.CATEGORY_NOT_SPACE: lambda letter: not letter.isspace(),
    codes.CATEGORY_NOT_DIGIT: lambda letter: letter not in string.digits,
    codes.CATEGORY_NOT_WORD: lambda letter: not (letter.isalnum() or letter == "_"),
}


def sample(pattern: str, number: int) -> str:
    """Return a text that matches `pattern`: always the same for a number, the plainest for 0."""
    random = Random(number)  # noqa: S311 - test data, repeatable on purpose
    return "".join(_sampled(parser.parse(pattern), random, plainest=number == 0))


def _sampled(tree: Any, random: Random, *, plainest: bool) -> Iterator[str]:
    def chosen(options: Any) -> Any:
        return options[0] if plainest else random.choice(options)

    for code, argument in tree:
        if code is codes.LITERAL:
            yield chr(argument)
        elif code in {codes.IN, codes.NOT_LITERAL, codes.ANY}:
            yield chosen(_letters(code, tuple(argument) if code is codes.IN else argument))
        elif code in {codes.MAX_REPEAT, codes.MIN_REPEAT}:
            least, most, repeated = argument
            for _ in range(min(most, least + chosen((0, 1, 2, 3, 8, 63)))):
                yield from _sampled(repeated, random, plainest=plainest)
        elif code is codes.SUBPATTERN:
            yield from _sampled(argument[-1], random, plainest=plainest)
        elif code is codes.BRANCH:
            yield from _sampled(chosen(argument[1]), random, plainest=plainest)
        elif code is not codes.AT:
            raise NotImplementedError(f"cannot make a text for {code} in a pattern; teach contracts/patterns.py")


@cache
def _letters(code: Any, argument: Any) -> tuple[str, ...]:
    return tuple(letter for letter in _LETTERS if _is_in(letter, code, argument))


def _is_in(letter: str, code: Any, argument: Any) -> bool:
    if code is codes.ANY:
        return True
    if code is codes.NOT_LITERAL:
        return bool(ord(letter) != argument)
    negated = argument[0][0] is codes.NEGATE
    return bool(negated != any(_is_one_of(letter, kind, value) for kind, value in argument))


def _is_one_of(letter: str, kind: Any, value: Any) -> bool:
    if kind is codes.LITERAL:
        return bool(ord(letter) == value)
    if kind is codes.RANGE:
        return bool(value[0] <= ord(letter) <= value[1])
    return kind is codes.CATEGORY and bool(_CATEGORIES[value](letter))
