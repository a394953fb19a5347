"""The prepare command is run within limits: found, watched, and ended with all its children."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from tests.support.emitter import interrupt_a_render, is_running, wait_for, write_emitter

CONTRACTS = Path(sys.executable).parent / "contracts"


def test_a_program_that_is_not_there_is_named_with_what_to_do(emit: Any, spool: Path) -> None:
    status, _, err = emit("kaizen-agentik")

    assert status == 2
    assert "cannot find the program 'kaizen-agentik'" in err
    assert "--program /path/to/kaizen-agentic" in err
    assert list(spool.iterdir()) == []


def test_a_program_that_may_not_be_run_is_said_so(emit: Any, spool: Path, tmp_path: Path) -> None:
    program = write_emitter(tmp_path / "bin")
    program.write_bytes(b"\x00\x01\x02")
    no_program = emit(program)
    program.chmod(0o644)
    no_permission = emit(program)

    assert [status for status, _, _ in (no_program, no_permission)] == [2, 2]
    assert f"cannot start {program}: Exec format error" in no_program[2]
    assert "cannot find the program" in no_permission[2]
    assert list(spool.iterdir()) == []


def test_a_program_that_fails_is_shown_with_the_end_of_what_it_said(emit: Any, spool: Path, tmp_path: Path) -> None:
    program = write_emitter(tmp_path / "bin", before="for n in 1 2 3 4 5 6 7; do echo line $n >&2; done; exit 7")

    status, out, err = emit(program)

    assert (status, out) == (2, "")
    assert "failed with exit status 7" in err
    assert err.splitlines()[-5:] == [f"  | line {number}" for number in range(3, 8)]
    assert list(spool.iterdir()) == []


def test_a_program_that_fails_in_silence_is_said_to(emit: Any, tmp_path: Path) -> None:
    assert "it printed nothing on standard error" in emit(write_emitter(tmp_path / "bin", before="exit 1"))[2]


def test_a_program_that_hangs_is_stopped_in_time_with_its_children(emit: Any, spool: Path, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    program = write_emitter(tmp_path / "bin", before=f"sleep 600 & echo $! $$ > {pids}; echo waiting >&2; wait")
    start = time.monotonic()

    status, _, err = emit(program, "--timeout", "1.5")

    assert status == 2
    assert "did not end within 1.5 s and was stopped" in err
    assert "  | waiting" in err
    assert time.monotonic() - start < 30
    wait_for(lambda: not [pid for pid in pids.read_text().split() if is_running(int(pid))])
    assert list(spool.iterdir()) == []


def test_a_program_that_leaves_a_child_holding_its_output_is_stopped_in_time(emit: Any, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    program = write_emitter(tmp_path / "bin", before=f"sleep 600 & echo $! > {pids}")
    start = time.monotonic()

    status, _, err = emit(program, "--timeout", "1.5")

    assert status == 2
    assert "did not end within 1.5 s" in err
    assert time.monotonic() - start < 30
    wait_for(lambda: not is_running(int(pids.read_text())))


def test_an_interrupt_ends_a_render_with_its_children_and_leaves_nothing_behind(
    usual: list[Any], spool: Path, tmp_path: Path
) -> None:
    status, err = interrupt_a_render([*usual, "--stdout"], tmp_path)

    assert (status, err.strip()) == (130, "interrupted")
    assert list(spool.iterdir()) == []
