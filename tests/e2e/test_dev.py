"""`archiver dev`: one terminal gives another one all that it needs, and takes it away again."""

from __future__ import annotations

import json
import re
import shlex
import signal
from pathlib import Path

import pytest

from archiver.dev_servers import NatsServer, S3Server
from tests.e2e.kit import Kit
from tests.support.builders import BUNDLE, event, payload_bytes
from tests.support.servers import require_binary

OF_THE_KIT = ("NATS_URL", "AWS_ENDPOINT_URL_S3", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "ARCHIVER_BUCKET")


@pytest.fixture
def terminal(tmp_path: Path):
    """An environment in which nothing is set."""
    for server in (NatsServer, S3Server):
        require_binary(server.binary)
    (tmp_path / "tmp").mkdir()
    kit = Kit(None, None, tmp_path, {"TMPDIR": str(tmp_path / "tmp")}, "")
    yield kit
    for each in kit.started:  # in order, or its servers would have to be ended by the kernel
        if each.process.poll() is None:
            each.signal(signal.SIGTERM)
            each.ended()


def exports(printed: str) -> dict[str, str]:
    pairs = [line.removeprefix("export ").partition("=") for line in printed.splitlines()]
    return {name: shlex.split(value)[0] for name, _, value in pairs}


def test_what_it_prints_makes_the_other_commands_work_and_nothing_is_left_behind(terminal: Kit) -> None:
    dev = terminal.start("archiver", "dev")
    pids = re.findall(r"pid (\d+)", dev.wait_for("Ctrl-C stops both"))
    terminal.environment |= exports(dev.out.read_text())
    assert set(OF_THE_KIT) <= set(terminal.environment)

    terminal.archiver("init")
    for name, content in {"event.json": payload_bytes(event()), "bundle.md": BUNDLE}.items():
        (terminal.home / name).write_bytes(content)
    terminal.archiver("put", terminal.home / "bundle.md", "--event", terminal.home / "event.json")
    [listed] = terminal.archiver("ls", "--json").stdout.splitlines()
    assert json.loads(listed)["event"] == event()

    dev.signal(signal.SIGINT)
    assert dev.ended() == 0
    assert len(pids) == 2
    assert [pid for pid in pids if Path("/proc", pid).exists()] == []
    assert list((terminal.home / "tmp").iterdir()) == []


def test_its_data_stay_where_they_were_asked_for(terminal: Kit) -> None:
    data = terminal.home / "data"
    dev = terminal.start("archiver", "dev", "--data", data, "--bucket", "mine")
    dev.wait_for("Ctrl-C stops both")

    written = data / "environment"
    assert written.read_text() == dev.out.read_text()
    assert written.stat().st_mode & 0o077 == 0, "it holds credentials"
    assert exports(written.read_text())["ARCHIVER_BUCKET"] == "mine"
    dev.signal(signal.SIGTERM)
    assert dev.ended() == 0
    assert (data / "nats").is_dir()
