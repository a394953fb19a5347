"""A replay that is broken off says how to go on, and then everything is there once."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

from tests.contracts.conftest import RunContracts
from tests.contracts.replay.conftest import GOLDEN, SUBJECT, Staging
from tests.support.emitter import wait_for

CONTRACTS = Path(sys.executable).parent / "contracts"


def test_ctrl_c_ends_a_replay_and_resume_ends_it_well(rehearsal: Staging, run_contracts: RunContracts) -> None:
    command = [CONTRACTS, "replay", "staging", "--execute", "--rate", "20/s"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as replay:
        wait_for(lambda: len(rehearsal.messages()) > 3)
        replay.send_signal(signal.SIGINT)
        _, err = replay.communicate(timeout=30)

    (folder,) = Path("replays").iterdir()
    assert replay.returncode == 130
    assert f"broken off; go on with it: contracts replay --resume {folder}" in err
    assert 3 < len(rehearsal.messages()) < GOLDEN
    assert run_contracts("replay", "staging", "--resume", folder)[0] == 0
    stored = rehearsal.messages()
    assert [message.headers["Nats-Msg-Id"] for message in stored] == [f"{folder.name}:{n}" for n in range(GOLDEN)]
    assert {json.loads(message.data)["event"] for message in stored} == {SUBJECT}


def test_a_target_that_cannot_be_reached_any_more_leaves_a_run_to_go_on_with(
    rehearsal: Staging, run_contracts: RunContracts
) -> None:
    assert run_contracts("replay", "staging", "--execute")[0] == 0
    (folder,) = Path("replays").iterdir()
    rehearsal.server.stop()

    status, _, err = run_contracts("replay", "--resume", folder)

    assert (status, "cannot reach NATS" in err) == (4, True)


def test_a_complete_run_sends_nothing_more_and_what_it_came_to_stays(
    rehearsal: Staging, run_contracts: RunContracts
) -> None:
    assert run_contracts("replay", "staging", "--execute")[0] == 0
    (folder,) = Path("replays").iterdir()
    report = (folder / "report.json").read_bytes()

    status, out, _ = run_contracts("replay", "--resume", folder)

    assert (status, "nothing is left to send" in out) == (0, True)
    assert (folder / "report.json").read_bytes() == report
    assert len(rehearsal.messages()) == GOLDEN
