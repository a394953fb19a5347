"""For each check that contract.toml declares rules with: values near a right one that break it.

A breaker gets a value that passes and the rule's context, and yields (how, broken value).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from contracts.commands import is_windows_path, join_command, option_values
from contracts.mutations.keywords import Broken, typos
from contracts.rules import Context


def _not_utc(value: str, _context: Context) -> Iterator[Broken]:
    if value.endswith("Z"):
        yield "with offset zero", value[:-1] + "+00:00"
        yield "with an unknown offset", value[:-1] + "-00:00"
        yield "in lower case", value.lower()


def _not_absolute(value: str, _context: Context) -> Iterator[Broken]:
    separator = "\\" if is_windows_path(value) else "/"
    path = value.lstrip("/") if separator == "/" else value[3:]
    yield "relative", path
    yield "relative to here", f".{separator}{path}"
    yield "relative to the home directory", f"~{separator}{path}"
    yield "as a URL", f"file:///{path}"
    yield "on a network share", rf"\\server\{path}"
    yield "without a drive", rf"\{path}"
    yield "relative to a drive", f"C:{path}"


def _not_normal(value: str, _context: Context) -> Iterator[Broken]:
    separator = "\\" if is_windows_path(value) else "/"
    stem = value.rstrip(separator)
    yield "with a separator after it", f"{stem}{separator}x{separator}"
    yield "with a separator twice", f"{stem}{separator * 2}x"
    yield "by way of '.'", f"{stem}{separator}.{separator}x"
    yield "by way of '..'", f"{stem}{separator}..{separator}x"
    yield "ending in '.'", f"{stem}{separator}."
    if separator == "\\":
        yield "with slashes the other way", value.replace("\\", "/")
    else:
        yield "with two slashes before it", f"//{value.lstrip('/')}"


_TAILS: Final = {
    "with a pipe": " | tee out",
    "and another": " && true",
    "in the background": " &",
    "writing a file": " > out",
    "reading a file": " < in",
    "with half a quotation": ' "x',
}
_POSIX_TAILS: Final = {
    "then another": "; true",
    "with a variable": " $HOME",
    "with a variable in quotes": ' "$HOME"',
    "with a command in it": " $(pwd)",
    "with a command in it, in quotes": ' "$(pwd)"',
    "with backquotes": " `pwd`",
    "with half a single quotation": " 'x",
    "with an open escape": " \\",
    "in two lines": "\ntrue",
    "with a comment": " # x",
    "with a name pattern": " *",
    "with a name pattern of one letter": " ?",
    "with a name pattern of letters": " [ab]",
    "with alternatives": " {a,b}",
    "with a home directory": " ~/x",
    "with a subshell": " (true)",
}
_WINDOWS_TAILS: Final = {
    "with a variable": " %PATH%",
    "with a variable in quotes": ' "%PATH%"',
    "with an escape": " ^x",
    "in two lines": "\r\ntrue",
}


def _not_one_command(value: str, context: Context) -> Iterator[Broken]:
    for how, tail in (_TAILS | (_WINDOWS_TAILS if context.is_windows else _POSIX_TAILS)).items():
        yield how, value + tail


def _another_program(value: str, context: Context) -> Iterator[Broken]:
    words, wanted = context.split(value), context.params["words"]
    for index, word in enumerate(wanted):
        yield f"without {word!r}", _joined(words[:index] + words[index + 1 :], context)
        yield f"with another word for {word!r}", _joined((*words[:index], f"{word}x", *words[index + 1 :]), context)
    yield "by path", _joined((f"/usr/bin/{words[0]}", *words[1:]), context)
    yield "by way of another program", _joined(("sudo", *words), context)


def _another_argument(value: str, context: Context) -> Iterator[Broken]:
    words, position = context.split(value), context.params["position"]
    yield "with another", _joined((*words[:position], f"{words[position]}x", *words[position + 1 :]), context)
    yield "in capitals", _joined((*words[:position], words[position].upper() + "X", *words[position + 1 :]), context)
    yield "without it", _joined(words[:position] + words[position + 1 :], context)
    yield "cut off before it", _joined(words[:position], context)
    yield "after another word", _joined((*words[:position], "--verbose", *words[position:]), context)


def _another_option(value: str, context: Context) -> Iterator[Broken]:
    words, option, wanted = context.split(value), context.params["option"], context.other() or ""
    given, bare = option_values(words, option), _without_option(words, option)
    yield "another", _joined((*bare, option, f"{wanted}x"), context)
    yield "another, after '='", _joined((*bare, f"{option}={wanted}x"), context)
    yield "without its value", _joined((*bare, option), context)
    yield "with an empty value", _joined((*bare, f"{option}="), context)
    yield "and another", _joined((*bare, option, wanted, option, f"{wanted}x"), context)
    if given and wanted != context.params.get("default"):
        yield "left out", _joined(bare, context)


def _without_option(words: tuple[str, ...], option: str) -> tuple[str, ...]:
    return tuple(
        word
        for before, word in zip(("", *words), words, strict=False)
        if option not in (word, before) and not word.startswith(f"{option}=")
    )


def _no_mention(value: str, context: Context) -> Iterator[Broken]:
    words, wanted = context.split(value), context.other()
    yield "naming another", _joined(tuple(f"{word}x" if word == wanted else word for word in words), context)
    yield "naming nobody", _joined(tuple(word for word in words if word != wanted), context)
    yield "empty", ""


def _joined(words: tuple[str, ...], context: Context) -> str:
    return join_command(words, windows=context.is_windows)


def _unknown(value: str, context: Context) -> Iterator[Broken]:
    yield from ((how, text) for how, text in typos(value) if text not in context.params["values"])


def _as_float(value: float, _context: Context) -> Iterator[Broken]:
    yield "with a point", float(value)


def _too_little(_value: float, context: Context) -> Iterator[Broken]:
    yield "one less than wanted", context.params["minimum"] - 1


def _with_secret(value: str, _context: Context) -> Iterator[Broken]:
    for kind, secret in SECRETS.items():
        yield f"with {kind} after it", f"{value} {secret}"
        yield f"replaced by {kind}", secret


def _with_url_credentials(value: str, _context: Context) -> Iterator[Broken]:
    for kind, url in _URLS.items():
        yield f"with {kind} after it", f"{value} {url}"
        yield f"replaced by {kind}", url


def _with_control_character(value: str, _context: Context) -> Iterator[Broken]:
    middle = len(value) // 2
    for letter in _CONTROLS:
        name = f"U+{ord(letter):04X}"
        yield f"with {name} inside", value[:middle] + letter + value[middle:]
        yield f"with {name} after it", value + letter


# Never real: from the vendors' documentation, or made up to their pattern.
SECRETS: Final[Mapping[str, str]] = {
    "a key id of AWS": "AKIAIOSFODNN7EXAMPLE",
    "a token of GitHub": "ghp_" + "a1B2" * 9,
    "a token of Slack": "xoxb-123456789012-abcdefghijkl",
    "a signed token (JWT)": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "a private key": "-----BEGIN RSA PRIVATE KEY-----",
    "a password as an option": "--password hunter2hunter2",
    "a token in the environment": "API_TOKEN=hunter2hunter2",
    "an Authorization header": "Authorization: Bearer abcdefgh12345678",
}
"""Texts that hold a secret, by what it is."""
_URLS: Final = {
    "a URL with user and password": "https://worsch:hunter22@git.example/x",
    "a URL with a token": "https://x-token@git.example",
    "a URL of NATS with a password": "nats://emitter:hunter22@nats.example:4222",
}
_CONTROLS: Final = "\0\t\n\r\x1b\x1f\x7f\x85\x9b\u2028\u2029"

CHECKS: Final[Mapping[str, Callable[[Any, Context], Iterator[Broken]]]] = {
    "utc": _not_utc,
    "absolute-path": _not_absolute,
    "normalised-path": _not_normal,
    "one-command": _not_one_command,
    "program": _another_program,
    "argument": _another_argument,
    "option": _another_option,
    "mentions": _no_mention,
    "known": _unknown,
    "integer-literal": _as_float,
    "at-least": _too_little,
    "no-secret": _with_secret,
    "no-url-credentials": _with_url_credentials,
    "one-line": _with_control_character,
}
"""Breakers by the name of the check that contract.toml declares the rule with."""
