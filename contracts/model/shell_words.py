"""Read a command line for comparison only. This project never runs a command from an event.

People paste these commands into a shell, so a command is readable only where every shell of its platform runs exactly
one program with exactly the words that are read here. Outside quotes, characters are allowed by list: an unlisted
character is refused, so no list of dangerous ones has to be complete.

POSIX    sh, dash, bash (with history expansion), zsh, ksh
Windows  PowerShell and cmd.exe; a POSIX shell may read other words, but runs nothing else
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

# The common case without a tokeniser: words that every shell of both platforms reads alike.
_PLAIN = re.compile(
    r"[A-Za-z_][A-Za-z0-9_.-]*"
    r"(?: (?:--[A-Za-z0-9_-]*(?:=[A-Za-z0-9_./:+-]*)?|-[A-Za-z0-9_]*|[A-Za-z0-9_./][A-Za-z0-9_./:+-]*))*"
)
# `=` after a letter only: zsh replaces a word `=cmd` by the path of cmd, and after `==` or `:=` on request.
# Any character beyond ASCII is `[^\x00-\x7f]` beside a set, not a range in it: a set with such a range takes 12 ms to
# compile, and every `contracts check` would wait for it.
_POSIX = re.compile(
    r"(?P<gap>[ \t]+)"
    r"|(?P<bare>(?:[A-Za-z0-9_./:@+,%-]|[^\x00-\x7f]|(?<=[A-Za-z0-9_-])=)+)"
    r"|\\(?P<escaped>[ -~])"
    r"|'(?P<single>[^']*)'(?!')"  # zsh with RC_QUOTES reads '' inside single quotes as a quote
    r'|"(?P<double>(?:[^"\\$`!]|\\["\\])*)"'
)
# A whole word. PowerShell splits `-name.x` and `-name:x`, makes a list of `a,b`, and reads @, {, ( and # its own way;
# cmd.exe has ^ and %. Quotes enclose a whole value: the shells disagree on `a"b"`, on `""` and on `\"`.
_WINDOWS = re.compile(
    r"(?P<gap>[ \t]+)"
    r'|(?:(?P<option>--[A-Za-z0-9_-]+=)?"(?P<double>[^"$`%!]+)(?<!\\)"'
    r"|(?P<bare>--[A-Za-z0-9_-]*(?:=(?:[A-Za-z0-9_./\\:+-]|[^\x00-\x7f])*)?"
    r"|-[A-Za-z0-9_]*"
    r"|(?:[A-Za-z0-9_./\\+]|[^\x00-\x7f])"
    r"(?:[A-Za-z0-9_./\\:+-]|[^\x00-\x7f]|(?<=[A-Za-z0-9])(?:[@=]|~(?=[0-9])))*"
    r"))(?=[ \t]|\Z)"
)
_POSIX_BARE = re.compile(r"(?:[A-Za-z0-9_./:@+,%-]|(?<=[A-Za-z0-9_-])=)+")
_ODD_ON_WINDOWS = re.compile(r"(?![A-Za-z0-9_./\\:+=@~-])[\x00-\x7f]")
_PROGRAM = re.compile(r"(?:[A-Za-z0-9_./]|[^\x00-\x7f])[^=]*")
_WINDOWS_PROGRAM = re.compile(r"[A-Za-z_](?:[A-Za-z0-9_.\\+-]|(?<=\A[A-Za-z]):(?=\\))*")
# What a shell runs itself: reserved words, builtins, and the aliases that it brings along.
_BUILTINS_OF_POSIX_SHELLS: Final = """
! . : [ [[ ]] alias autoload bg bind bindkey break builtin bye caller case cd chdir command compadd comparguments
compcall compctl compdescribe compfiles compgen compgroups complete compopt compound compquote compset comptags
comptry compvalues continue coproc declare dirs disable disown do done echo echotc echoti elif else emulate enable
end enum esac eval exec exit export false fc fg fi float for foreach function functions getconf getln getopts hash
help hist history if in integer jobs kill let limit local log login logout mapfile nameref newgrp nocorrect noglob
nohup popd print printf private pushd pushln pwd r read readarray readonly redirect rehash repeat return sched
select set setopt shift shopt sleep source stop suspend test then time times trap true ttyctl type typeset ulimit
umask unalias unfunction unhash unlimit unset unsetopt until vared wait whence where which while zcompile zformat
zle zmodload zparseopts zregexparse zstyle { }
"""
_BUILTINS_OF_CMD: Final = """
assoc break call cd chdir cls color copy date del dir dpath echo endlocal erase exit for ftype goto if keys md mkdir
mklink move path pause popd prompt pushd rd rem ren rename rmdir set setlocal shift start time title type ver verify
vol
"""
_KEYWORDS_OF_POWERSHELL: Final = """
begin catch class clean configuration continue data define do dynamicparam else elseif end enum exit filter finally
foreach from function hidden in inlinescript param parallel process return sequence static switch throw trap try
until using var while workflow
"""
_ALIASES_OF_POWERSHELL: Final = """
ac asnp cat cfs clc clear clhy cli clp clv cnsn compare cp cpi cpp curl cvpa dbp diff dnsn ebp epal epcsv epsn erase
etsn exsn fc fhx fl ft fw gal gbp gc gcb gci gcm gcs gdr gerr ghy gi gin gjb gl gm gmo gp gps gpv group gsn gsnp gsv
gtz gu gv gwmi h history icm iex ihy ii ipal ipcsv ipmo ipsn irm ise iwmi iwr kill lp ls man measure mi mount mp mv
nal ndr ni nmo npssc nsn nv ogv oh ps pwd r rbp rcjb rcsn rdr ri rjb rmo rni rnp rp rsn rsnp rujb rv rvpa rwmi sajb
sal saps sasv sbp sc scb select shcm si sl sleep sls sort sp spjb spps spsv stz sujb sv swmi tee trcm wget where wjb
write
"""
_POSIX_BUILTINS: Final = frozenset(_BUILTINS_OF_POSIX_SHELLS.split())
_WINDOWS_BUILTINS: Final = frozenset(f"{_BUILTINS_OF_CMD} {_KEYWORDS_OF_POWERSHELL} {_ALIASES_OF_POWERSHELL}".split())
# PowerShell's approved verbs: `Invoke-Expression` and its kind are commands of the shell.
_VERBS_OF_CMDLETS: Final = """
add approve assert backup block build checkpoint clear close compare complete compress confirm connect convert
convertfrom convertto copy debug deny deploy disable disconnect dismount edit enable enter exit expand export find
foreach format get grant group hide import initialize install invoke join limit lock measure merge mount move new
open optimize out ping pop protect publish push read receive redo register remove rename repair request reset
resize resolve restart restore resume revoke save search select send set show skip sort split start step stop
submit suspend switch sync tee test trace unblock undo uninstall unlock unprotect unpublish unregister update use
wait watch where write
"""
_CMDLET_VERBS: Final = frozenset(_VERBS_OF_CMDLETS.split())
_ESCAPED = re.compile(r'\\(["\\])')
_OPERATORS: Final = ";&|<>()\r\n"
# `<s>`, `<0-1>`, `<path/to/file>`: a whole word, or the value after '='; anything else with '<' redirects.
_PLACEHOLDER = re.compile(r"(?:(?<=[\s=\"'])|^)<[A-Za-z0-9][A-Za-z0-9_.:|/-]{0,63}>(?=[\s\"']|$)")
_LONG_OPTION = re.compile(r"--[A-Za-z0-9_-]+")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


class UnreadableCommand(ValueError):
    """Not one plain command; the message names the reason."""


def is_windows_path(path: str) -> bool:
    r"""Return whether the path starts with a Windows drive, such as C:\ (a POSIX path never does)."""
    return _DRIVE.match(path) is not None


@lru_cache(maxsize=1024)
def plain_words(text: str) -> tuple[str, ...] | None:
    """Split at its spaces a command that is plain to every shell; None where `split_command` has to read it."""
    if not _PLAIN.fullmatch(text):
        return None
    words = tuple(text.split(" "))
    return None if _is_builtin(words[0], windows=True) or _is_builtin(words[0], windows=False) else words


@lru_cache(maxsize=1024)
def split_command(text: str, *, windows: bool = False, placeholders: bool = False) -> tuple[str, ...]:
    """Split one command into its words, as every shell of the checkout's platform does.

    Where `placeholders` may occur, `<s>` becomes the word `s`: the spec's own `session_close` holds them.

    Raises:
        UnreadableCommand: a shell would read something else; names what.
    """
    if words := plain_words(text):
        return words
    if placeholders:
        text = _PLACEHOLDER.sub(lambda match: match.group()[1:-1].replace("|", "/"), text)
        if words := plain_words(text):
            return words
    _refuse_invisible(text)
    words = _split_windows(text) if windows else _split_posix(text)
    if words:
        _refuse_builtin(words[0], windows=windows)
    return words


def _split_posix(text: str) -> tuple[str, ...]:
    words: list[str] = []
    parts: list[str] = []
    after_double_quotes = False
    at = 0
    while at < len(text):
        match = _POSIX.match(text, at)
        if match is None:
            raise UnreadableCommand(_why(text, at, "$`!"))
        at = match.end()
        kind = match.lastgroup or ""
        part = match[kind]
        if kind == "gap":
            if parts:
                words.append("".join(parts))
            parts = []
            continue
        if kind == "bare":
            _refuse_symbols(part)
        elif kind == "double":
            part = _ESCAPED.sub(r"\1", part)
            after_double_quotes = True
        elif kind == "single" and after_double_quotes and "!" in part:  # bash before 4 loses track of quotes in quotes
            raise UnreadableCommand("'!' behind a text in double quotes")
        parts.append(part)
    return (*words, "".join(parts)) if parts else tuple(words)


def _split_windows(text: str) -> tuple[str, ...]:
    words: list[str] = []
    at = 0
    while at < len(text):
        match = _WINDOWS.match(text, at)
        if match is None:
            odd = _ODD_ON_WINDOWS.search(text, at)
            raise UnreadableCommand(_why(text, odd.start() if odd else at, "$`%!"))
        at = match.end()
        if match["double"] is not None:
            _refuse_symbols(match["double"])  # PowerShell ends a string at a curly quote, too
            words.append((match["option"] or "") + match["double"])
        elif match["bare"]:
            _refuse_symbols(match["bare"])
            words.append(match["bare"])
    return tuple(words)


def _why(text: str, at: int, expansions: str) -> str:
    """Return why no word can be read at a position, showing at most one character of it."""
    letter = text[at]
    if letter in _OPERATORS:
        return f"the shell operator {letter!r}"
    if letter in "\"'":
        rest = text[at + 1 :]
        if letter not in rest:
            return "unbalanced quoting (no closing quotation)"
        if letter == '"':
            for found in rest:
                if found in expansions:
                    return f"the expansion {found!r} in double quotes"
    if letter == "\\" and at + 1 == len(text):
        return "unbalanced quoting (no escaped character)"
    if letter.isalnum() or letter.isspace():
        return "a word that shells read in different ways"
    return f"the character {letter!r} in a place where shells disagree on it"


def _refuse_invisible(text: str) -> None:
    if text.isprintable():
        return
    import unicodedata  # noqa: PLC0415 - few commands need it

    for letter in text:
        if not letter.isprintable() and letter != "\t" and unicodedata.category(letter) != "Zs":
            name = repr(letter) if letter.isascii() else f"U+{ord(letter):04X}"
            raise UnreadableCommand(f"the invisible character {name}")


def _refuse_symbols(text: str) -> None:
    """Refuse spaces, quotes, dashes and symbols beyond ASCII; letters, marks and digits of any script may stay."""
    if text.isascii():
        return
    import unicodedata  # noqa: PLC0415 - few commands need it

    for letter in text:
        if not letter.isascii() and unicodedata.category(letter)[0] not in "LMN":
            raise UnreadableCommand(f"the character U+{ord(letter):04X} in a place where shells disagree on it")


def _refuse_builtin(program: str, *, windows: bool) -> None:
    if _is_builtin(program, windows=windows):
        raise UnreadableCommand("a word that the shell runs itself in place of a program")
    if not (_WINDOWS_PROGRAM if windows else _PROGRAM).fullmatch(program):
        raise UnreadableCommand("a first word that is no program's name")


def _is_builtin(program: str, *, windows: bool) -> bool:
    if program in _POSIX_BUILTINS or (
        windows and program.replace("\\", "") in _POSIX_BUILTINS
    ):  # sh reads e\val as eval
        return True
    return windows and (program.lower() in _WINDOWS_BUILTINS or _is_cmdlet(program))


def _is_cmdlet(program: str) -> bool:
    verb, dash, noun = program.partition("-")
    return bool(dash) and verb.lower() in _CMDLET_VERBS and re.fullmatch(r"\w+", noun) is not None


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
    return " ".join(map(_quoted_for_windows if windows else _quoted_for_posix, words))


def _quoted_for_posix(word: str) -> str:
    return word if _POSIX_BARE.fullmatch(word) else "'" + word.replace("'", r"'\''") + "'"


def _quoted_for_windows(word: str) -> str:
    plain = _WINDOWS.fullmatch(word)
    if plain and plain["bare"]:
        return word
    option, equals, value = word.partition("=")
    return f'{option}="{value}"' if equals and _LONG_OPTION.fullmatch(option) else f'"{word}"'


def map_words(text: str, change: Callable[[str], str], *, windows: bool = False, to_windows: bool = False) -> str:
    """Return a command with each of its words changed, written for a checkout on Windows or not; `<s>` stays `<s>`.

    Where no word changes, the text stays as it is, its quoting included.

    Raises:
        UnreadableCommand: unbalanced quotes, a shell operator or an expansion; names it.
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
    written = join_command(changed, windows=to_windows)
    for number, placeholder in enumerate(held, 1):
        written = written.replace(f"{mark}.{number}.", placeholder)
    return written
