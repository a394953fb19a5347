"""A server that answers every request with bytes of the test's choice, then closes the connection."""

from __future__ import annotations

import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from archiver.stores.s3.access import S3Access
from tests.support.drivers import SECRET

Answers = bytes | dict[str, bytes] | None
"""The same for every request, one for each method, or silence."""


class _Scripted(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        length = 0
        if self.rfile.peek(1)[:1] == b"\x16":  # type: ignore[attr-defined] # a TLS handshake: servers answer at once
            self.wfile.write(answer_of("400 Bad Request"))
            return
        method = self.rfile.readline().split(b" ")[0].decode("latin-1")
        while line := self.rfile.readline().strip():
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
            if line.lower() == b"expect: 100-continue":
                self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.rfile.read(length)
        answer = self.server.answer  # type: ignore[attr-defined] # see `answering`
        if isinstance(answer, dict):
            answer = answer[method]
        if answer is None:
            self.rfile.read()  # silence, until the client gives up
        else:
            self.wfile.write(answer)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing: a client that hangs up is what some tests want."""


@contextmanager
def answering(answer: Answers, *, tls: ssl.SSLContext | None = None) -> Iterator[S3Access]:
    """Start the server; the access leads to it and waits for 0.3 s at most, or 5 s where it is to answer."""
    with _Server(("127.0.0.1", 0), _Scripted) as server:
        server.answer = answer  # type: ignore[attr-defined]
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield S3Access(
                bucket="archive",
                endpoint_url=f"http://127.0.0.1:{server.server_address[1]}",
                access_key_id="id",
                secret_access_key=SECRET,
                connect_timeout_s=0.3 if answer is None else 5.0,
                read_timeout_s=0.3 if answer is None else 5.0,
            )
        finally:
            server.shutdown()
            thread.join()


def answer_of(status: str, body: bytes = b"", *headers: str) -> bytes:
    """Return a whole answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def error_of(status: str, code: str, inside: str = "", *headers: str) -> bytes:
    """Return a refusal as S3 writes it."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>its words</Message>{inside}</Error>"
    return answer_of(status, body.encode(), "Content-Type: application/xml", *headers)


def both(get: bytes) -> dict[str, bytes]:
    """The same answer for every method, in the answer to a HEAD without its body."""
    return {**dict.fromkeys(("GET", "PUT", "DELETE", "POST"), get), "HEAD": get.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"}
