"""A command is read as the shell of its platform would read it, and never run."""

from __future__ import annotations

import shlex
import subprocess
from contextlib import suppress
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.model.shell_words import UnreadableCommand, is_windows_path, join_command, option_values, split_command

ONE_COMMAND = {
    "kaizen-agentic schedule prepare coach --target /srv/x": [
        "kaizen-agentic",
        "schedule",
        "prepare",
        "coach",
        "--target",
        "/srv/x",
    ],
    "a 'b c' d": ["a", "b c", "d"],
    'a "b c" d': ["a", "b c", "d"],
    "a b\\ c": ["a", "b c"],
    "a 'it'\"'\"'s'": ["a", "it's"],
    "a 'b;c|d&e>f<g$h`i'": ["a", "b;c|d&e>f<g$h`i"],
    'a "b;c|d&e>f<g(h)"': ["a", "b;c|d&e>f<g(h)"],
    "a \\;": ["a", ";"],
    "a  b ": ["a", "b"],
    "a ''": ["a", ""],
    "a --x='<s>'": ["a", "--x=<s>"],
    "": [],
}

NOT_ONE_COMMAND = {
    "a; b": "';'",
    "a && b": "'&'",
    "a &": "'&'",
    "a | b": "'|'",
    "a > b": "'>'",
    "a < b": "'<'",
    "a <b>": "'<'",
    "(a)": "'('",
    "a `b`": "'`'",
    "a $(b)": "'$'",
    "a $B": "'$'",
    'a "$B"': "'$'",
    'a "`b`"': "'`'",
    "a\nb": r"'\n'",
    "a\r": r"'\r'",
    "a 'b": "no closing quotation",
    'a "b': "no closing quotation",
    "a \\": "no escaped character",
}

WINDOWS = {
    r"a --target C:\srv\x": ["a", "--target", r"C:\srv\x"],
    r'a --target "C:\Program Files\x"': ["a", "--target", r"C:\Program Files\x"],
    r'a --target="C:\Program Files\x" b': ["a", r"--target=C:\Program Files\x", "b"],
    'a "b&c|d"': ["a", "b&c|d"],
}

NOT_ON_WINDOWS = {
    "a & b": "'&'",
    "a | b": "'|'",
    "a > b": "'>'",
    "a ^b": "'^'",
    "a %PATH%": "'%'",
    'a "b': "no closing quotation",
}

PLACEHOLDERS = {
    "a --time <s> --quality <0-1>": ["a", "--time", "s", "--quality", "0-1"],
    "a --time=<s>": ["a", "--time=s"],
    "a '<s>'": ["a", "s"],
    "<path/to/file>": ["path/to/file"],
    "a <daily|weekly>": ["a", "daily/weekly"],
}

NO_PLACEHOLDERS = ["a <s", "a s>", "a <>", "a <s>b", "a b<s>", "a <s><t>", "a < s >", "a <s t>", "a <-s>", "a <s >file"]

# What a command may hold: no control characters, no invisible ones; and its first word names a program.
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), max_size=10)
WORDS = st.lists(TEXT, max_size=6).map(lambda words: ["program", *words])


@pytest.mark.parametrize(("text", "words"), ONE_COMMAND.items(), ids=repr)
def test_one_command_is_split_into_its_words(text: str, words: list[str]) -> None:
    assert list(split_command(text)) == words


@pytest.mark.parametrize(("text", "reason"), NOT_ONE_COMMAND.items(), ids=repr)
def test_what_a_shell_would_read_as_more_than_one_plain_command_is_refused(text: str, reason: str) -> None:
    with pytest.raises(UnreadableCommand) as refused:
        split_command(text)

    assert reason in str(refused.value)


@pytest.mark.parametrize(("text", "words"), WINDOWS.items(), ids=repr)
def test_a_command_of_a_windows_checkout_is_split_as_windows_does(text: str, words: list[str]) -> None:
    assert list(split_command(text, windows=True)) == words


@pytest.mark.parametrize(("text", "reason"), NOT_ON_WINDOWS.items(), ids=repr)
def test_what_windows_would_read_as_more_than_one_plain_command_is_refused(text: str, reason: str) -> None:
    with pytest.raises(UnreadableCommand) as refused:
        split_command(text, windows=True)

    assert reason in str(refused.value)


@pytest.mark.parametrize(("text", "words"), PLACEHOLDERS.items(), ids=repr)
def test_a_placeholder_is_a_word_where_placeholders_may_be(text: str, words: list[str]) -> None:
    assert list(split_command(text, placeholders=True)) == words


@pytest.mark.parametrize("text", [*PLACEHOLDERS, *NO_PLACEHOLDERS], ids=repr)
def test_an_angle_bracket_that_is_no_placeholder_redirects(text: str) -> None:
    placeholders = text not in PLACEHOLDERS
    if not placeholders and "'" in text:
        return  # quoted, it is plain text to any shell

    with pytest.raises(UnreadableCommand):
        split_command(text, placeholders=placeholders)


@given(WORDS)
def test_what_is_quoted_for_a_posix_shell_comes_back_word_for_word(words: list[str]) -> None:
    assert list(split_command(join_command(words))) == words


@given(WORDS)
def test_what_python_quotes_for_a_posix_shell_is_read_or_refused_and_never_misread(words: list[str]) -> None:
    with suppress(UnreadableCommand):
        assert list(split_command(shlex.join(words))) == words


@given(st.lists(st.text("ab :/._-\\", min_size=1, max_size=10).filter(lambda word: word[-1] != "\\"), max_size=5))
def test_what_is_quoted_for_windows_comes_back_word_for_word(words: list[str]) -> None:
    words = ["program", *words]

    assert list(split_command(join_command(words, windows=True), windows=True)) == words


@given(st.text(alphabet="ab '\"\\;&|<>$`\n-=", max_size=30), st.booleans(), st.booleans())
def test_any_text_is_split_or_refused_and_nothing_else(text: str, windows: bool, placeholders: bool) -> None:  # noqa: FBT001
    try:
        words = split_command(text, windows=windows, placeholders=placeholders)
    except UnreadableCommand as refused:
        assert str(refused)  # noqa: PT017
    else:
        assert all(isinstance(word, str) for word in words)


@given(st.text(alphabet="ab '\"\\", max_size=20))
def test_a_plain_command_has_the_words_that_a_real_shell_gives_it(text: str) -> None:
    try:
        words = split_command(text)
    except UnreadableCommand:
        return

    assert list(words) == shlex.split(text)


def test_a_real_shell_agrees_on_the_words_of_every_plain_command() -> None:
    for text, words in ONE_COMMAND.items():
        script = f'set -- {text}\nfor word in "$@"; do printf "%s\\0" "$word"; done'
        shell = subprocess.run(["sh", "-c", script], capture_output=True, check=True, text=True)
        assert shell.stdout.split("\0")[:-1] == words, text


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a --target /x", ["/x"]),
        ("a --target=/x", ["/x"]),
        ("a --target=", [""]),
        ("a --target", [None]),
        ("a --target /x --target=/y", ["/x", "/y"]),
        ("a --targets /x", []),
        ("a", []),
    ],
)
def test_every_value_of_an_option_is_found_however_it_is_given(text: str, values: list[str | None]) -> None:
    assert option_values(split_command(text), "--target") == values


@pytest.mark.parametrize(
    ("path", "is_windows"),
    [("C:\\srv", True), ("c:/srv", True), ("/srv", False), ("C:srv", False), ("\\\\host\\share", False), ("", False)],
)
def test_a_windows_path_starts_with_a_drive(path: str, is_windows: bool) -> None:  # noqa: FBT001
    assert is_windows_path(path) is is_windows


@pytest.mark.parametrize(
    "text",
    ["'" * 65000, '"' * 64999, '"' + "\\" * 64999, "a'b' " * 13000, "<a> " * 16000, "<" * 65000, "'" + "a" * 64000],
)
def test_no_command_of_the_allowed_size_takes_more_than_a_moment(text: str) -> None:
    start = process_time()
    for windows in (True, False):
        with suppress(UnreadableCommand):
            split_command(text, windows=windows, placeholders=True)

    assert process_time() - start < 2  # a quadratic reader takes minutes
