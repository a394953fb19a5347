"""`contracts verify-emitter`: one line in CI that turns red exactly when a change breaks the contract, and says why."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts.fixtures.corpus import ROOT
from contracts.observe.scenarios import load_scenarios
from contracts.observe.verify import Emitter
from tests.contracts.conftest import RunContracts
from tests.support.bus import Bus
from tests.support.emitter import STAND_IN
from tests.support.payloads import SPEC_EXAMPLE, SPEC_EXAMPLE_PATH
from tests.support.programs import python

FAULTY = ROOT / "emitters" / "faulty"
NAMES = [each.name for each in load_scenarios("kaizen.schedule.prepared@1")]
ARGUMENTS = "{agent} {root} {cadence} {format} {repo}"
ONE = ("--scenario", "weekly-markdown")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


@pytest.fixture
def good(tmp_path: Path) -> str:
    path = tmp_path / "good.py"
    path.write_text(f"import sys\nsys.path.insert(0, {str(FAULTY)!r})\nimport honest\nhonest.say(honest.event())\n")
    return f"cmd:{shlex.quote(sys.executable)} -B {shlex.quote(str(path))} {ARGUMENTS}"


def faulty(name: str) -> str:
    return f"cmd:{shlex.quote(str(FAULTY / name / 'emitter'))} {ARGUMENTS}"


def findings(out: str) -> Iterator[dict[str, Any]]:
    """The findings of a JSON report, wherever it nests them."""

    def walk(value: Any) -> Iterator[dict[str, Any]]:
        if isinstance(value, dict) and "rule" in value and "pointer" in value:
            yield value
        elif isinstance(value, dict | list):
            for each in value.values() if isinstance(value, dict) else value:
                yield from walk(each)

    yield from walk(json.loads(out))


def test_a_good_emitter_passes_in_all_scenarios_and_each_is_named(good: str, run_contracts: RunContracts) -> None:
    status, out, _ = run_contracts("verify-emitter", good, "--report", "junit")
    assert status == 0
    assert all(f"cmd[{name}]" in out for name in NAMES)


@pytest.mark.parametrize(
    ("name", "flags", "status"),
    [
        ("version-as-number", [], 1),
        ("exit-status", [], 1),
        ("says-nothing", [], 3),
        ("crashes", [], 3),
        ("hangs", ["--timeout", "1"], 3),
        ("floods", [], 3),
        ("version-as-number", ["--ignore", "version/type"], 0),
        ("version-as-number", ["--select", "occurred_at/*"], 0),
    ],
)
def test_the_exit_status_says_what_kind_of_failure_it_is(
    name: str, flags: list[str], status: int, run_contracts: RunContracts
) -> None:
    assert run_contracts("verify-emitter", faulty(name), *ONE, *flags)[0] == status


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "there is no emitter to verify"),
        (["nonsense:x"], "is no URI of an emitter"),
        (["cmd:"], "cmd: needs a command"),
        (["cmd:true {agnet}"], "nothing fills {agnet}"),
        (["cmd:/no/such/program"], "cannot start /no/such/program"),
        (["py:no_such_module:emit"], "cannot import py:no_such_module:emit"),
        (["file:nowhere.json"], "cannot read nowhere.json"),
        (["http://127.0.0.1:1/{agnet}"], "nothing fills {agnet}"),
        (["http://127.0.0.1:1/{agent"], "cannot read the URL"),
        (["nats://127.0.0.1:1"], "names no subject"),
        (["nats://127.0.0.1:1/"], "names no subject"),
        (["nats://127.0.0.1:1/x", "--correlate", "agent"], "is not POINTER=VALUE"),
        (["cmd:true {agent}", "--scenario", "nope"], "no scenario nope in"),
        (["cmd:true {agent}", "--scenarios", "nowhere"], "there is no folder of scenarios at nowhere"),
        (["cmd:true", "--select", "nope/nope"], "no rule 'nope/nope'"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)
def test_wrong_usage_is_exit_status_2_and_says_what_to_do(
    arguments: list[str], why: str, run_contracts: RunContracts
) -> None:
    status, _, err = run_contracts("verify-emitter", *arguments)
    assert status == 2
    assert why in err


@pytest.mark.parametrize("uri", ["nats://127.0.0.1:1/x", "tls://127.0.0.1:1/x", "http://127.0.0.1:1/x"])
def test_a_place_that_does_not_answer_is_exit_status_4(uri: str, run_contracts: RunContracts) -> None:
    status, _, err = run_contracts("verify-emitter", uri)
    assert status == 4
    assert "cannot reach" in err
    assert "127.0.0.1:1" in err


def test_scenarios_are_chosen_by_name(good: str, run_contracts: RunContracts) -> None:
    two = ("--scenario", "daily-json", "--scenario", "monthly-nothing-found")
    _, out, _ = run_contracts("verify-emitter", good, *two, "--report", "junit")
    assert [name for name in NAMES if f"cmd[{name}]" in out] == ["daily-json", "monthly-nothing-found"]


def test_several_emitters_are_verified_in_one_run(good: str, run_contracts: RunContracts) -> None:
    emitters = good, f"file:{SPEC_EXAMPLE_PATH}", faulty("nan")
    status, out, _ = run_contracts("verify-emitter", *emitters, *ONE, "--report", "junit")
    assert status == 1
    assert "good.py" in out or sys.executable in out
    assert "payload/number" in out
    assert str(SPEC_EXAMPLE_PATH) in out
    assert run_contracts("verify-emitter", good, f"file:{SPEC_EXAMPLE_PATH}", *ONE)[0] == 0


def test_one_silent_emitter_among_good_ones_fails_the_run(good: str, run_contracts: RunContracts) -> None:
    status, out, _ = run_contracts("verify-emitter", good, faulty("says-nothing"), *ONE)
    assert status == 1
    assert "emitter/nothing" in out


def test_standard_input_and_jsonl_are_verified_event_by_event(run_contracts: RunContracts, tmp_path: Path) -> None:
    good, bad = json.dumps(SPEC_EXAMPLE), json.dumps(SPEC_EXAMPLE | {"version": 1})
    status, out, _ = run_contracts("verify-emitter", "-", stdin=f"{good}\n{bad}\n".encode())
    assert (status, "<stdin>:2" in out, "version/type" in out) == (1, True, True)
    (tmp_path / "a.jsonl").write_text(f"{good}\n{good}\n")
    assert run_contracts("verify-emitter", f"file:{tmp_path}")[0] == 0
    assert run_contracts("verify-emitter", "-", stdin=b"")[0] == 3


def test_a_callable_is_verified_in_every_scenario(run_contracts: RunContracts, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("own_emitter.py").write_text("def emit(agent, root, cadence): return {}\n")
    monkeypatch.setattr("sys.path", sys.path.copy())
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    status, out, _ = run_contracts("verify-emitter", "py:own_emitter:emit")
    assert status == 1
    assert all(f"py[{name}]" in out for name in NAMES)


def test_an_emitter_on_the_bus_is_verified_through_its_trigger(
    bus: Bus, run_contracts: RunContracts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NATS_URL", bus.url)
    uri = f"{bus.url}/kaizen.schedule.>"
    for name, flags, status in [
        ("nats-wrong-subject", [], 1),
        ("nats-no-message-id", [], 0),
        ("nats-no-message-id", ["--fail-on", "warning"], 1),
        ("nats-publishes-nothing", ["--timeout", "1"], 3),
    ]:
        trigger = ["--trigger", faulty(name).removeprefix("cmd:")]
        ended, out, err = run_contracts("verify-emitter", uri, *trigger, "--stream", "SCHEDULE", *ONE, *flags)
        assert ended == status, out + err


def test_a_finding_carries_a_command_that_reproduces_it_alone(tmp_path: Path, run_contracts: RunContracts) -> None:
    own = tmp_path / "own scenarios"
    shutil.copytree(ROOT / "kaizen.schedule.prepared" / "1" / "scenarios", own)
    golden = own / "daily-path-with-spaces" / "event.json"
    golden.write_text(golden.read_text("utf-8").replace('"daily"', '"weekly"'), "utf-8")
    flags = ["--scenarios", own, "--program", STAND_IN, "--timeout", "20", "--report", "json"]
    _, out, _ = run_contracts("verify-emitter", faulty("bytes-counted-in-characters"), *flags)
    found = [each for each in findings(out) if each["rule"] == "prepare/bytes"]
    (command,) = {each["reproduce"] for each in found if "daily-path-with-spaces" in each["reproduce"]}
    program, *words = shlex.split(command)
    assert program == "contracts"
    alone = [sys.executable, "-m", "contracts", *words, "--report", "json"]
    again = subprocess.run(alone, capture_output=True, text=True, check=False)
    assert again.returncode == 1, again.stderr
    assert {each["rule"] for each in findings(again.stdout)} == {"golden/differs", "prepare/bytes"}
    assert {each["pointer"] for each in findings(again.stdout)} == {"/bundle/bytes", "/cadence"}


@pytest.mark.parametrize("report", ["text", "json", "junit", "sarif", "github", "markdown", "ndjson"])
def test_credentials_of_a_url_reach_no_report_and_no_message(
    report: str, tmp_path: Path, run_contracts: RunContracts
) -> None:
    with Bus(tmp_path / "server", authorization={"user": "me", "password": "hunter2"}) as server:
        uri = f"nats://me:hunter2@{server.place}/x.y"
        say = f"from tests.support.bus import publish; publish({uri[:-4]!r}, 'x.y', b'1')"
        code = f"import sys; sys.path[:0] = {sys.path!r}; {say}"
        status, out, err = run_contracts("verify-emitter", uri, "--trigger", python(code), "--report", report)
        assert status == 1, err
        assert "hunter2" not in out + err
        silent = run_contracts("verify-emitter", uri, "--timeout", "0.2", "--report", report)
    gone = run_contracts("verify-emitter", uri, "--report", report)
    nowhere = run_contracts("verify-emitter", uri.removesuffix("/x.y"), "--report", report)
    unknown = run_contracts("verify-emitter", uri.replace("nats", "nuts"), "--report", report)
    assert [each[0] for each in (silent, gone, nowhere, unknown)] == [3, 4, 2, 2]
    assert "hunter2" not in str((silent, gone, nowhere, unknown))


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("nats://me:hunter2@h:1/x", "nats://h:1/x"),
        ("http://me:hunter2@h/agents/coach?sig=hunter2#hunter2", "'http://h/agents/coach?***'"),
        ("http://me:hu@nter2@h:80", "http://h:80"),
        ("http://me:1/hunter2@h", "'a URL without a host'"),
    ],
)
def test_a_command_that_reproduces_carries_no_credentials(uri: str, shown: str) -> None:
    assert Emitter(uri).reproduce(None) == f"contracts verify-emitter {shown}"


@pytest.mark.parametrize("report", ["text", "json"])
@pytest.mark.parametrize("password", ["hunter2", "hunter2/abc", "12/hunter2", "1#hunter2", "hu@hunter2"])
@pytest.mark.parametrize("scheme", ["http", "nats", "tls"])
def test_no_way_to_write_a_password_into_a_uri_shows_it(
    scheme: str, password: str, report: str, run_contracts: RunContracts
) -> None:
    uri = f"{scheme}://me:{password}@127.0.0.1:9/x" + ("?key=hunter2" if scheme == "http" else "")
    status, out, err = run_contracts("verify-emitter", uri, "--report", report, "--openapi", f"{uri}&hunter2")
    assert status in {2, 4}
    assert "hunter2" not in out + err


@pytest.mark.parametrize("content", ["{", "[]", "5", ""])
def test_a_golden_event_that_cannot_be_read_is_named(
    content: str, good: str, tmp_path: Path, run_contracts: RunContracts
) -> None:
    own = tmp_path / "scenarios"
    shutil.copytree(ROOT / "kaizen.schedule.prepared" / "1" / "scenarios" / "daily-json", own / "one")
    (own / "one" / "event.json").write_text(content, "utf-8")
    status, _, err = run_contracts("verify-emitter", good, "--scenarios", own)
    assert status == 2
    assert str(own / "one" / "event.json") in err


def test_a_scenario_without_its_golden_event_fails_and_says_how_to_record_it(
    good: str, tmp_path: Path, run_contracts: RunContracts
) -> None:
    own = tmp_path / "scenarios"
    shutil.copytree(ROOT / "kaizen.schedule.prepared" / "1" / "scenarios" / "daily-json", own / "one")
    (own / "one" / "event.json").unlink()
    status, out, _ = run_contracts("verify-emitter", good, "--scenarios", own)
    assert (status, "golden/missing" in out, "contracts fixtures record" in out) == (1, True, True)


@pytest.mark.parametrize("document", ["[]", "5"])
def test_a_prepare_command_that_prints_no_object_is_named(
    document: str, good: str, tmp_path: Path, run_contracts: RunContracts
) -> None:
    program = tmp_path / "prepare"
    program.write_text(f"#!/bin/sh\necho '{document}'\n")
    program.chmod(0o755)
    status, out, err = run_contracts("verify-emitter", good, *ONE, "--program", program)
    assert status == 1, out
    assert "expected one JSON object with the flags of bundle.*" in err


def test_a_program_is_verified_without_the_extra_for_nats(good: str) -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['nats', 'nkeys'])); from contracts.__main__ import main; main()"
    )
    words = [sys.executable, "-c", code, "verify-emitter", good, *ONE]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
