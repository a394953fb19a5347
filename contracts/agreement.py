"""Make the commands of a payload say what its other fields say: the declared rules, read the other way round.

Whoever changes one field, to break it or to make a new payload, would else break every rule that compares with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from contracts.commands import join_command
from contracts.corpus import put
from contracts.places import select
from contracts.registry import Contract
from contracts.rules import CHECKS, Context

Words = tuple[str, ...]


def agree(payload: Any, contract: Contract, *, but: str | None = None) -> None:
    """Rewrite, in place, each command that breaks a rule about its words; leave alone the one at the pointer `but`.

    A command that cannot be read is left as it is: nobody can tell what was meant.
    """
    for params in contract.declared:
        name = params["check"]
        if name not in _SAYING:
            continue
        _, check = CHECKS[name]
        context = Context(payload, params)
        for place, value in list(select(payload, params["at"])):
            if place == but or not isinstance(value, str) or not any(check(value, context)):
                continue
            words = context.words(value)
            if words is not None:
                put(payload, place, join_command(_SAYING[name](words, context), windows=context.is_windows))


def _program(words: Words, context: Context) -> Words:
    wanted = tuple(context.params["words"])
    return wanted + words[len(wanted) :]


def _argument(words: Words, context: Context) -> Words:
    position = context.params["position"]
    return (*words[:position], context.other() or "", *words[position + 1 :])


def _option(words: Words, context: Context) -> Words:
    option, value = context.params["option"], context.other() or ""
    kept: list[str] = []
    form: Words = (option, value)
    given = iter(words)
    for word in given:
        if word == option:
            next(given, None)
        elif word.startswith(f"{option}="):
            form = (f"{option}={value}",)
        else:
            kept.append(word)
    return (*kept, *form)


def _mentions(words: Words, context: Context) -> Words:
    return (*words, context.other() or "")


_SAYING: Final[Mapping[str, Callable[[Words, Context], Words]]] = {
    "program": _program,
    "argument": _argument,
    "option": _option,
    "mentions": _mentions,
}
"""For each check of a command's words: the words that pass it."""
