"""Read a command line for comparison only. Nothing in this house runs what an event says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

# Letters that mean themselves to every shell, cmd.exe included: the common case, without a tokeniser.
_PLAIN = re.compile(r"[A-Za-z0-9_./:=@+,-]+(?: [A-Za-z0-9_./:=@+,-]+)*")
_QUOTED = re.compile(r"""\\.|'[^']*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
_OPERATORS = re.compile(r"[;&|<>()`$\r\n]")
_EXPANSIONS = re.compile(r"[`$]")
# What else a shell replaces before it runs anything: file name patterns, alternatives, a home directory; and a
# comment, behind which the words that follow are words to shlex only.
_REPLACED = re.compile(r"[*?]|\[[^\s\[\]]+\]|\{[^\s{},]*,[^\s{}]*\}|\{[^\s{}.]*\.\.[^\s{}]*\}|(?:(?<=\s)|^)[~#]")
# cmd.exe has other operators, and its quotes are double quotes alone.
_WINDOWS_QUOTED = re.compile(r'"[^"]*"')
_WINDOWS_OPERATORS = re.compile(r"[&|<>^%\r\n]")
_WINDOWS_SPECIAL = re.compile(r"[\s&|<>^%()]")
# `<s>`, `<0-1>`, `<path/to/file>`: a whole word, or the value after '='; anything else with '<' redirects.
_PLACEHOLDER = re.compile(r"(?:(?<=[\s=\"'])|^)<[A-Za-z0-9][A-Za-z0-9_.:|/-]{0,63}>(?=[\s\"']|$)")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


class UnreadableCommand(ValueError):
    """Not one plain command; the message says what stands in the way."""


def is_windows_path(path: str) -> bool:
    r"""Say whether the path starts with a Windows drive, such as C:\ (a POSIX path never does)."""
    return _DRIVE.match(path) is not None


@lru_cache(maxsize=1024)
def plain_words(text: str) -> tuple[str, ...] | None:
    """Split at its spaces a command that is plain to every shell; None where one might read it otherwise."""
    return tuple(text.split(" ")) if _PLAIN.fullmatch(text) else None


@lru_cache(maxsize=1024)
def split_command(text: str, *, windows: bool = False, placeholders: bool = False) -> tuple[str, ...]:
    """Split one command into its words, as the shell of the checkout's platform would.

    Where `placeholders` may occur, `<s>` becomes the word `s`: the spec's own `session_close` holds them.

    Raises:
        UnreadableCommand: unbalanced quotes, a shell operator or an expansion; says which.
    """
    if words := plain_words(text):
        return words
    if placeholders:
        text = _PLACEHOLDER.sub(lambda match: match.group()[1:-1].replace("|", "/"), text)
        if words := plain_words(text):
            return words
    return _split_windows(text) if windows else _split_posix(text)


def _split_posix(text: str) -> tuple[str, ...]:
    for quoted in _QUOTED.findall(text):
        if quoted.startswith('"') and (found := _EXPANSIONS.search(quoted)):
            raise UnreadableCommand(f"the expansion {found.group()!r} in double quotes")
    bare = _QUOTED.sub("_", text)
    if found := _OPERATORS.search(bare):
        raise UnreadableCommand(f"the shell operator {found.group()!r}")
    if found := _REPLACED.search(bare):
        raise UnreadableCommand(f"the expansion or comment {found.group()[:1]!r}")
    import shlex  # noqa: PLC0415 - most commands are plain, and need no tokeniser

    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise UnreadableCommand(f"unbalanced quoting ({str(error).lower()})") from None


def _split_windows(text: str) -> tuple[str, ...]:
    bare = _WINDOWS_QUOTED.sub("_", text)
    if found := _WINDOWS_OPERATORS.search(bare):
        raise UnreadableCommand(f"the shell operator {found.group()!r}")
    if any("%" in quoted for quoted in _WINDOWS_QUOTED.findall(text)):
        raise UnreadableCommand("the expansion '%' in double quotes")
    if '"' in bare:
        raise UnreadableCommand("unbalanced quoting (no closing quotation)")
    return tuple(word.replace('"', "") for word in re.findall(r'(?:[^\s"]|"[^"]*")+', text))


def option_values(words: tuple[str, ...], option: str) -> list[str | None]:
    """List the values given for an option, as `--option value` or `--option=value`; None where it is cut off."""
    values: list[str | None] = []
    for index, word in enumerate(words):
        if not word.startswith(option):
            continue
        if word == option:
            values.append(words[index + 1] if index + 1 < len(words) else None)
        elif word[len(option)] == "=":
            values.append(word[len(option) + 1 :])
    return values


def join_command(words: Iterable[str], *, windows: bool = False) -> str:
    """Write words as one command, quoted where the platform's shell needs it: what `split_command` splits."""
    if not windows:
        import shlex  # noqa: PLC0415 - only commands that are written here

        return shlex.join(words)
    return " ".join(f'"{word}"' if not word or _WINDOWS_SPECIAL.search(word) else word for word in words)


def map_words(text: str, change: Callable[[str], str], *, windows: bool = False, to_windows: bool = False) -> str:
    """Return a command with each of its words changed, written for a checkout on Windows or not; `<s>` stays `<s>`.

    Where no word changes, the text stays as it is, its quoting included.

    Raises:
        UnreadableCommand: unbalanced quotes, a shell operator or an expansion; says which.
    """
    mark, held = "placeholder", []
    while mark in text:
        mark += "x"

    def hold(match: re.Match[str]) -> str:
        held.append(match.group())
        return f"{mark}.{len(held)}."

    words = split_command(_PLACEHOLDER.sub(hold, text), windows=windows)
    changed = tuple(map(change, words))
    if changed == words:
        return text
    told = join_command(changed, windows=to_windows)
    for number, placeholder in enumerate(held, 1):
        told = told.replace(f"{mark}.{number}.", placeholder)
    return told
