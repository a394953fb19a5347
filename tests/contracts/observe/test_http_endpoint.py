"""An endpoint that returns the event is observed: asked plainly, or driven by schemathesis from OpenAPI."""

from __future__ import annotations

import json
import socket
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from contracts.checker import check
from contracts.errors import BadInput, Unreachable
from contracts.observe.http_endpoint import observe_http
from contracts.observe.observation import Observed
from contracts.rules.registry import load_contract
from tests.support.payloads import event

CADENCES = ["daily", "weekly", "monthly"]
CONTRACT = load_contract("kaizen.schedule.prepared@1")
Answer = tuple[int, bytes]


@contextmanager
def serving(answer: Callable[[str], Answer], logins: list[str | None] | None = None, **headers: str) -> Iterator[str]:
    """Serve GET with what `answer` makes of the path and query, on a port of its own; yields the base URL."""
    seen = [] if logins is None else logins

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers.get("Authorization"))
            status, body = answer(self.path)
            self.send_response(status)
            for name, value in (
                {"Content_Type": "application/json", "Content_Length": str(len(body))} | headers
            ).items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def prepared(path: str, **changes: Any) -> Answer:
    """The event for `?cadence=…`, with changes."""
    asked = parse_qs(urlsplit(path).query).get("cadence", ["daily"])[0]
    if asked not in CADENCES:
        return 422, b"{}"
    return 200, json.dumps(event(cadence=asked) | changes).encode()


def document(path: str = "/prepared", **changes: Any) -> dict[str, Any]:
    names = ["agent"] if "{agent}" in path else []
    parameters = [{"name": name, "in": "path", "required": True, "schema": {"enum": ["coach"]}} for name in names]
    cadence = {"name": "cadence", "in": "query", "required": True, "schema": {"type": "string", "enum": CADENCES}}
    schema = {"type": "object", "required": ["event"], "properties": {"version": {"type": "string"}}}
    answers = {
        "200": {"description": "ok", "content": {"application/json": {"schema": schema}}},
        "422": {"description": "no"},
    }
    operation = {"parameters": [*parameters, cadence], "responses": answers}
    return {"openapi": "3.0.3", "info": {"title": "t", "version": "1"}, "paths": {path: {"get": operation}}} | changes


def driven(
    answer: Callable[[str], Answer], tmp_path: Path, path: str = "/prepared", asked: str = "/prepared"
) -> Observed:
    openapi = tmp_path / "openapi.json"
    openapi.write_text(json.dumps(document(path)), "utf-8")
    with serving(answer) as url:
        return observe_http(url + asked, str(openapi), timeout_s=10)


def rules(observed: Observed) -> set[str]:
    return {each.rule for each in observed.violations}


def broken_rules(observed: Observed) -> set[str]:
    return {each.rule for one in observed.observations for each in check(one.raw, contract=CONTRACT).violations}


def test_a_plain_request_is_answered_with_the_event() -> None:
    with serving(prepared) as url:
        observed = observe_http(f"{url}/prepared?cadence=weekly", None, timeout_s=10)
    (one,) = observed.observations
    assert json.loads(one.raw) == event(cadence="weekly")
    assert observed.violations == ()
    assert broken_rules(observed) == set()


@pytest.mark.parametrize(
    ("status", "body", "rule", "found"),
    [
        (500, b"oops", "emitter/http-status", "500 Internal Server Error"),
        (404, b"", "emitter/http-status", "404 Not Found"),
        (304, b"", "emitter/http-status", "304 Not Modified"),
        (200, b"", "emitter/nothing", "an empty answer"),
        (204, b"", "emitter/nothing", "an empty answer"),
        (200, b" \n", "emitter/nothing", "an empty answer"),
        (200, b"x" * ((1 << 20) + 1), "emitter/flood", "more than 1048576 bytes"),
    ],
)
def test_an_answer_without_an_event_is_a_finding(status: int, body: bytes, rule: str, found: str) -> None:
    with serving(lambda _: (status, body)) as url:
        observed = observe_http(url, None, timeout_s=10)
    assert observed.observations == ()
    assert [(each.rule, each.found) for each in observed.violations] == [(rule, found)]


def test_an_answer_that_is_cut_off_is_taken_as_far_as_it_came() -> None:
    with serving(lambda _: (200, b'{"event": '), Content_Length="500") as url:
        observed = observe_http(url, None, timeout_s=10)
    assert [each.raw for each in observed.observations] == [b'{"event": ']
    assert broken_rules(observed) == {"payload/syntax"}


@pytest.mark.parametrize("openapi", [False, True], ids=["plain", "driven"])
def test_an_endpoint_that_does_not_answer_ends_with_the_time_limit(openapi: bool, tmp_path: Path) -> None:  # noqa: FBT001
    (tmp_path / "openapi.json").write_text(json.dumps(document()), "utf-8")
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the system accepts, nobody answers
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/prepared"
        observed = observe_http(url, str(tmp_path / "openapi.json") if openapi else None, timeout_s=0.5)
    assert [(each.rule, each.found) for each in observed.violations] == [
        ("emitter/time-limit", "it had not answered after 0.5 s")
    ]


def test_user_and_password_of_the_url_log_in_and_are_shown_nowhere() -> None:
    asked: list[str | None] = []
    with serving(prepared, asked) as url:
        observed = observe_http(url.replace("//", "//me:hunter%402@") + "/prepared", None, timeout_s=10)
    assert asked == ["Basic " + b64encode(b"me:hunter@2").decode()]
    assert len(observed.observations) == 1
    assert "hunter" not in str(observed)


@pytest.mark.parametrize("openapi", [False, True], ids=["plain", "driven"])
def test_an_endpoint_that_nobody_serves_is_unreachable(openapi: bool, tmp_path: Path) -> None:  # noqa: FBT001
    (tmp_path / "openapi.json").write_text(json.dumps(document()), "utf-8")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else can, and a connection is refused
        url = f"http://user:hunter2@127.0.0.1:{taken.getsockname()[1]}/prepared"
        with pytest.raises(Unreachable, match=r"[Rr]efused") as error:
            observe_http(url, str(tmp_path / "openapi.json") if openapi else None, timeout_s=5)
    assert "hunter2" not in str(error.value)


def test_user_and_password_of_the_documents_url_log_in_and_are_no_part_of_a_host(monkeypatch: Any) -> None:
    asked: list[tuple[str, str | None]] = []

    def urlopen(request: Any, **_: Any) -> None:
        asked.append((request.full_url, request.get_header("Authorization")))
        raise OSError(111, "Connection refused")

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    with pytest.raises(BadInput, match=r"the OpenAPI document http://h/api\?\*\*\*: Connection refused"):
        observe_http("http://127.0.0.1:9/x", "http://me:hunter%402@h/api?key=hunter2", timeout_s=5)
    assert asked == [("http://h/api?key=hunter2", "Basic " + b64encode(b"me:hunter@2").decode())]
    for broken in ("http://me:1/hunter2@h", "http://me:hunter2/x@h"):
        with pytest.raises(BadInput, match="no URL or no JSON") as caught:
            observe_http("http://127.0.0.1:9/x", broken, timeout_s=5)
        assert "hunter2" not in str(caught.value)
    assert len(asked) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://me:1/hunter2@127.0.0.1/x",
        "http://127.0.0.1:hunter2/x",
        "http://127.0.0.1/a b",
        "http://",
        "http://[::1/x",
    ],
)
def test_a_url_that_is_none_is_wrong_usage(url: str) -> None:
    with pytest.raises(BadInput, match="not a URL that can be asked"):
        observe_http(url, None, timeout_s=5)


def test_schemathesis_asks_for_every_cadence_and_a_good_endpoint_passes(tmp_path: Path) -> None:
    observed = driven(prepared, tmp_path)
    assert {json.loads(each.raw)["cadence"] for each in observed.observations} == set(CADENCES)
    assert observed.violations == ()
    assert broken_rules(observed) == set()


def test_one_wrongly_answered_cadence_is_found_by_document_and_contract(tmp_path: Path) -> None:
    def answer(path: str) -> Answer:
        return prepared(path, **({"version": 1} if "monthly" in path else {}))

    observed = driven(answer, tmp_path)
    assert rules(observed) == {"emitter/openapi"}
    assert "GET /prepared" in observed.violations[0].found
    assert broken_rules(observed) == {"version/type"}
    assert {json.loads(each.raw)["cadence"] for each in observed.observations} == set(CADENCES)


def test_what_only_the_contract_forbids_is_found_too(tmp_path: Path) -> None:
    observed = driven(lambda path: prepared(path, occurred_at="2026-06-17 09:00:12"), tmp_path)
    assert observed.violations == ()
    assert broken_rules(observed) == {"occurred_at/format"}


@pytest.mark.parametrize(("status", "body"), [(500, b"{}"), (418, b"{}")], ids=["error", "status not described"])
def test_a_status_that_the_document_does_not_describe_is_a_finding(status: int, body: bytes, tmp_path: Path) -> None:
    observed = driven(lambda _: (status, body), tmp_path)
    assert rules(observed) == {"emitter/openapi"}
    assert observed.observations == ()


def test_the_same_requests_are_made_in_every_run(tmp_path: Path) -> None:
    asked: list[list[str]] = []
    for _ in range(2):
        asked.append([])
        driven(lambda path: (asked[-1].append(path), prepared(path))[1], tmp_path)  # type: ignore[func-returns-value]
    assert asked[0] == asked[1]
    assert len(asked[0]) >= len(CADENCES)


def test_a_path_with_parameters_is_described_by_its_template(tmp_path: Path) -> None:
    paths: set[str] = set()
    observed = driven(
        lambda path: (paths.add(urlsplit(path).path), prepared(path))[1],  # type: ignore[func-returns-value]
        tmp_path,
        path="/agents/{agent}/prepared",
        asked="/api/agents/rover/prepared",
    )
    assert observed.violations == ()
    assert paths == {"/api/agents/coach/prepared"}


def test_nothing_is_left_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    driven(prepared, tmp_path)
    assert list((tmp_path / "here").iterdir()) == []


def test_the_document_may_be_served_too() -> None:
    def answer(path: str) -> Answer:
        return (200, json.dumps(document()).encode()) if path == "/openapi.json" else prepared(path)

    with serving(answer) as url:
        observed = observe_http(f"{url}/prepared", f"{url}/openapi.json", timeout_s=10)
    assert broken_rules(observed) == rules(observed) == set()
    assert len(observed.observations) == len(CADENCES)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("openapi: 3.0.3\n", "cannot read the OpenAPI document .*expected JSON"),
        ("[]", "is not an OpenAPI document: it has no 'openapi' version"),
        ("{}", "is not an OpenAPI document"),
        (json.dumps(document("/other")), r"describes no operation for /prepared\n  it describes: GET /other"),
        (json.dumps(document(paths={})), "describes no operation for /prepared\n  it describes: none"),
        (json.dumps(document(openapi="17")), "cannot use the OpenAPI document"),
        (json.dumps(document(paths={"/prepared": {"get": {"parameters": 5}}})), "cannot use the OpenAPI document"),
    ],
    ids=["YAML", "a list", "no version", "another path", "no path", "unknown version", "broken operation"],
)
def test_a_document_that_is_of_no_use_says_why(text: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "openapi.json").write_text(text, "utf-8")
    with serving(prepared) as url, pytest.raises(BadInput, match=f"(?s){why}"):
        observe_http(f"{url}/prepared", str(tmp_path / "openapi.json"), timeout_s=5)


def test_a_document_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"nowhere\.json"):
        observe_http("http://127.0.0.1:1/prepared", str(tmp_path / "nowhere.json"), timeout_s=5)
