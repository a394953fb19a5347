"""What JSON Schema cannot express: the vocabulary of checks that contract.toml declares rules with.

A check gets the values that its rule's `at` selects, and yields a `Problem` for each that breaks the rule.
Values of the wrong type are the schema's business and never reach a check; neither does a comparison
with a field that is not there.
"""

from __future__ import annotations

import ntpath
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from contracts.model.counted import counted
from contracts.model.did_you_mean import nearest
from contracts.model.rfc3339 import is_rfc3339
from contracts.model.secrets import has_url_credentials, is_suspicious, secret_kind
from contracts.model.shell_words import UnreadableCommand, is_windows_path, option_values, plain_words, split_command
from contracts.model.violation import resolve, show

# What breaks a line or controls a terminal: C0, DEL, C1, LINE SEPARATOR and PARAGRAPH SEPARATOR.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class Problem(NamedTuple):
    """Why one value breaks a rule; `nearest` is the nearest valid value, where one is near."""

    found: str
    nearest: str | None = None


POINTING: Final = ("equals", "paths_like")
"""The parameters that point at another text of the payload."""


def text_at(payload: Any, at: str) -> str | None:
    """Return the text that a JSON pointer points at, or None where there is none."""
    _, value = resolve(payload, at)
    return value if isinstance(value, str) else None


class Context:
    """What a check may read beside the value: the rule's parameters, and the texts that `POINTING` ones name."""

    __slots__ = ("_payload", "params")

    def __init__(self, payload: Any, params: Mapping[str, Any]) -> None:
        self._payload, self.params = payload, params

    def other(self) -> str | None:
        """Return the text that the rule's `equals` points at, or None where there is none."""
        return text_at(self._payload, self.params["equals"])

    def words(self, command: str) -> tuple[str, ...] | None:
        """Split a command the way its platform does; None where the rule one-command already reports why."""
        try:
            return self.split(command)
        except UnreadableCommand:
            return None

    def split(self, command: str) -> tuple[str, ...]:
        """Split a command the way its platform does, or raise UnreadableCommand."""
        return plain_words(command) or split_command(
            command, windows=self.is_windows, placeholders=self.params.get("placeholders", False)
        )

    @property
    def is_windows(self) -> bool:
        """Return whether the command belongs to a Windows checkout."""
        if "paths_like" not in self.params:
            return False
        path = text_at(self._payload, self.params["paths_like"])
        return path is not None and is_windows_path(path)


def _utc(value: str, _context: Context) -> Iterator[Problem]:
    if not (value.endswith("Z") and "T" in value) and is_rfc3339(value):
        yield Problem(show(value))


def _absolute_path(value: str, _context: Context) -> Iterator[Problem]:
    if not (value.startswith("/") or is_windows_path(value)):
        yield Problem(show(value))


def _normalised_path(value: str, _context: Context) -> Iterator[Problem]:
    if is_windows_path(value):
        normal = ntpath.normpath(value)
    elif value.startswith("/"):
        normal = posixpath.normpath("/" + value.lstrip("/"))  # normpath keeps a leading '//'
    else:
        return
    if normal != value:
        yield Problem(show(value), show(normal))


def _one_command(value: str, context: Context) -> Iterator[Problem]:
    try:
        context.split(value)
    except UnreadableCommand as error:
        yield Problem(str(error))


# The checks of a command's words never show one: a command is where a credential ends up by mistake.
def _program(value: str, context: Context) -> Iterator[Problem]:
    wanted = tuple(context.params["words"])
    words = context.words(value)
    if words is not None and words[: len(wanted)] != wanted:
        yield Problem("a command that starts otherwise", show(" ".join(wanted)))


def _argument(value: str, context: Context) -> Iterator[Problem]:
    position, wanted, words = context.params["position"], context.other(), context.words(value)
    if wanted is None or words is None:
        return
    found = words[position] if len(words) > position else None
    if found != wanted:
        yield Problem("no argument there" if found is None else "another argument there", show(wanted))


def _option(value: str, context: Context) -> Iterator[Problem]:
    option, wanted, words = context.params["option"], context.other(), context.words(value)
    if wanted is None or words is None:
        return
    given = option_values(words, option)
    for found in given or [context.params.get("default")]:
        if found != wanted:
            what = "no value for" if given and found is None else "another" if given else "no"
            yield Problem(f"{what} {option}", show(f"{option} {wanted}"))


def _mentions(value: str, context: Context) -> Iterator[Problem]:
    wanted, words = context.other(), context.words(value)
    if wanted is not None and words is not None and wanted not in words:
        yield Problem(f"a command of {counted(len(words), 'word')} without it", show(wanted))


def _known_program(value: str, context: Context) -> Iterator[Problem]:
    words, programs = context.words(value), context.params["programs"]
    if words and words[0] not in programs:
        yield Problem("a command of another program", show(programs[0]))


def _known(value: str, context: Context) -> Iterator[Problem]:
    if value not in context.params["values"]:
        near = nearest(value, context.params["values"])
        yield Problem(show(value), show(near) if near else None)


def _integer_literal(value: object, _context: Context) -> Iterator[Problem]:
    if isinstance(value, float) and value == int(value):
        yield Problem(show(value), str(int(value)))


def _at_least(value: float, context: Context) -> Iterator[Problem]:
    if 0 <= value < context.params["minimum"]:
        yield Problem(show(value))


def _no_secret(value: str, _context: Context) -> Iterator[Problem]:
    if kind := secret_kind(value):
        yield Problem(f"what looks like a secret ({kind}; not shown)")


def _no_url_credentials(value: str, _context: Context) -> Iterator[Problem]:
    if has_url_credentials(value):
        yield Problem("a URL with credentials in it (not shown)")


def _one_line(value: str, _context: Context) -> Iterator[Problem]:
    if broken := _CONTROL.findall(value):
        yield Problem(f"control characters ({len(broken)}), the first is U+{ord(broken[0]):04X}")


Check = Callable[[Any, Context], Iterator[Problem]]

CHECKS: Final[Mapping[str, tuple[type | tuple[type, ...], Check]]] = {
    "utc": (str, _utc),
    "absolute-path": (str, _absolute_path),
    "normalised-path": (str, _normalised_path),
    "one-command": (str, _one_command),
    "program": (str, _program),
    "argument": (str, _argument),
    "option": (str, _option),
    "mentions": (str, _mentions),
    "known-program": (str, _known_program),
    "known": (str, _known),
    "integer-literal": ((int, float), _integer_literal),
    "at-least": ((int, float), _at_least),
    "no-secret": (str, _no_secret),
    "no-url-credentials": (str, _no_url_credentials),
    "one-line": (str, _one_line),
}
"""Check by name, with the type of value it reads."""

WORTH_A_SWEEP: Final[Mapping[str, Callable[[str], bool]]] = {
    "no-secret": is_suspicious,
    "no-url-credentials": has_url_credentials,
    "one-line": lambda text: not text.isprintable(),
}
"""For checks over every string: could any in a text that joins them break the rule? False saves checking each."""
