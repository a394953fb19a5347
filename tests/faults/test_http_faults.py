"""The fault proxy does to an HTTP exchange what each fault says: what the server sees, and what the client gets."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from archiver.dev_servers import S3Server
from tests.e2e.kit import until
from tests.faults.http_faults import (
    CODES,
    Answer,
    CutAnswer,
    CutRequest,
    FlipAnswer,
    FlipRequest,
    Late,
    LoseAnswer,
    Signer,
    StripHeader,
    SwallowBody,
    Trickle,
)
from tests.faults.http_proxy import HttpFault, HttpProxy
from tests.faults.proxy import LOOPBACK, Blackhole, Reset
from tests.support.drivers import every_driver, opened
from tests.support.servers import access_to
from tests.support.store_calls import create, read

SOON_S = 10.0
BODY = b"body of a request"
GOOD = b"good answer"
BROKEN = (ConnectionResetError, http.client.IncompleteRead, http.client.RemoteDisconnected)


@dataclass(frozen=True)
class Seen:
    """A request as the server saw it."""

    line: str
    headers: dict[str, str]
    body: bytes


class Handler(BaseHTTPRequestHandler):
    """Notes each request and answers it: /chunked in chunks, all else with a length."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append(Seen(self.requestline, dict(self.headers), body))
        self.send_response(200)
        if self.path == "/chunked":
            self.send_header("Transfer-Encoding", "chunked")
            answer = b"".join(b"1;x=y\r\n%c\r\n" % byte for byte in GOOD) + b"0\r\nTrailer: 1\r\n\r\n"
        else:
            self.send_header("Content-Length", str(len(GOOD)))
            answer = b"" if self.command == "HEAD" else GOOD
        self.end_headers()
        self.wfile.write(answer)

    do_PUT = do_HEAD = do_GET  # noqa: N815 - the library finds them by these names

    def log_message(self, *_: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Keeps what it saw, and takes a connection that breaks as it comes."""

    def __init__(self) -> None:
        super().__init__((LOOPBACK, 0), Handler)
        self.seen: list[Seen] = []

    def handle_error(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(server: Server) -> Iterator[HttpProxy]:
    with HttpProxy(server.server_port) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: HttpProxy) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(LOOPBACK, proxy.port, timeout=SOON_S)
    yield connection
    connection.close()


def asked(client: http.client.HTTPConnection, method: str = "PUT", path: str = "/a", **more: Any) -> tuple[int, bytes]:
    client.request(method, path, body=None if method in {"GET", "HEAD"} else BODY, **more)
    answer = client.getresponse()
    return answer.status, answer.read()


def seen(server: Server) -> list[bytes]:
    return [each.body for each in server.seen]


def test_without_a_fault_everything_passes_over_one_connection_and_untouched(
    client: http.client.HTTPConnection, server: Server
) -> None:
    assert asked(client, headers={"Host": "signed", "X-Odd": "a:b"}) == (200, GOOD)
    kept = client.sock
    assert asked(client, "GET", "/chunked") == (200, GOOD)
    assert asked(client, "HEAD") == (200, b"")
    assert asked(client) == (200, GOOD)
    assert client.sock is kept
    assert server.seen[0].headers == {
        "Host": "signed",
        "X-Odd": "a:b",
        "Accept-Encoding": "identity",
        "Content-Length": str(len(BODY)),
    }
    assert seen(server) == [BODY, b"", b"", BODY]


def test_chunks_become_a_length(client: http.client.HTTPConnection, server: Server) -> None:
    client.request("PUT", "/a", body=iter([b"body of ", b"a request"]))
    assert client.getresponse().read() == GOOD
    assert seen(server) == [BODY]
    assert "Transfer-Encoding" not in server.seen[0].headers


def test_a_client_that_waits_to_be_told_to_go_on_is_told(proxy: HttpProxy, server: Server) -> None:
    with socket.create_connection((LOOPBACK, proxy.port), SOON_S) as client:
        client.sendall(b"PUT /a HTTP/1.1\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n" % len(BODY))
        assert client.recv(1024) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(BODY)
        assert client.recv(1024).startswith(b"HTTP/1.1 200")
    assert seen(server) == [BODY]
    assert "Expect" not in server.seen[0].headers


# Fault -> what the client gets (None: a broken connection), and the bodies that reached the server.
EXCHANGES: list[tuple[HttpFault, tuple[int, bytes] | None, list[bytes]]] = [
    (LoseAnswer(), None, [BODY]),
    (CutRequest(5), None, [BODY[:5]]),
    (CutAnswer(5), None, [BODY]),
    (FlipRequest(), (200, GOOD), [b"body of ` request"]),
    (FlipAnswer(), (200, b"good `nswer"), [BODY]),
    (SwallowBody(Signer("key", "secret")), (200, GOOD), [b""]),
    (Trickle(0.001), (200, GOOD), [BODY]),
]


@pytest.mark.parametrize(("fault", "got", "reached"), EXCHANGES, ids=lambda each: type(each).__name__)
def test_a_fault_does_what_it_says_and_the_next_exchange_is_whole(
    proxy: HttpProxy,
    client: http.client.HTTPConnection,
    server: Server,
    fault: HttpFault,
    got: tuple[int, bytes] | None,
    reached: list[bytes],
) -> None:
    proxy.fault = fault
    if got:
        assert asked(client) == got
    else:
        with pytest.raises(BROKEN):
            asked(client)
        client.close()
    assert seen(server) == reached
    assert proxy.hits == 1
    proxy.heal()
    assert asked(client) == (200, GOOD)


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("status", CODES)
def test_any_answer_can_be_made_up_with_the_work_done_or_not(
    proxy: HttpProxy, client: http.client.HTTPConnection, server: Server, status: int, *, done: bool
) -> None:
    proxy.fault = Answer(status, done=done)
    found, said = asked(client)
    assert found == status
    assert f"<Code>{CODES[status]}</Code>".encode() in said
    assert asked(client, "HEAD") == (status, b"")
    assert len(server.seen) == 2 * done


def test_a_late_request_arrives_though_its_client_has_gone(
    proxy: HttpProxy, client: http.client.HTTPConnection, server: Server
) -> None:
    proxy.fault = Late(asked_s=0.2)
    began = time.monotonic()
    client.request("PUT", "/a", body=BODY)
    client.close()
    until(lambda: server.seen, "the request at the server")
    assert time.monotonic() - began >= 0.2
    assert seen(server) == [BODY]


def test_a_late_answer_is_late(proxy: HttpProxy, client: http.client.HTTPConnection) -> None:
    proxy.fault = Late(answered_s=0.2)
    began = time.monotonic()
    client.request("PUT", "/a", body=BODY)
    assert client.getresponse().read() == GOOD
    assert time.monotonic() - began >= 0.2


MATCHERS = [
    (Answer(503, method="PUT"), [503, 200, 503, 503]),
    (Answer(503, key="refs/"), [200, 200, 503, 200]),
    (Answer(503, header="if-none-match"), [200, 200, 200, 503]),
    (Answer(503, times=2), [503, 503, 200, 200]),
    (Answer(503, method="PUT", times=1), [503, 200, 200, 200]),
    (Answer(503, share=0.5, seed=7), [503, 503, 200, 503]),
    (Answer(503, share=0.5, seed=8), [503, 200, 503, 200]),
]


@pytest.mark.parametrize(("fault", "statuses"), MATCHERS, ids=str)
def test_a_fault_strikes_what_it_names(
    proxy: HttpProxy, client: http.client.HTTPConnection, fault: Answer, statuses: list[int]
) -> None:
    proxy.fault = fault
    found = [
        asked(client, "PUT", "/blobs/1")[0],
        asked(client, "GET", "/blobs/1")[0],
        asked(client, "PUT", "/refs/1")[0],
        asked(client, "PUT", "/blobs/1", headers={"If-None-Match": "*"})[0],
    ]
    assert found == statuses
    assert proxy.hits == statuses.count(503)


def test_links_fail_as_they_do_without_http(proxy: HttpProxy, client: http.client.HTTPConnection) -> None:
    assert asked(client) == (200, GOOD)
    proxy.fault = Blackhole()
    client.timeout = 0.2
    client.close()
    with pytest.raises(TimeoutError):
        asked(client)
    client.close()
    proxy.fault = Reset()
    with pytest.raises(ConnectionResetError):
        asked(client)


def test_a_fault_that_has_nothing_to_strike_fails_the_test_that_set_it(server: Server) -> None:
    with pytest.raises(ExceptionGroup, match="defects"), HttpProxy(server.server_port) as proxy:  # noqa: PT012
        proxy.fault = FlipRequest(method="GET")
        client = http.client.HTTPConnection(LOOPBACK, proxy.port, timeout=SOON_S)
        with pytest.raises(BROKEN):
            asked(client, "GET")


@every_driver
def test_a_signed_request_passes_and_a_request_signed_anew_is_believed(driver: Any, s3_server: S3Server) -> None:
    signer = Signer(s3_server.access_key, s3_server.secret_key)

    async def steps(proxy: HttpProxy) -> None:
        async with opened(driver, access_to(s3_server, endpoint_url=f"http://{LOOPBACK}:{proxy.port}")) as store:
            await create(store, "plain", b"first")
            proxy.fault = StripHeader("If-None-Match", signer)
            await create(store, "plain", b"other")
            proxy.fault = FlipRequest(signer, method="PUT")
            await create(store, "flipped", b"first")
            proxy.fault = SwallowBody(signer, method="PUT")
            await create(store, "swallowed", b"first")
            proxy.heal()
            assert [await read(store, key) for key in ("plain", "flipped", "swallowed")] == [b"other", b"fisst", b""]

    with HttpProxy(s3_server.port) as proxy:
        asyncio.run(steps(proxy))
