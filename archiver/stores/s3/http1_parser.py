"""Parse HTTP/1.1 answers without I/O.

Source: RFC 9112. The grammar is h11's, with the same tolerance, and the tests compare every verdict with h11: any
bytes, cut anywhere, give the same status, headers and body, or are refused by both. h11 itself takes ten times as
long for an answer, most of what a whole request may cost here.
"""

from __future__ import annotations

import re
from collections.abc import Callable

MAX_HEAD_BYTES = 64 * 1024
"""Longest status line with its headers, longest chunk header, and longest trailers."""

_STATUS_LINE = re.compile(rb"HTTP/([0-9]\.[0-9]) ([0-9]{3})(?: [^\x00\n\r\x0b\x0c]*)?\r?\n")
# Control characters other than these come in practice (h11 #57).
_FIELDS = re.compile(rb"(?:[-!#$%&'*+.^_`|~0-9a-zA-Z]+:[^\x00\n\r\x0b\x0c]*\n)*")
_FOLD = re.compile(rb"\n[ \t]+")
_CHUNK_HEADER = re.compile(rb"([0-9A-Fa-f]{1,20})(?:;.*)?[ \t]*\r\n")
_MAX_LENGTH_DIGITS = 20
_LENGTH, _CODING, _CONNECTION = b"\ncontent-length:", b"\ntransfer-encoding:", b"\nconnection:"
_TLS_RECORDS = (b"\x15\x03", b"\x16\x03")  # an alert, a handshake


class Malformed(Exception):
    """The bytes are not an HTTP/1.1 answer; gives the reason."""


class AnswerParser:
    """One answer: feed it what arrives, and `end` when the connection ends.

    `status` is 0 until the head of the final answer is whole; interim answers (1xx) are skipped. `head` has its
    header lines, each ended by a line feed. `length` is what Content-Length announces, None without one.
    `is_over` means that the body is whole; `is_reusable` that the connection may then carry another exchange.
    `ends_with_connection` means that only the end of the connection marks the end of the body.
    """

    __slots__ = (
        "_buffer",
        "_expects_body",
        "_left",
        "_read",
        "_searched",
        "ends_with_connection",
        "head",
        "is_over",
        "is_reusable",
        "length",
        "status",
    )

    def __init__(self, *, expects_body: bool = True) -> None:
        self._expects_body = expects_body  # not after HEAD
        self._buffer = b""
        self._searched = 0  # bytes of the buffer that hold no blank line
        self._left = 0  # bytes of the body or the chunk that have not arrived
        self._read: Callable[[bytes], bytes] = self._read_head
        self.status = 0
        self.head = b""
        self.length: int | None = None
        self.is_over = self.is_reusable = self.ends_with_connection = False

    def feed(self, data: bytes) -> bytes:
        """Take bytes that arrived, and return those of them that are body.

        Raises:
            Malformed: this cannot become an answer.
        """
        return self._read(data) if data else b""

    def end(self) -> None:
        """Take the end of the connection.

        Raises:
            Malformed: the answer is not whole.
        """
        if self.ends_with_connection:
            self.is_over = True
        elif not self.is_over:
            raise Malformed("the connection was closed before the answer was whole")

    def _read_head(self, data: bytes) -> bytes:
        while data:
            if self._buffer:
                data = self._buffer + data
            end, after = _blank_line(data, max(0, self._searched - 2))
            if not end and data[0] <= 0x20:
                raise Malformed(_not_http(data))
            if (after or len(data)) > MAX_HEAD_BYTES:
                raise Malformed(f"its head is longer than {MAX_HEAD_BYTES} bytes")
            if not end:
                self._buffer, self._searched = data, len(data)
                break
            self._buffer, self._searched = b"", 0
            self._take_head(data, end)
            data = data[after:]
            if self.status:
                return self._read(data) if data else b""
        return b""

    def _take_head(self, data: bytes, end: int) -> None:
        start = _STATUS_LINE.match(data)
        if start is None:
            raise Malformed(_not_http(data))
        status = int(start[2])
        head = _checked(data[start.end() : end])
        length, is_chunked, is_closed = _framing(head)
        if status < 100 or status == 101:  # 101: nobody asked for another protocol
            raise Malformed(f"status {status} was not asked for")
        if status < 200:
            return
        self.status, self.head, self.length = status, head, length
        is_ambiguous = (
            is_chunked and length is not None
        )  # a request smuggler's mark: chunks are believed, and then no more
        self.is_reusable = start[1] >= b"1.1" and not is_closed and not is_ambiguous
        if not self._expects_body or status in {204, 304}:
            self._over()
        elif is_chunked:
            self._read = self._read_chunks
        elif length is None:
            self.ends_with_connection, self.is_reusable = True, False
            self._read = self._read_to_the_end
        elif length:
            self._left = length
            self._read = self._read_sized
        else:
            self._over()

    def _over(self) -> None:
        self.is_over = True
        self._read = self._read_surplus

    def _read_surplus(self, _: bytes) -> bytes:
        self.is_reusable = False  # this could pass for the next answer
        return b""

    def _read_to_the_end(self, data: bytes) -> bytes:
        return data

    def _read_sized(self, data: bytes) -> bytes:
        left = self._left
        if len(data) < left:
            self._left = left - len(data)
            return data
        self._over()
        if len(data) > left:
            self.is_reusable = False
            return data[:left]
        return data

    def _read_chunks(self, data: bytes) -> bytes:
        """Decode chunks. `_left` counts a chunk's data with the line end after it."""
        if self._buffer:
            data, self._buffer = self._buffer + data, b""
        body: list[bytes] = []
        at = 0
        while at < len(data):
            if self._left > 2:
                piece = data[at : at + self._left - 2]
                body.append(piece)
                self._left -= len(piece)
                at += len(piece)
            elif self._left:
                if data[at] != b"\r\n"[2 - self._left]:
                    raise Malformed("a chunk does not end where its size says")
                self._left -= 1
                at += 1
            else:
                end = data.find(b"\r\n", at) + 2
                if end < 2:
                    self._keep(data[at:])
                    break
                header = _CHUNK_HEADER.fullmatch(data, at, end)
                if header is None:
                    raise Malformed(f"illegal chunk header {data[at:end][:80]!r}")
                at = end
                size = int(header[1], 16)
                if not size:
                    self._read = self._read_trailers
                    self._read_trailers(data[at:])
                    break
                self._left = size + 2
        return b"".join(body)

    def _read_trailers(self, data: bytes) -> bytes:
        data = self._buffer + data
        self._buffer = b""
        if data.startswith((b"\n", b"\r\n")):
            after = data.index(b"\n") + 1
        else:
            end, after = _blank_line(data, 0)
            if not end:
                self._keep(data)
                return b""
            _framing(_checked(data[:end]))
        self._over()
        if after < len(data):
            self.is_reusable = False
        return b""

    def _keep(self, data: bytes) -> None:
        if len(data) > MAX_HEAD_BYTES:
            raise Malformed(f"a chunk header or trailer is longer than {MAX_HEAD_BYTES} bytes")
        self._buffer = data


def _blank_line(data: bytes, start: int) -> tuple[int, int]:
    """Return where the line before the first blank line ends, and where that one ends; zeros where there is none."""
    crlf = data.find(b"\n\r\n", start)
    lf = data.find(b"\n\n", start) if crlf < 0 else data.find(b"\n\n", start, crlf + 1)
    if lf >= 0:
        return lf + 1, lf + 2
    return (crlf + 1, crlf + 3) if crlf >= 0 else (0, 0)


def _checked(block: bytes) -> bytes:
    """Return header lines that are legal, unfolded and ended by a line feed each."""
    block = block.replace(b"\r\n", b"\n")
    if b"\n " in block or b"\n\t" in block:
        block = _FOLD.sub(b" ", block)
    if not _FIELDS.fullmatch(block):
        raise Malformed(f"illegal header in {block[:200]!r}")
    return block


def _framing(block: bytes) -> tuple[int | None, bool, bool]:
    """Return Content-Length, whether the body is chunked, and whether the connection will be closed."""
    block = b"\n" + block.lower()
    codings = _values(block, _CODING) if _CODING in block else []
    if codings and codings != [b"chunked"]:
        raise Malformed(f"Transfer-Encoding {b' and '.join(codings)[:80]!r}, expected chunked alone")
    is_closed = _CONNECTION in block and any(
        each.strip() == b"close" for value in _values(block, _CONNECTION) for each in value.split(b",")
    )
    return _length(block), bool(codings), is_closed


def _length(block: bytes) -> int | None:
    at = block.find(_LENGTH)
    if at < 0:
        return None
    end = block.find(b"\n", at + 1)
    found = block[at + len(_LENGTH) : end].strip(b" \t")
    if not found.isdigit() or len(found) > _MAX_LENGTH_DIGITS or block.find(_LENGTH, end) >= 0:
        lengths = _values(block, _LENGTH)
        announced = {each.strip() for value in lengths for each in value.split(b",")}  # "5, 5" means 5
        found = announced.pop()
        if announced or not found.isdigit() or len(found) > _MAX_LENGTH_DIGITS:
            raise Malformed(f"Content-Length {b' and '.join(lengths)[:80]!r}, expected one length")
    return int(found)


def _values(block: bytes, name: bytes) -> list[bytes]:
    found = []
    at = block.find(name)
    while at >= 0:
        end = block.find(b"\n", at + 1)
        found.append(block[at + len(name) : end].strip(b" \t"))
        at = block.find(name, end)
    return found


def _not_http(data: bytes) -> str:
    if data.startswith(_TLS_RECORDS):
        return "what answers speaks TLS; the endpoint has to begin with https://"
    return f"what answers does not speak HTTP/1.1: it begins with {data[:40]!r}"
