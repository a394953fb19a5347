"""`contracts check --jobs N`: the same words in the same order, and no process that is forgotten."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from contracts.cli.jobs import in_order
from contracts.cli.payload_files import PIECE_BYTES
from contracts.fixtures.corpus import cases
from contracts.reports import FORMATS
from contracts.toolkit import Exit
from tests.support.emitter import is_running, wait_for
from tests.support.payloads import ARCHIVED, PREPARED, SPEC_EXAMPLE, SPEC_EXAMPLE_PATH, event

CONTRACTS = Path(sys.executable).parent / "contracts"
READING_A_PIPE = {"pipe_read", "pipe_wait", "anon_pipe_read"}
GOOD = json.dumps(SPEC_EXAMPLE).encode()
LINES = [
    line
    for contract in (PREPARED, ARCHIVED)
    for case in cases(contract)
    for line in (case.raw.replace(b"\n", b" "), GOOD, b"")
]


@pytest.mark.parametrize("report", FORMATS)
def test_several_processes_report_what_one_does(report: str, tmp_path: Path, run_contracts: Any) -> None:
    lines = tmp_path / "lines.jsonl"
    lines.write_bytes(b"\n".join(LINES))
    assert lines.stat().st_size > 2 * PIECE_BYTES

    expected = run_contracts("check", "--jsonl", "--report", report, lines)

    assert expected[0] == Exit.BROKEN
    assert run_contracts("check", "--jsonl", "--report", report, "--jobs", "2", lines) == expected


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_payload_keeps_its_line_however_long_the_lines_before_it_are(
    jobs: str, end: bytes, tmp_path: Path, run_contracts: Any
) -> None:
    written = [*LINES, b"x" * 3 * PIECE_BYTES, *LINES[:10]]
    lines = tmp_path / "lines.jsonl"
    lines.write_bytes(end.join(written))

    _, report, _ = run_contracts("check", "--jsonl", "--report", "json", "--jobs", jobs, lines)

    told = [result["source"] for result in json.loads(report)["results"]]
    assert told == [f"{lines}:{number}" for number, line in enumerate(written, 1) if line.strip()]


def test_several_processes_read_files_and_name_unreadable_ones_in_order(run_contracts: Any) -> None:
    broken = [case.path for case in cases(PREPARED, "invalid")]
    files = [broken[0], "missing.json", *broken, SPEC_EXAMPLE_PATH.parent, SPEC_EXAMPLE_PATH]

    expected = run_contracts("check", *files)

    assert expected[0] == Exit.USAGE
    assert run_contracts("check", "--jobs", "0", *files) == expected


def test_nothing_is_nothing_for_several_processes_too(run_contracts: Any) -> None:
    assert run_contracts("check", "--jsonl", "--jobs", "2", "-", stdin=b"\n\n")[0] == Exit.NOTHING


def double(number: int) -> int:
    if number == 700:
        raise ZeroDivisionError("seven hundred")
    return 2 * number


def test_results_keep_the_order_of_the_inputs_which_are_read_as_needed() -> None:
    asked = 0

    def questions() -> Iterator[int]:
        nonlocal asked
        for number in range(699):
            asked += 1
            yield number

    answers = in_order(double, questions(), 2)

    assert next(answers) == 0
    assert asked <= 3
    assert list(answers) == [2 * number for number in range(1, 699)]


def test_an_error_in_another_process_is_raised_here_with_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError, match="seven hundred") as raised:
        list(in_order(double, range(1000), 2))

    assert "in double" in raised.value.__notes__[0]


def _workers(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text("utf-8").split()
    return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


@pytest.fixture
def busy() -> Iterator[subprocess.Popen[bytes]]:
    """A check by two processes, each of which has answered once; it waits for the end of a line."""
    words = [CONTRACTS, "check", "--jsonl", "--jobs", "2", "-"]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True) as process:
        assert process.stdin
        process.stdin.write(b"\n".join([json.dumps(event(cadence="hourly")).encode(), *[GOOD] * 500, b"{"]))
        process.stdin.flush()
        wait_for(lambda: Path(f"/proc/{process.pid}/wchan").read_text() in READING_A_PIPE)
        yield process
        process.kill()


def _interrupt(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: everybody gets it


def _kill_a_worker(process: subprocess.Popen[bytes]) -> None:
    os.kill(_workers(process.pid)[0], signal.SIGKILL)
    assert process.stdin
    more = b"\n".join([b"", *[GOOD] * 500, b""])
    assert len(more) > 3 * PIECE_BYTES, "a turn for each, whoever is next"
    with suppress(BrokenPipeError):  # all is over before that
        os.write(process.stdin.fileno(), more)


def _stop_reading(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout
    process.stdout.close()


@pytest.mark.parametrize(
    ("happens", "status", "said"),
    [
        (_interrupt, Exit.INTERRUPTED, "^interrupted$"),
        (_kill_a_worker, Exit.INTERRUPTED, "^contracts: worker process [0-9]+ ended with signal 9 .*\n.*--jobs$"),
        (_stop_reading, Exit.INTERRUPTED, "^$"),
        (subprocess.Popen.kill, -signal.SIGKILL, "^$"),
    ],
)
def test_whatever_ends_the_run_ends_its_processes_and_is_said_once(
    busy: subprocess.Popen[bytes], happens: Callable[[Any], None], status: int, said: str
) -> None:
    workers = _workers(busy.pid)
    assert len(workers) == 2

    happens(busy)

    assert busy.stdin
    assert busy.stderr
    if happens is not _interrupt:
        busy.stdin.close()
    err = busy.stderr.read().decode().strip()
    assert busy.wait(30) == status
    assert re.search(said, err), err
    wait_for(lambda: not any(map(is_running, workers)))
