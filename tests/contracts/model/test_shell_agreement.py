"""Every shell that a person may paste a command into runs one program, with exactly the words that are read here."""

from __future__ import annotations

import random
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from contracts.model.shell_words import UnreadableCommand, split_command

COUNT = 20_000
SEED = 12

# How to read lines as an interactive shell does: history expansion is on, as it is where a person types.
SHELLS = {
    "dash": (["dash"], ""),
    "bash": (["bash", "--norc", "--noprofile"], "set -o history\nset -H\n"),
    "bash as sh": (["bash", "--posix", "--norc", "--noprofile"], "set -o history\nset -H\n"),
    "zsh": (["zsh", "-fis"], "PROMPT=\nPS2=\nunsetopt zle\nsetopt banghist\n"),
    "zsh with more options": (
        ["zsh", "-fis"],
        "PROMPT=\nPS2=\nunsetopt zle\nsetopt banghist rcquotes magicequalsubst\n",
    ),
    "ksh": (["ksh"], ""),
}
ALWAYS = {"dash", "bash"}

SPECIAL = "!#$%&'()*+,-./:;<=>?@[\\]^_`{|}~\" "
PIECES = [
    *SPECIAL, *SPECIAL, *"ab1é漢", "e\u0301", "''", '""', "\\'", '\\"', "\\\\", "\\!", "$'a'", "--x=", "-x", "=a",
    "a=b", "~/x", "~root", "{a,b}", "{1..3}", "[ab]", "!!", "!echo", "^a^b", "a#b", "#", "<s>", "/srv/x", "C:\\w",
    "@(a)", "'!a'", "'a b'", '"a b"', "'it'\"'\"'s'", "\t", "\u00a0", "'\u3000'", "$HOME", "`id`", "$(id)", ";", "&",
    "|", "a:b", "a:=b", "==a",
]  # fmt: skip

# Words that are dangerous to one shell at least: each is refused outside quotes under a POSIX root.
REFUSED = [
    "{a,{b}}", "[]a]", "dir=~/x", "!echo", "~user", "~", "=cmd", "x==cmd", "x:=cmd", "^a^b", "*", "a?", "[a-z]",
    "a#b", "#", "$'a'", '$"a"', "\\\n", "$x", "${x}", "$(id)", "`id`", "{a,b}", "{1..3}", "{}", "}", "a=(b)", "@(a)",
    "+(a)", "?(a)", "*(a)", "!(a)", "<(a)", ">(a)", "a;b", "a&b", "a|b", "a>b", "a<b", "2>a", "<<a", '"!a"', '"$a"',
    '"`a`"', '"\\a"', "'a''b'", "a\nb", "a\rb", "\x1b[31m", "'\u202e'", "'\u200b'", "\u201ca\u201d", "a\u00a0b",
    "(a)", "\"a\" '!'",
]  # fmt: skip
NO_PROGRAM = [
    "VAR=x a", "a=b", "a+=b c", "if a", "exec a", "eval a", "time a", "! a", "{ a", "[[ a ]]", "[ a ]", "echo a",
    ". a", ": a", "source a", "alias a", "export a", "builtin a", "command a", "noglob a", "nocorrect a",
    "repeat 3 a", "- a", "%1", "'' a", "a() b", "function a", "coproc a", "trap a", "-a b", "'eval' a", "e\\val a",
    '"exec" a',
]  # fmt: skip

ON_WINDOWS = {
    r"a --target C:\w": ["a", "--target", r"C:\w"],
    r"a --target=C:\w": ["a", r"--target=C:\w"],
    r'a --target "C:\Program Files (x86)\w"': ["a", "--target", r"C:\Program Files (x86)\w"],
    r'a --target="C:\a b"': ["a", r"--target=C:\a b"],
    r"a C:\PROGRA~1\w": ["a", r"C:\PROGRA~1\w"],
    r"a C:\Jörg\漢": ["a", r"C:\Jörg\漢"],
    'a "it\'s; a & b | c > d < e ^ f {g} @h #i, j"': ["a", "it's; a & b | c > d < e ^ f {g} @h #i, j"],
    "a -x --yes -- b": ["a", "-x", "--yes", "--", "b"],
    "a C:\\": ["a", "C:\\"],
}
NOT_ON_WINDOWS = [
    "a ; b", "a;b", "a $(b)", "a `b`", "a $env:X", 'a "$env:X"', 'a "$(b)"', 'a "`b`"', "a %X%", 'a "%X%"', "a & b",
    "a && b", "a | b", "a > b", "a < b", "a ^b", "a ^", "a @(b)", "a @b", "a @{b}", "a --%", "a --% b", "a {b}",
    "a (b)", "a (b", "a #b", "a b,c", "a 'b'", "a it's", "a !b!", 'a "!b!"', "a *", "a ?", "a [b]", "a -b.c",
    "a -b:c", 'a ""', 'a "b""c"', 'a b"c"', 'a "b"c', 'a "b\\"', 'a "b', "a \u201cb\u201d", 'a "b\u201d; c"',
    "a \u2013b", "a ~", "a ~\\b", "a =b", "a\nb", "a\rb", "& a", ". a", '"a b" c', "'a' b", "iex a", "IEX a",
    "Invoke-Expression a", "invoke-expression a", "del a", "start a", "call a", "if a", "foreach a", "Remove-Item a",
    "eval a", "exec a", "1 a", "a=b c", "$x a", "./a b", "@echo a", "rem a", "cmd; a", "%COMSPEC% a", ":a", "[a]",
    "a 1>b", "a 2>&1", "a\tb\x0b", "curl a", "function a", "a \u2018b\u2019",
]  # fmt: skip


@cache
def generated(count: int = COUNT) -> list[tuple[str, tuple[str, ...]]]:
    """Commands that are read as one program, the recorder, with the words that are read; the same ones every time."""
    return _conforming(PIECES, count, windows=False)


def _conforming(every: list[str], count: int, *, windows: bool) -> list[tuple[str, tuple[str, ...]]]:
    choose = random.Random(SEED)
    tries = {piece: (f"recorder a{piece}", f"recorder {piece}") for piece in every}
    alone = [piece for piece in every if any(split_or_none(text, windows=windows) for text in tries[piece])]
    found: dict[str, tuple[str, ...]] = {}
    while len(found) < count:
        # Mostly pieces that pass alone, or hardly a long command would; every kind of piece comes up.
        pieces = choose.choices(alone, k=choose.randint(1, 8)) + choose.choices(every, k=choose.randint(0, 1))
        choose.shuffle(pieces)
        text = "recorder " + "".join(pieces)
        if words := split_or_none(text, windows=windows):
            found[text] = words
    return list(found.items())


@pytest.mark.parametrize("shell", ["bash", "zsh", "zsh with more options"])
def test_history_expansion_is_on_in_the_shells_that_have_it(shell: str) -> None:
    arguments, prelude = SHELLS[shell]
    if shutil.which(arguments[0]) is None and shell not in ALWAYS:
        pytest.skip(f"{arguments[0]} is not installed")
    script = f'{prelude}echo one\necho "two !echo"\n'
    ran = subprocess.run(arguments, input=script, capture_output=True, text=True, timeout=60, check=False)
    assert "two echo one" in ran.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_reads_20_000_conforming_commands_as_they_are_read_here(shell: str, tmp_path: Path) -> None:
    arguments, prelude = SHELLS[shell]
    if shutil.which(arguments[0]) is None and shell not in ALWAYS:
        pytest.skip(f"{arguments[0]} is not installed")
    commands = generated()
    record, empty = tmp_path / "record", tmp_path / "empty"
    empty.mkdir()
    # A function records the words without a process for each. Nothing else is on the PATH, so nothing else can run.
    script = (
        f"{prelude}PATH={empty}\ncd {empty}\nrecorder() {{ printf '%s\\0' \"$@\" '\036' >>{record}; }}\n"
        + "".join(f"{text}\n" for text, _ in commands)
        + "recorder the end\n"
    )
    ran = subprocess.run(arguments, input=script.encode(), capture_output=True, timeout=240, check=False)

    recorded = [entry.split("\0")[:-1] for entry in record.read_bytes().decode().split("\036\0")[:-1]]
    for (text, words), found in zip(commands, recorded, strict=False):
        assert found == list(words[1:]), text
    assert len(recorded) == len(commands) + 1, ran.stderr.decode(errors="replace")[-2000:]
    assert not list(empty.iterdir()), "a command wrote a file"


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_runs_the_one_program_that_a_conforming_command_names(shell: str, tmp_path: Path) -> None:
    arguments, prelude = SHELLS[shell]
    if shutil.which(arguments[0]) is None and shell not in ALWAYS:
        pytest.skip(f"{arguments[0]} is not installed")
    record, programs = tmp_path / "record", tmp_path / "programs"
    programs.mkdir()
    recorder = programs / "recorder"
    recorder.write_text(f"#!{shutil.which('dash')}\nprintf '%s\\0' \"$0\" \"$@\" '\036' >>{record}\n")
    recorder.chmod(0o755)
    commands = generated(200)
    script = f"{prelude}PATH={programs}\ncd {programs}\n" + "".join(f"{text}\n" for text, _ in commands)
    subprocess.run(arguments, input=script.encode(), capture_output=True, timeout=120, check=False)

    recorded = [entry.split("\0")[:-1] for entry in record.read_bytes().decode().split("\036\0")[:-1]]
    assert recorded == [[str(recorder), *words[1:]] for _, words in commands]


@pytest.mark.parametrize("word", REFUSED, ids=repr)
def test_a_word_that_any_posix_shell_would_replace_is_refused(word: str) -> None:
    assert split_or_none(f"kaizen-agentic {word}") is None
    assert split_or_none(f"kaizen-agentic metrics {word} coach") is None


@pytest.mark.parametrize("text", NO_PROGRAM, ids=repr)
def test_what_a_shell_runs_itself_is_refused_as_a_program(text: str) -> None:
    assert split_or_none(text) is None
    assert split_or_none(text, windows=True) is None


@pytest.mark.parametrize(("text", "words"), ON_WINDOWS.items(), ids=repr)
def test_a_command_that_powershell_and_cmd_read_alike_is_split(text: str, words: list[str]) -> None:
    assert list(split_command(text, windows=True)) == words


@pytest.mark.parametrize("text", NOT_ON_WINDOWS, ids=repr)
def test_what_powershell_cmd_or_a_posix_shell_would_run_otherwise_is_refused(text: str) -> None:
    assert split_or_none(text, windows=True) is None


def test_no_command_of_a_windows_checkout_runs_anything_else_in_a_posix_shell(tmp_path: Path) -> None:
    pieces = [
        *PIECES,
        "$env:X",
        "%X%",
        "& id",
        "@(a)",
        "--%",
        "^",
        *[" C:\\a", ' "a b"', ' "C:\\a b"', ' --x="a b"'] * 3,
    ]
    commands = {text for text, _ in _conforming(pieces, 5000, windows=True) if not text.endswith("\\")}
    record, empty = tmp_path / "record", tmp_path / "empty"
    empty.mkdir()
    for shell in sorted(ALWAYS):
        arguments, prelude = SHELLS[shell]
        record.write_bytes(b"")
        script = f"{prelude}PATH={empty}\ncd {empty}\nrecorder() {{ printf x >>{record}; }}\n"
        script += "".join(f"{text}\n" for text in sorted(commands))
        ran = subprocess.run(arguments, input=script.encode(), capture_output=True, timeout=120, check=False)
        assert (record.read_bytes(), ran.stdout) == (b"x" * len(commands), b"")
        assert not list(empty.iterdir())


@pytest.mark.parametrize(
    ("shell", "question"),
    [
        ("bash", "compgen -b; compgen -k"),
        ("zsh", "zmodload zsh/zutil; print -l ${(k)builtins} ${(k)reswords}"),
        ("ksh", "builtin; alias -p | while read _ name; do print ${name%%=*}; done"),
    ],
)
def test_every_builtin_and_reserved_word_of_an_installed_shell_is_refused(shell: str, question: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    told = subprocess.run([shell, "-c", question], capture_output=True, text=True, check=True).stdout.split()
    names = {name for name in told if "/" not in name and name != "-"}

    assert len(names) > 50
    assert {name for name in names if split_or_none(f"{name} coach") is not None} == set()


def test_the_example_of_the_issue_is_refused() -> None:
    assert split_or_none("kaizen-agentic schedule prepare coach --target C:\\w ; id $(id)", windows=True) is None


def split_or_none(text: str, *, windows: bool = False) -> tuple[str, ...] | None:
    try:
        return split_command(text, windows=windows)
    except UnreadableCommand:
        return None
