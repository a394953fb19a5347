"""A run is sent to a webhook that misbehaves: accounted for, none lost, and none taken twice under its identity."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from contracts.errors import BadInput, Exit, Unreachable
from contracts.replay.send.journal import JOURNAL
from contracts.replay.send.report import ReplayReport
from contracts.replay.send.run import execute
from contracts.replay.target.webhook import Webhook
from tests.contracts.replay.send.runs import RUN_ID, outcomes, write_plan

WAITS_S = (0.02, 0.02, 0.02)


class Receiver(ThreadingHTTPServer):
    """Answers as told, 202 where nothing is told, and remembers what it took; a message is its Idempotency-Key.

    `answers` are given one for each try of a number: a status, `hang` (nothing until the end), or `late` (takes the
    message, and never says so).
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[int, list[int | str]] = {}
        self.retry_after = "0"
        self.asked: list[tuple[int, float]] = []
        self.requests: list[dict[str, str]] = []
        self.took: Counter[str] = Counter()
        self.lock = threading.Lock()
        self.ended = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"

    def handle_error(self, *_: Any) -> None:
        """Whoever asked has stopped waiting."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def do_POST(self) -> None:
        receiver = self.server
        number = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["number"]
        with receiver.lock:
            told = receiver.answers.get(number)
            answer = told.pop(0) if told else 202
            receiver.asked.append((number, time.monotonic()))
            receiver.requests.append({name.title(): value for name, value in self.headers.items()})
            if answer in (202, "late"):
                receiver.took[self.headers["Idempotency-Key"]] += 1
        if isinstance(answer, str):
            receiver.ended.wait(30)
            self.close_connection = True
            return
        self.send_response(answer)
        if answer == 429:
            self.send_header("Retry-After", receiver.retry_after)
        if answer == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        yield server
        server.ended.set()
        server.shutdown()
        serving.join()


def send(receiver: Receiver, folder: Path, **how: Any) -> ReplayReport:
    target = Webhook(receiver.url, how.get("headers", {}), timeout_s=how.get("timeout_s", 0.5), waits_s=WAITS_S)
    return asyncio.run(execute(folder, access=target, concurrency=8))


def plan(receiver: Receiver, folder: Path, count: int) -> Path:
    return write_plan(folder, count, receiver.url, stream=None)


def tries(receiver: Receiver) -> Counter[int]:
    return Counter(number for number, _ in receiver.asked)


def test_every_message_is_posted_once_with_its_identity_and_origin(receiver: Receiver, tmp_path: Path) -> None:
    report = send(receiver, plan(receiver, tmp_path / "run", 200))
    assert (report.confirmed, report.retried, report.exit_code) == (200, 0, Exit.OK)
    assert receiver.took == Counter(f"{RUN_ID}:{number}" for number in range(200))
    assert {each["detail"] for each in outcomes(tmp_path / "run").values()} == {"HTTP 202"}
    first = receiver.requests[0]
    assert (first["Content-Type"], first["Kaizen-Replay"]) == ("application/json", RUN_ID)
    assert first["Kaizen-Replay-Origin"].startswith("fixture #")


def test_trouble_is_accounted_for_and_nothing_is_lost_or_doubled(receiver: Receiver, tmp_path: Path) -> None:
    receiver.answers = {
        3: [429],
        5: [500],
        7: ["hang"],
        11: [502, 503, 504],
        13: [429, 500, "hang"],
        17: [404],
        19: [302],
        23: [500, 500, 500, 500],
    }
    report = send(receiver, plan(receiver, tmp_path / "run", 40))
    taken = set(range(40)) - {17, 19, 23}
    assert receiver.took == Counter(f"{RUN_ID}:{number}" for number in taken)
    assert {number for number, each in outcomes(tmp_path / "run").items() if each["status"] == "confirmed"} == taken
    assert (report.sent, report.confirmed, report.refused, report.exit_code) == (40, 37, 3, Exit.BROKEN)
    assert report.reasons == {"HTTP 404": 1, "HTTP 302": 1, "HTTP 500": 1}
    assert {number: count for number, count in tries(receiver).items() if count > 1} == {
        3: 2, 5: 2, 7: 2, 11: 4, 13: 4, 23: 4,
    }  # fmt: skip
    assert report.retried == 6


def test_a_retry_has_the_same_identity_so_that_a_receiver_takes_it_for_the_first(
    receiver: Receiver, tmp_path: Path
) -> None:
    receiver.answers = {2: ["late"]}
    report = send(receiver, plan(receiver, tmp_path / "run", 5))
    assert report.confirmed == 5
    assert receiver.took == Counter({f"{RUN_ID}:{number}": 1 + (number == 2) for number in range(5)})


def test_nothing_is_sent_before_the_time_that_retry_after_names(receiver: Receiver, tmp_path: Path) -> None:
    receiver.answers, receiver.retry_after = {0: [429]}, "1"
    send(receiver, plan(receiver, tmp_path / "run", 60))
    first = next(at for number, at in receiver.asked if number == 0)
    last_before = max(at for _, at in receiver.asked if at < first + 0.8)
    again = [at for number, at in receiver.asked if number == 0][1]
    assert again >= first + 1.0
    assert sum(at > last_before for _, at in receiver.asked) >= 40  # the others waited, too


def test_a_message_that_is_never_answered_is_unknown_and_the_others_go_on(receiver: Receiver, tmp_path: Path) -> None:
    receiver.answers = {1: ["late", "hang", "hang", "hang"]}
    report = send(receiver, plan(receiver, tmp_path / "run", 20), timeout_s=0.2)
    assert (report.confirmed, report.unknown, report.reasons) == (19, 1, {"no answer in time": 1})


def test_a_webhook_that_is_not_there_ends_the_run_and_it_can_be_resumed(receiver: Receiver, tmp_path: Path) -> None:
    folder = plan(receiver, tmp_path / "run", 20)
    receiver.answers = {number: [404] for number in range(20)}
    nowhere = Webhook("http://127.0.0.1:9/hook", waits_s=WAITS_S)
    write_plan(tmp_path / "run", 20, nowhere.url, stream=None)
    with pytest.raises(Unreachable, match=r"the webhook at http://127\.0\.0\.1:9: Connection refused"):
        asyncio.run(execute(folder, access=nowhere, concurrency=8))
    write_plan(tmp_path / "run", 20, receiver.url, stream=None)
    report = send(receiver, folder)
    assert (report.refused, report.resumed) == (20, True)


def test_what_an_interrupted_run_may_have_sent_goes_again_under_the_same_identity(
    receiver: Receiver, tmp_path: Path
) -> None:
    folder = plan(receiver, tmp_path / "run", 20)
    send(receiver, folder)
    journal = folder / JOURNAL
    lines = [line for line in journal.read_bytes().splitlines(keepends=True) if b'"number": 7,' not in line]
    journal.write_bytes(b"".join(lines))
    assert send(receiver, folder).confirmed == 20
    assert receiver.took == Counter({f"{RUN_ID}:{number}": 1 + (number == 7) for number in range(20)})


def test_credentials_go_into_the_request_and_nowhere_else(receiver: Receiver, tmp_path: Path) -> None:
    folder = plan(receiver, tmp_path / "run", 1)
    url = receiver.url.replace("http://", "http://user:p%40ss@")
    target = Webhook(f"{url}?token=sesame", {"X-Api-Key": "opened"})
    report = asyncio.run(execute(folder, access=target, concurrency=1))
    assert receiver.requests[0]["Authorization"] == "Basic dXNlcjpwQHNz"
    assert receiver.requests[0]["X-Api-Key"] == "opened"
    written = "".join(path.read_text() for path in folder.iterdir()) + repr(target) + str(report.to_json())
    assert not [each for each in ("p%40ss", "p@ss", "sesame", "opened") if each in written]


def test_an_archiver_announces_nothing_to_a_webhook(receiver: Receiver, tmp_path: Path) -> None:
    folder = plan(receiver, tmp_path / "run", 1)
    with pytest.raises(BadInput, match="--await-archived needs a target that is NATS"):
        asyncio.run(execute(folder, access=Webhook(receiver.url), concurrency=1, await_archived_s=1))


def test_a_webhook_is_reached_through_the_proxy_of_the_environment(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, target = write_plan(tmp_path / "plan", 3, "http://hook.example/hook", stream=None), Webhook(receiver.url)
    monkeypatch.setenv("HTTP_PROXY", f"http://me:hunter2@127.0.0.1:{receiver.server_port}")

    report = asyncio.run(execute(folder, access=replace(target, url="http://hook.example/hook"), concurrency=8))

    assert report.confirmed == 3
    assert {each["Host"] for each in receiver.requests} == {"hook.example"}
    assert {each["Proxy-Authorization"] for each in receiver.requests} == {"Basic bWU6aHVudGVyMg=="}


def test_an_exception_of_the_environment_reaches_a_webhook_without_the_proxy(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.0/8")
    plan(receiver, tmp_path / "plan", 3)

    assert send(receiver, tmp_path / "plan").confirmed == 3


def test_a_proxy_that_cannot_be_reached_is_named_without_its_password(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://me:hunter2@127.0.0.1:1")
    plan(receiver, tmp_path / "plan", 3)

    with pytest.raises(Unreachable, match=r"through the proxy http://127\.0\.0\.1:1 \(HTTP_PROXY\)") as error:
        send(receiver, tmp_path / "plan")

    assert "hunter2" not in str(error.value)
