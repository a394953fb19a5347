"""`contracts check` as a shell, a CI job and a pipe meet it: status, messages, nothing lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import pytest

from contracts.cli import contracts
from contracts.cli.run import run
from contracts.fixtures.corpus import ROOT, cases
from contracts.toolkit import Exit
from tests.support.payloads import ARCHIVED, PREPARED, SPEC_EXAMPLE, SPEC_EXAMPLE_PATH, event

CONTRACTS = Path(sys.executable).parent / "contracts"
CASES = [case for contract in (PREPARED, ARCHIVED) for case in cases(contract, "invalid", "warnings", "wire")]
EXAMPLE = SPEC_EXAMPLE_PATH.read_bytes()
BROKEN = json.dumps(event(cadence="hourly")).encode()
WARNED = json.dumps(event(bundle={"bytes": 0})).encode()


def _shell(*arguments: str | Path, **how: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([CONTRACTS, *arguments], capture_output=True, text=True, check=False, timeout=60, **how)


@pytest.mark.parametrize(
    ("arguments", "stdin", "status", "said"),
    [
        (["check", SPEC_EXAMPLE_PATH], "", 0, "1 of 1 payload pass: 0 errors, 0 warnings"),
        (["check", "-"], EXAMPLE.decode(), 0, "1 of 1 payload pass"),
        (["check", "-"], BROKEN.decode(), 1, "FAIL <stdin>  (kaizen.schedule.prepared@1)"),
        (["check", "missing.json"], "", 2, "contracts: cannot read missing.json: No such file or directory"),
        (["check", "-"], "", 3, "nothing was checked: the input is empty"),
        (["check"], "", 2, "Missing argument 'FILE... | DIR... | -'"),
        (["chek"], "", 2, "No such command 'chek'"),
        (["--version"], "", 0, "contracts, version "),
        ([], "", 2, "Usage: contracts"),
        (["--help"], "", 0, "130  interrupted"),
        (["check", "--help"], "", 0, "--jsonl"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_the_command_says_how_it_went(arguments: list[Any], stdin: str, status: int, said: str, tmp_path: Path) -> None:
    done = _shell(*arguments, input=stdin, cwd=tmp_path)

    assert done.returncode == status
    assert said in (done.stdout if status < 2 else done.stderr)
    assert "Traceback" not in done.stderr


def test_all_valid_fixtures_pass_in_one_run() -> None:
    valid = [case.path for contract in (PREPARED, ARCHIVED) for case in cases(contract, "valid")]

    done = _shell("check", "--fail-on", "warning", *valid)

    assert done.returncode == 0
    assert done.stdout == f"{len(valid)} of {len(valid)} payloads pass: 0 errors, 0 warnings\n"


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.contract}-{case.name}")
def test_each_fixture_fails_with_exactly_the_rules_it_names(case: Any, run_contracts: Any) -> None:
    strict = ("--fail-on", "warning") if case.path.parent.name == "warnings" else ()

    status, report, err = run_contracts("check", "--report", "json", *strict, case.path)

    (result,) = json.loads(report)["results"]
    assert (status, err) == (1, "")
    assert {violation["rule"] for violation in result["findings"]} == case.breaks


def test_every_file_that_cannot_be_read_is_named_and_the_others_are_checked(tmp_path: Path, run_contracts: Any) -> None:
    secret = tmp_path / "refused.json"
    secret.symlink_to(secret.name)  # a link to itself: refused to root too, where a mode would not be

    status, out, err = run_contracts("check", "missing.json", tmp_path, SPEC_EXAMPLE_PATH, secret)

    assert status == Exit.USAGE
    assert out == "1 of 1 payload pass: 0 errors, 0 warnings\n"
    assert err.splitlines() == [
        "contracts: cannot read missing.json: No such file or directory",
        *[f"cannot read {secret}: Too many levels of symbolic links"] * 2,  # by its folder, and by its name
    ]


def test_a_file_without_permission_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "closed.json"
    path.write_bytes(EXAMPLE)
    path.chmod(0)
    script = (
        "import os, sys\n"
        "from contracts.cli import contracts\n"
        "from contracts.cli.run import run\n"
        "contracts.main(['check', sys.argv.pop()], standalone_mode=False)\n"  # all is imported that will be needed
        "os.geteuid() == 0 and os.seteuid(65534)\n"  # root may read anything, and a CI job is often root
        "run(contracts)"
    )

    done = subprocess.run(
        [sys.executable, "-c", script, "check", path, SPEC_EXAMPLE_PATH], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (2, f"contracts: cannot read {path}: Permission denied\n")


def test_an_empty_file_is_broken_and_an_empty_pipe_is_nothing(tmp_path: Path, run_contracts: Any) -> None:
    empty = tmp_path / "empty.json"
    empty.touch()

    assert run_contracts("check", empty)[0] == Exit.BROKEN
    assert run_contracts("check", "-", stdin=b" \n")[0] == Exit.NOTHING
    assert run_contracts("check", "--jsonl", "-", stdin=b"\n\n")[0] == Exit.NOTHING


def test_lines_are_checked_one_by_one_and_named_by_their_number(run_contracts: Any) -> None:
    good = json.dumps(SPEC_EXAMPLE).encode()
    lines = b"\n".join([good, b"", BROKEN, b"  ", b"not JSON", good])

    status, report, _ = run_contracts("check", "--jsonl", "--report", "json", "-", stdin=lines)

    results = json.loads(report)["results"]
    assert status == 1
    assert [(result["source"], result["pass"]) for result in results] == [
        ("<stdin>:1", True),
        ("<stdin>:3", False),
        ("<stdin>:5", False),
        ("<stdin>:6", True),
    ]


def test_a_payload_over_several_lines_read_as_lines_is_told_line_by_line(run_contracts: Any) -> None:
    status, out, _ = run_contracts("check", "--jsonl", SPEC_EXAMPLE_PATH)

    assert status == 1
    assert f"FAIL {SPEC_EXAMPLE_PATH}:1" in out
    assert "payload/syntax" in out


@pytest.mark.parametrize(("fail_on", "status"), [("error", 0), ("warning", 1)])
def test_the_least_severity_that_fails_is_chosen(fail_on: str, status: int, run_contracts: Any) -> None:
    done, out, _ = run_contracts("check", "--fail-on", fail_on, "-", stdin=WARNED)

    assert done == status
    assert out.startswith(("pass <stdin>", "FAIL <stdin>")[status])
    assert "0 errors, 1 warning" in out


def test_a_consumer_passes_what_an_emitter_may_not_send(run_contracts: Any) -> None:
    raw = json.dumps(event(colour="red")).encode()

    assert run_contracts("check", "-", stdin=raw)[0] == 1
    assert run_contracts("check", "--profile", "consumer", "-", stdin=raw)[0] == 0


@pytest.mark.parametrize(
    ("contract", "status", "said"),
    [
        ("kaizen.schedule.prepared", 0, ""),
        ("kaizen.schedule.prepared@1", 0, ""),
        ("kaizen.schedule.archived", 1, ""),
        ("kaizen.schedule.prepard", 2, "did you mean 'kaizen.schedule.prepared'?"),
        ("kaizen.schedule.prepared@7", 2, "no version '7' of kaizen.schedule.prepared\n  known: 1"),
    ],
)
def test_a_contract_may_be_named(contract: str, status: int, said: str, run_contracts: Any) -> None:
    done, _, err = run_contracts("check", "--contract", contract, SPEC_EXAMPLE_PATH)

    assert done == status
    assert said in err


@pytest.mark.parametrize("name", ["caf\u00e9 \u65e5\u672c.json", "a b'c\".json", "-.json", "line\nbreak.json"])
def test_a_file_may_have_any_name(name: str, tmp_path: Path, run_contracts: Any) -> None:
    path = tmp_path / name
    path.write_bytes(BROKEN)

    for report in ("text", "json", "junit"):
        status, out, err = run_contracts("check", "--report", report, path)
        assert (status, err) == (1, "")
        assert "cadence/enum" in out


@pytest.mark.parametrize("report", ["text", "json", "junit"])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_name_that_is_no_utf_8_is_checked_all_the_same(report: str, encoding: str, tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff\xe9.json"
    Path(os.fsdecode(path)).write_bytes(BROKEN)

    done = _shell(
        "check",
        "--report",
        report,
        os.fsdecode(path),
        os.fsdecode(path) + "x",
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )

    assert "Traceback" not in done.stderr
    assert done.returncode == 2
    assert "cadence/enum" in done.stdout
    assert "No such file" in done.stderr
    assert report != "json" or json.loads(done.stdout)["summary"]["failed"] == 1


def test_a_reader_that_has_gone_ends_the_run_in_silence() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as gone:
        done = subprocess.run(
            [CONTRACTS, "check", *[case.path for case in CASES]], stdout=gone, stderr=subprocess.PIPE, check=False
        )

    assert (done.returncode, done.stderr) == (Exit.INTERRUPTED, b"")


@pytest.mark.parametrize(
    "arguments", [["list"], ["show", "kaizen.schedule.prepared"], ["explain", "cadence/enum"], ["--help"]]
)
def test_a_reader_that_has_gone_is_no_broken_contract(arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as gone:
        done = subprocess.run([CONTRACTS, *arguments], stdout=gone, stderr=subprocess.PIPE, check=False)

    assert (done.returncode, done.stderr) == (Exit.INTERRUPTED, b"")


def test_a_full_disk_behind_standard_output_is_said_so() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [CONTRACTS, "check", CASES[0].path], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )

    assert done.returncode == Exit.USAGE
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_interrupt_ends_the_run_with_its_own_status() -> None:
    with subprocess.Popen([CONTRACTS, "check", "-"], stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 30
        # Reading standard input, the process sleeps in the pipe; earlier it is still importing.
        while Path(f"/proc/{process.pid}/wchan").read_text() not in {"pipe_read", "pipe_wait", "anon_pipe_read"}:
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGINT)
        assert process.stdin
        assert process.wait(30) == Exit.INTERRUPTED
        assert process.stderr
        assert process.stderr.read().strip() == b"interrupted"


def test_a_defect_keeps_its_traceback_and_has_a_status_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    @click.command("contracts")
    def broken() -> None:
        raise ZeroDivisionError("an error that nobody foresaw")

    with pytest.raises(SystemExit) as ended:
        run(broken, [])

    err = capsys.readouterr().err
    assert ended.value.code == Exit.DEFECT
    assert "Traceback" in err
    assert "an error that nobody foresaw" in err
    assert "this is a defect in kaizen-event-kit" in err


def test_every_verb_explains_itself(run_contracts: Any) -> None:
    _, overview, _ = run_contracts("--help")
    for verb in contracts.list_commands(click.Context(contracts)):
        status, out, _ = run_contracts(verb, "--help")
        assert status == 0
        assert f"Usage: contracts {verb}" in out
        assert f"\n  {verb} " in overview


def test_the_corpus_in_use_is_the_one_of_this_checkout() -> None:
    assert Path(__file__).resolve().parents[3] / "fixtures" == ROOT
