"""A webhook whose URL is a secret: its requests arrive there, and no file and no output has any of it."""

from __future__ import annotations

import threading
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from contracts.replay.send.journal import JOURNAL
from tests.contracts.conftest import RunContracts

PASSWORD = "hunter2/abc@:?#% é"


class Hook(ThreadingHTTPServer):
    """Takes every POST, and remembers path and login of each."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[tuple[str, str | None]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, self.headers["Authorization"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def hook() -> Iterator[Hook]:
    with Hook() as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        yield server
        server.shutdown()
        serving.join()


def test_the_secret_parts_of_a_webhooks_url_are_used_and_neither_shown_nor_stored(
    hook: Hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_contracts: RunContracts
) -> None:
    monkeypatch.chdir(tmp_path)
    url = f"http://me:${{PASSWORD}}@127.0.0.1:{hook.server_port}/T000/${{SECRET}}?sig=${{SECRET}}"
    Path("contracts.toml").write_text(f'[targets.hook]\nurl = "{url}"\n', "utf-8")
    monkeypatch.setenv("PASSWORD", PASSWORD)
    monkeypatch.setenv("SECRET", "SECRETSECRET")

    dry = run_contracts("replay", "hook")
    sent = run_contracts("replay", "hook", "--execute")
    count = len(hook.asked)
    (run,) = Path("replays").iterdir()
    # As if the process had been killed with five outcomes missing.
    (run / "report.json").unlink()
    journal = (run / JOURNAL).read_bytes().splitlines(keepends=True)
    (run / JOURNAL).write_bytes(b"".join(journal[:-5]))
    resumed = run_contracts("replay", "--resume", run)

    assert [each[0] for each in (dry, sent, resumed)] == [0, 0, 0], resumed[2]
    assert len(hook.asked) == count + 5
    login = "Basic " + b64encode(f"me:{PASSWORD}".encode("latin-1")).decode()
    assert set(hook.asked) == {("/T000/SECRETSECRET?sig=SECRETSECRET", login)}
    written = "".join(path.read_text("utf-8") for path in Path("replays").rglob("*") if path.is_file())
    everything = str((dry, sent, resumed)) + written
    assert f"http://127.0.0.1:{hook.server_port}" in written
    assert not [each for each in ("hunter2", "SECRET", "T000", "me:") if each in everything]
