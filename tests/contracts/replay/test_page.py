"""docs/replay.md: its commands do what it says, one after the other, on a real server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from contracts.replay.events.capture import parse_capture
from tests.contracts.replay.conftest import GOLDEN, STREAM, SUBJECT, Staging
from tests.support.payloads import event

PAGE = (Path(__file__).parents[3] / "docs" / "replay.md").read_text("utf-8")
BIN = Path(sys.executable).parent


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_commands_of_the_page_rehearse_a_day_in_staging(rehearsal: Staging) -> None:
    rehearsal.make_stream("KAIZEN_SCHEDULE", "kaizen.schedule.>")
    root = "/home/worsch/kaizen-agentic"
    rehearsal.publish(SUBJECT, *[json.dumps(event(repo=f"r{number}", root=root)).encode() for number in range(3)])
    Path("contracts.toml").write_text(blocks("toml")[0], "utf-8")
    environment = os.environ | {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "NATS_URL": rehearsal.url,
        "STAGING_NATS_URL": rehearsal.url,
    }
    commands = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("contracts ")]
    printed = []

    for command in commands:
        done = subprocess.run(["bash", "-euc", command], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        printed.append(done.stdout)

    assert len(commands) == 7
    rewritten, golden, slice_, hard = 3, GOLDEN, 3, 3
    stored = rehearsal.messages()
    assert len(stored) == rewritten + golden + slice_ + hard
    assert {json.loads(message.data)["root"] for message in stored[:3]} == {"/srv/staging/kaizen-agentic"}
    shown = [line.split()[0] for line in blocks("text")[0].splitlines()]
    assert [line.split()[0] for line in printed[1].splitlines()] == shown


def test_the_capture_on_the_page_is_one() -> None:
    (line,) = blocks("json")

    assert parse_capture(line.encode(), where="docs/replay.md").origin == "KAIZEN_SCHEDULE #17"


def test_the_staging_stream_of_the_page_is_the_one_that_is_tested() -> None:
    assert f'stream = "{STREAM}"' in blocks("toml")[0]
