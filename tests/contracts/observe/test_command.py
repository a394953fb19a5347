"""A program is observed: what it prints, how it ends, what it says on standard error, and how long it takes."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.emit.process import _STDERR_BYTES
from contracts.errors import BadInput
from contracts.observe.command import fill, observe_command, run_trigger
from contracts.observe.observation import Observed
from tests.support.programs import python

AWKWARD = [
    "a b",
    "it's",
    '"quoted"',
    "{agent}",
    "}{",
    "a;b",
    "$(id)",
    "`id`",
    "*",
    "--flag",
    "\\",
    "",
    "Überblick 改善",
    "a\nb",
]
SECRET = "password=hunter2-hunter2"
ARGUMENTS_AS_JSON = "import json, sys; print(json.dumps(sys.argv[1:]))"
LOCKED = """
import fcntl, subprocess, sys, threading
lock = open(sys.argv[1], "w")
fcntl.flock(lock, fcntl.LOCK_EX)
forever = [sys.executable, "-c", "import threading; threading.Event().wait()"]
subprocess.Popen(forever, pass_fds=[lock.fileno()], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
"""
"""Start a child that would live for ever, both of them holding a lock; `sys.argv[1]` is its file."""


def rules(observed: Observed) -> list[str]:
    return [each.rule for each in observed.violations]


def run(code: str, *arguments: str, timeout_s: float = 30, **placeholders: str) -> Observed:
    return observe_command(python(code, *arguments), placeholders, timeout_s=timeout_s)


def wait_until_nobody_holds(lock: Path) -> None:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)


@pytest.mark.parametrize("value", AWKWARD)
def test_a_placeholder_is_one_word_whatever_it_holds(value: str) -> None:
    observed = run(ARGUMENTS_AS_JSON, "{agent}", "--root={agent}/x", agent=value)
    assert json.loads(observed.observations[0].raw) == [value, f"--root={value}/x"]


@given(st.text())
def test_no_value_becomes_more_words_or_another_placeholder(value: str) -> None:
    assert fill("emit {agent} '{agent} {root}'", {"agent": value, "root": "r"}) == ["emit", value, f"{value} r"]


@pytest.mark.parametrize("template", ["{agnet}", "x --to={agnet}", "'{agent} {agnet}'"])
def test_an_unknown_placeholder_is_named_with_those_that_are_known(template: str) -> None:
    with pytest.raises(BadInput, match=r"nothing fills \{agnet\}[^\n]*\n  known here: \{agent\}, \{root\}"):
        fill(template, {"agent": "coach", "root": "/x"})


def test_without_a_scenario_no_placeholder_is_known() -> None:
    with pytest.raises(BadInput, match="none: no scenario was given"):
        fill("emit {agent}", {})


@pytest.mark.parametrize(
    "template", ["{agent.name}", "{agent[x]}", "{agent!x}", "{agent:d}", "{}", "{0}", "{agent", "a 'b"]
)
def test_a_template_that_cannot_be_read_is_shown(template: str) -> None:
    with pytest.raises(BadInput) as told:
        fill(template, {"agent": "coach"})
    assert repr(template) in str(told.value)


@pytest.mark.parametrize("program", ["no-such-program --x", "/no/such/program", "/", "/etc/passwd"])
def test_a_program_that_cannot_be_started_is_wrong_usage(program: str) -> None:
    with pytest.raises(BadInput, match=f"cannot start {program.split(maxsplit=1)[0]}"):
        observe_command(program, {}, timeout_s=5)


@pytest.mark.parametrize("template", ["", "   "])
def test_no_command_at_all_says_what_one_looks_like(template: str) -> None:
    with pytest.raises(BadInput, match="for example 'cmd:my-emitter"):
        observe_command(template, {}, timeout_s=5)


@pytest.mark.parametrize(
    ("code", "events", "broken"),
    [
        ("print('{}')", [b"{}\n"], []),
        ("print('{}'); print('[]')", [b"{}", b"[]"], ["emitter/one-event"]),
        ("print('{\\n}')", [b"{\n}\n"], []),
        ("print('ready'); print('{}')", [b"ready\n{}\n"], []),
        ("pass", [], ["emitter/nothing"]),
        ("print(); print('  ')", [], ["emitter/nothing"]),
        ("print('{}'); raise SystemExit(7)", [b"{}\n"], ["emitter/exit-status"]),
        ("raise SystemExit(7)", [], ["emitter/exit-status"]),
    ],
    ids=["one", "two lines", "one over lines", "banner", "nothing", "blank", "fails after", "fails"],
)
def test_what_a_program_prints_and_how_it_ends(code: str, events: list[bytes], broken: list[str]) -> None:
    observed = run(code)
    assert [each.raw for each in observed.observations] == events
    assert rules(observed) == broken


def test_a_program_gets_nothing_of_our_standard_input() -> None:
    ours, other_end = os.pipe()
    os.write(other_end, b"ours")
    os.close(other_end)
    kept = os.dup(0)
    os.dup2(ours, 0)
    try:
        observed = run("import sys; print(repr(sys.stdin.read()))")
    finally:
        os.dup2(kept, 0)
        os.close(kept)
        os.close(ours)
    assert [each.raw for each in observed.observations] == [b"''\n"]


def test_the_end_of_standard_error_says_why_it_failed() -> None:
    observed = run("import sys; [print('line', n, file=sys.stderr) for n in range(9)]; sys.exit(3)")
    assert "exit status 3\n  | line 4\n" in observed.violations[0].found
    assert "line 3" not in observed.violations[0].found


def test_a_signal_is_named() -> None:
    assert "signal 9" in run("import os; os.kill(os.getpid(), 9)").violations[0].found


@pytest.mark.parametrize(
    "stderr",
    [f"print({SECRET!r}, file=sys.stderr)", f"print({SECRET!r}, *range(2000), sep='\\n', file=sys.stderr)"],
    ids=["alone", "long before the end"],
)
@pytest.mark.parametrize(
    "end", ["print('{}')", "sys.exit(3)", "threading.Event().wait()"], ids=["ok", "fails", "hangs"]
)
def test_a_secret_on_standard_error_is_found_and_not_shown(stderr: str, end: str) -> None:
    observed = run(f"import sys, threading\n{stderr}\nsys.stderr.flush()\n{end}", timeout_s=1 if "wait" in end else 30)
    assert "emitter/stderr-secret" in rules(observed)
    assert "hunter2" not in str(observed)


def test_no_half_of_a_secret_is_shown_where_a_line_is_longer_than_what_is_kept() -> None:
    half = len("password=hun")  # what is kept begins in the middle of the word, which then looks harmless
    code = f"sys.stderr.write({SECRET!r} + ' ' * ({_STDERR_BYTES} - {len(SECRET) - half})); sys.exit(3)"
    assert "ter2" not in str(run(f"import sys; {code}"))


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    ("end", "broken"),
    [
        ("print('{}', flush=True); threading.Event().wait()", ["emitter/time-limit"]),
        ("while True: print('x' * 65536)", ["emitter/flood"]),
        ("print('{}')", []),
    ],
    ids=["hangs", "floods", "leaves a child behind"],
)
def test_whatever_it_does_neither_it_nor_its_children_live_on(end: str, broken: list[str], tmp_path: Path) -> None:
    observed = run(LOCKED + end, "{lock}", lock=str(tmp_path / "lock"), timeout_s=2)
    assert rules(observed) == broken
    assert (observed.observations == ()) == bool(broken)  # what was cut short is not held against the contract
    wait_until_nobody_holds(tmp_path / "lock")


@pytest.mark.timeout(30)
def test_a_daemon_that_keeps_stdout_open_does_not_outlast_the_time_limit(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    daemon = "import fcntl, sys; fcntl.flock(open(sys.argv[1]), fcntl.LOCK_EX)"
    words = f"[sys.executable, '-c', {daemon!r}, sys.argv[1]]"
    code = f"import subprocess, sys; subprocess.Popen({words}, start_new_session=True)"
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # the daemon, whom no kill of ours reaches, ends when we let go
        observed = run(code, "{lock}", lock=str(lock), timeout_s=1)
    assert rules(observed) == ["emitter/time-limit"]


def test_a_trigger_may_say_as_much_as_it_likes() -> None:
    assert run_trigger(python("for _ in range(40): print('x' * 65536)"), {}, timeout_s=30) == []


def test_a_trigger_that_fails_is_a_finding() -> None:
    found = run_trigger(python("import sys; print('why', file=sys.stderr); sys.exit(3)"), {}, timeout_s=30)
    assert [(each.rule, each.found) for each in found] == [("emitter/exit-status", "exit status 3\n  | why")]


def test_the_run_is_enclosed_by_its_times() -> None:
    observed = run("import datetime, json; print(json.dumps(datetime.datetime.now(datetime.UTC).isoformat()))")
    told = json.loads(observed.observations[0].raw)
    assert observed.started_at is not None
    assert observed.ended_at is not None
    assert observed.started_at.isoformat() < told < observed.ended_at.isoformat()
