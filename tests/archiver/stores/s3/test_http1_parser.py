"""The parser of answers gives what h11 gives, whatever comes and wherever it is cut."""

from __future__ import annotations

import re
from itertools import pairwise

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.stores.s3.http1_parser import MAX_HEAD_BYTES, AnswerParser, Malformed

Parsed = tuple[int, list[tuple[bytes, bytes]], bytes]

STARTS = [
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 200\r\n",
    b"HTTP/1.0 200 OK\r\n",
    b"HTTP/1.1 204 No Content\r\n",
    b"HTTP/1.1 304 Not Modified\n",
    b"HTTP/1.1 404 Not \xc3\xbc Found\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\n",
    b"HTTP/1.1 099 Low\r\n",
    b"HTTP/1.1 999 High\r\n",
    b"HTTP/2.0 200 OK\r\n",
    b"http/1.1 200 OK\r\n",
    b"HTTP/1.1  200 OK\r\n",
    b"\r\nHTTP/1.1 200 OK\r\n",
    b"\x15\x03\x01\x00\x02\x02F",
    b"",
]
HEADERS = [
    b"Content-Length: 5\r\n",
    b"content-length:5\n",
    b"Content-Length: 5, 5\r\n",
    b"Content-Length: 6\r\n",
    b"Content-Length: +5\r\n",
    b"Content-Length: 5 5\r\n",
    b"Content-Length:\r\n",
    b"Content-Length: " + b"9" * 21 + b"\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: Chunked \r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Transfer-Encoding:\r\n",
    b"Connection: close\r\n",
    b"X-A: folded\r\n\t over lines\r\n \r\n",
    b" folded at the start\r\n",
    b'ETag: "a\xe9"\r\n',
    b"X-A: a\x01b\r\n",
    b"X-A: a\x00b\r\n",
    b"X-A: a\rb\r\n",
    b"X-A: a\x0bb\r\n",
    b"X-A:\r\n",
    b"X A: b\r\n",
    b"X-A : b\r\n",
    b": b\r\n",
    b"no colon\r\n",
]
BODIES = [
    b"hello",
    b"hello, and more",
    b"hell",
    b"5\r\nhello\r\n0\r\n\r\n",
    b"2;x=y\r\nhe\r\n3 \r\nllo\r\n0\r\nX-Trailer: 1\r\n\r\n",
    b"005\r\nhello\r\n0\n\r\n",
    b"5\r\nhello0\r\n\r\n",
    b"5\nhello\r\n0\r\n\r\n",
    b"g\r\n",
    b"-5\r\nhello\r\n0\r\n\r\n",
    b"0\r\nContent-Length: x\r\n\r\n",
    b"0\r\n",
    b"0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    b"",
]


def by_us(pieces: list[bytes], method: str) -> Parsed | None:
    parser, body = AnswerParser(expects_body=method != "HEAD"), b""
    try:
        for piece in pieces:
            body += parser.feed(piece) if not parser.is_over else b""
        parser.end()
    except Malformed:
        return None
    fields: dict[bytes, list[bytes]] = {}
    for line in parser.head.splitlines():
        name, _, value = line.partition(b":")
        fields.setdefault(name.lower(), []).append(value.strip(b" \t"))
    return parser.status, normal([(name, value) for name, values in fields.items() for value in values]), body


def by_h11(pieces: list[bytes], method: str) -> Parsed | None:
    client = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
    client.send(h11.Request(method=method, target="/", headers=[("host", "store")]))
    client.send(h11.EndOfMessage())
    left, head, body = iter([*pieces, b""]), None, b""
    try:
        while True:
            event = client.next_event()
            if event is h11.NEED_DATA:
                client.receive_data(next(left))
            elif isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                assert head is not None
                return head.status_code, normal([(bytes(name), bytes(value)) for name, value in head.headers]), body
            elif isinstance(event, h11.ConnectionClosed):
                return None
    except h11.RemoteProtocolError:
        return None


def normal(fields: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """h11 gives one Content-Length where equal ones came, and codings in lower case; the rest in any order."""
    values = [(name, value.lower() if name == b"transfer-encoding" else value) for name, value in fields]
    lengths = {(name, re.split(b"[, ]", value)[0]) for name, value in values if name == b"content-length"}
    return sorted([each for each in values if each[0] != b"content-length"] + [*lengths])


def cut(data: bytes, places: list[int]) -> list[bytes]:
    cuts = sorted({0, len(data), *(each % (len(data) + 1) for each in places)})
    return [data[start:end] for start, end in pairwise(cuts)]


def damaged(parts: tuple[bytes, int, int]) -> bytes:
    data, place, byte = parts
    at = place % (len(data) + 1)
    return data[:at] + (bytes([byte]) if byte < 256 else b"") + data[at + byte % 2 :]


answers = st.tuples(
    st.sampled_from(STARTS), st.lists(st.sampled_from(HEADERS), max_size=4), st.sampled_from(BODIES)
).map(lambda parts: parts[0] + b"".join(parts[1]) + b"\r\n" + parts[2])
any_bytes = answers | st.tuples(answers, st.integers(0, 999), st.integers(0, 300)).map(damaged) | st.binary()


@given(any_bytes, st.lists(st.integers(0, 999), max_size=8), st.sampled_from(["GET", "GET", "PUT", "HEAD"]))
def test_any_bytes_cut_anywhere_are_read_as_h11_reads_them(data: bytes, places: list[int], method: str) -> None:
    assert by_us(cut(data, places), method) == by_h11(cut(data, places), method)


@given(any_bytes, st.sampled_from(["GET", "HEAD"]))
def test_where_an_answer_is_cut_changes_nothing(data: bytes, method: str) -> None:
    assert by_us([data], method) == by_us([data[at : at + 1] for at in range(len(data))], method)


@pytest.mark.parametrize(
    ("data", "is_reusable"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nH", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: Keep-Alive, Close\r\n\r\nok", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok", False),
        (b"HTTP/1.1 200 OK\r\n\r\nok", False),
    ],
)
def test_a_connection_is_kept_only_where_the_next_answer_is_told_apart(data: bytes, *, is_reusable: bool) -> None:
    parser = AnswerParser()

    assert parser.feed(data) == b"ok"
    parser.end()
    assert (parser.is_over, parser.is_reusable) == (True, is_reusable)


@pytest.mark.parametrize(
    "start",
    [
        b"HTTP/1.1 200 OK\r\nX-A: ",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-A: ",
        b"",
    ],
    ids=["header", "chunk header", "trailer", "no HTTP at all"],
)
def test_a_head_without_end_is_refused_before_it_fills_the_memory(start: bytes) -> None:
    parser = AnswerParser()
    parser.feed(start)
    for _ in range((MAX_HEAD_BYTES - len(start)) // 1000):
        parser.feed(b"a" * 1000)

    with pytest.raises(Malformed, match="longer than 65536 bytes"):
        parser.feed(b"a" * 1000)


def test_many_interim_answers_are_skipped() -> None:
    parser = AnswerParser()

    assert (
        parser.feed(b"HTTP/1.1 102 Processing\r\n\r\n" * 5000 + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        == b"ok"
    )
    assert parser.status == 200


@pytest.mark.parametrize("record", [b"\x15\x03\x03\x00\x02\x02F", b"\x16\x03\x01\x02\x00\x01"])
def test_tls_in_place_of_http_is_named(record: bytes) -> None:
    with pytest.raises(Malformed, match="what answers speaks TLS; the endpoint has to begin with https://"):
        AnswerParser().feed(record)
