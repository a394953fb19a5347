"""`contracts emit` renders, checks and spools; whatever goes wrong, nothing half-done stays behind."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from contracts import PreparedEvent, check, event_key
from contracts.emit.payload import FLAGS as MAPPED
from contracts.toolkit import parse_payload, spool_name
from tests.support.emitter import CLOSE, FLAGS, STAND_IN, write_checkout, write_emitter

CONTRACTS = Path(sys.executable).parent / "contracts"


@pytest.mark.parametrize("bundle_format", ["markdown", "json"])
def test_a_real_checkout_becomes_a_right_event_and_a_bundle_of_the_size_it_declares(
    bundle_format: str, emit: Any, checkout: Path, spool: Path
) -> None:
    status, out, err = emit(STAND_IN, "--format", bundle_format)

    assert (status, err) == (0, "")
    assert check(out.encode()).violations == ()
    payload = parse_payload(out.encode())
    (bundle,) = spool.iterdir()
    command = [STAND_IN, "schedule", "prepare", "coach", "--target", checkout]
    rendered = [subprocess.run([*command, *how], capture_output=True, check=True) for how in ([], ["--format", "json"])]
    assert bundle.name == spool_name(PreparedEvent.from_checked(payload))
    assert bundle.name.startswith(event_key(payload))
    assert bundle.read_bytes() == rendered[bundle_format == "json"].stdout
    assert payload["bundle"]["bytes"] == len(bundle.read_bytes()) > len(bundle.read_text("utf-8"))
    document = json.loads(rendered[1].stdout)
    assert {flag: payload["bundle"][flag] for flag in MAPPED} == {flag: document[flag] for flag in MAPPED}
    assert payload["session_close"] == document["session_close"]
    assert shlex.split(payload["prepare_command"])[1:6] == [*command[1:5], str(checkout)]


@pytest.mark.parametrize("flags", list(product([True, False], repeat=3)), ids=str)
@pytest.mark.parametrize("pointers", [[], ["scope"], ["workplans", "scope"]], ids=str)
def test_the_flags_of_the_prepare_command_are_the_flags_of_the_event(
    flags: tuple[bool, ...], pointers: list[str], emit: Any, tmp_path: Path
) -> None:
    told = dict(zip(MAPPED, (*flags, pointers), strict=True))

    _, out, _ = emit(write_emitter(tmp_path / "bin", document=told | {"more": {"keys": 1}}))

    assert json.loads(out)["bundle"] == {"format": "markdown", **told, "bytes": 9}
    assert json.loads(out)["session_close"] == []


@pytest.mark.parametrize("root", ["caf\u00e9 \u65e5\u672c", "with spaces", "it's", "a;b", "-dash", "$HOME"])
def test_a_checkout_may_have_any_name(root: str, emit: Any, tmp_path: Path) -> None:
    checkout = write_checkout(tmp_path / root)

    status, out, err = emit(STAND_IN, "--root", checkout)

    assert (status, err) == (0, "")
    assert json.loads(out)["root"] == str(checkout)
    assert shlex.split(json.loads(out)["prepare_command"])[-1] == str(checkout)


def test_the_root_is_made_absolute_and_plain(emit: Any, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkout)

    _, out, _ = emit(STAND_IN, "--root", "./workplans/..")

    assert json.loads(out)["root"] == str(checkout)


def test_two_emissions_are_two_events(emit: Any, spool: Path) -> None:
    keys = {event_key(json.loads(emit(STAND_IN)[1])) for _ in range(2)}

    assert {bundle.stem for bundle in spool.iterdir()} == keys
    assert len(keys) == 2


@pytest.mark.parametrize("flag", MAPPED)
def test_a_flag_that_is_missing_is_named(flag: str, emit: Any, spool: Path, tmp_path: Path) -> None:
    told = {name: value for name, value in FLAGS.items() if name != flag}

    status, out, err = emit(write_emitter(tmp_path / "bin", document=told))

    assert (status, out) == (1, "")
    assert f"the prepare command's JSON lacks {flag}" in err
    assert "kaizen-agentic schedule prepare coach" in err
    assert list(spool.iterdir()) == []


@pytest.mark.parametrize("bundle_format", ["markdown", "json"])
@pytest.mark.parametrize(
    ("printed", "message"),
    [
        ("", "output is not JSON"),
        ("loading...\n{}", "output is not JSON"),
        ("{'has_memory': True}", "output is not JSON"),
        ("[" * 100_000, "output is not JSON"),
        ("9" * 5000, "output is not JSON"),
        ("[]", "JSON is not an object"),
        ("null", "JSON is not an object"),
        ("{}", "JSON lacks agent_prompt_found, has_memory, has_metrics, pointers"),
    ],
    ids=lambda value: value[:20],
)
def test_output_that_is_no_json_object_is_refused(
    bundle_format: str, printed: str, message: str, emit: Any, spool: Path, tmp_path: Path
) -> None:
    status, out, err = emit(write_emitter(tmp_path / "bin", document=printed), "--format", bundle_format)

    assert (status, out) == (1, "")
    assert message in err
    assert "Traceback" not in err
    assert list(spool.iterdir()) == []


@pytest.mark.parametrize(
    ("document", "arguments", "rules"),
    [
        ({}, ["--cadence", "hourly"], ["cadence/enum"]),
        ({}, ["--repo", "https://git.example/kaizen"], ["repo/pattern"]),
        ({"has_memory": "yes"}, [], ["bundle.has_memory/type"]),
        ({"pointers": ["SCOPE.md"]}, [], ["bundle.pointers[]/pattern"]),
        ({"session_close": ["rm -rf / # coach"], "has_metrics": None}, [], ["bundle.has_metrics/type"]),
        ({"session_close": ["x --token hunter2-hunter2 coach"]}, [], ["boundary/secret"]),
        ({"session_close": "none"}, [], ["session_close/type"]),
        ({"session_close": [f"{'x' * 70000} coach"]}, [], ["boundary/size"]),
        ({"session_close": ["coach \ud800"]}, [], ["payload/encoding"]),
        ({"pointers": [float("nan")]}, [], ["payload/number"]),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_event_that_breaks_the_contract_is_not_emitted_and_leaves_nothing(
    document: dict[str, Any], arguments: list[str], rules: list[str], emit: Any, spool: Path, tmp_path: Path
) -> None:
    status, out, err = emit(write_emitter(tmp_path / "bin", document=FLAGS | document), *arguments)

    assert (status, out) == (1, "")
    assert "not published: the event breaks " in err
    assert "None" not in err
    assert all(f"[{rule}]" in err for rule in rules)
    assert "hunter2" not in err
    assert list(spool.iterdir()) == []


def test_a_warning_does_not_stop_an_emission(emit: Any, tmp_path: Path) -> None:
    status, out, _ = emit(write_emitter(tmp_path / "bin", document=FLAGS | {"pointers": ["roadmap"]}))

    assert status == 0
    assert json.loads(out)["bundle"]["pointers"] == ["roadmap"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--root", "nowhere"], "--root nowhere is not a directory"),
        (["--spool", "nowhere"], "the spool directory nowhere does not exist\n  create it (mkdir -p nowhere)"),
        (["--nats", "nats://127.0.0.1:1"], "--stdout and --nats exclude each other"),
        (["--timeout", "0"], "Invalid value for '--timeout'"),
        (["--format", "yaml"], "'yaml' is not one of 'markdown', 'json'"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_cannot_work_is_said_before_anything_is_rendered(
    arguments: list[str], message: str, emit: Any, spool: Path, tmp_path: Path
) -> None:
    status, out, err = emit(write_emitter(tmp_path / "bin", before=f"touch {tmp_path}/rendered"), *arguments)

    assert (status, out) == (2, "")
    assert message in err
    assert not (tmp_path / "rendered").exists()
    assert list(spool.iterdir()) == []


def test_a_spool_that_may_not_be_written_is_said_so_before_anything_is_rendered(spool: Path, tmp_path: Path) -> None:
    spool.chmod(0o555)
    tmp_path.chmod(0o755)
    script = (
        "import os, sys\n"
        "from contracts.cli import contracts\n"
        "from contracts.cli.run import run\n"
        "contracts.main([*sys.argv[1:], '--spool', '.'], standalone_mode=False)\n"  # imports all that is needed
        "os.remove('rendered')\n"
        "os.geteuid() == 0 and os.seteuid(65534)\n"  # root may write anywhere, and a CI job is often root
        "run(contracts)"
    )
    write_emitter(tmp_path / "bin", before="touch rendered")
    words = ["emit", "coach", "--root", ".", "--repo", "kaizen", "--cadence", "weekly", "--spool", "spool", "--stdout"]

    done = subprocess.run(
        [sys.executable, "-c", script, *words, "--program", "bin/kaizen-agentic"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )

    assert done.returncode == 2
    assert "cannot write the bundle to the spool spool: Permission denied" in done.stderr
    assert "nothing was published" in done.stderr
    assert not (tmp_path / "rendered").exists()


def test_a_disk_that_fills_up_while_spooling_is_said_so_and_leaves_nothing_behind(
    usual: list[Any], spool: Path, tmp_path: Path
) -> None:
    program = write_emitter(tmp_path / "bin", before="head -c 3000000 /dev/zero | tr '\\0' x")
    limited = ["sh", "-c", 'ulimit -f 2048; exec "$@"', "limited"]  # 1 MiB a file: a disk that is nearly full

    done = subprocess.run(
        [*limited, CONTRACTS, "emit", *usual, "--stdout", "--program", program],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert f"cannot write the bundle to the spool {spool}: File too large" in done.stderr
    assert "make room" in done.stderr
    assert list(spool.iterdir()) == []


def test_the_close_commands_of_the_prepare_command_are_passed_on(emit: Any, tmp_path: Path) -> None:
    assert json.loads(emit(write_emitter(tmp_path / "bin"))[1])["session_close"] == CLOSE


def test_a_programs_standard_error_is_shown_without_secrets_and_escapes(tmp_path: Path, emit: Any) -> None:
    program = tmp_path / "fails"
    secret = "ghp" + "_" + "a1B2" * 9
    program.write_text(f"#!/bin/sh\nprintf 'key {secret} \\033[2J\\302\\233\\n' >&2\nexit 7\n", "utf-8")
    program.chmod(0o755)

    status, out, err = emit(program)

    assert status == 2
    assert secret not in out + err
    assert not {"\x1b", "\x9b"} & set(out + err)
    assert r"key *** \x1b[2J\x9b" in err
