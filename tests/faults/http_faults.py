"""What goes wrong between a client and an S3 store, one class each; for `HttpProxy`."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http import HTTPStatus

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.faults.http_proxy import Forward, HangUp, HttpFault, Message
from tests.faults.proxy import BROKEN, Stream

CODES = {  # the S3 error code that goes with a status; Amazon S3 API reference, "List of error codes"
    301: "PermanentRedirect",
    400: "RequestTimeout",
    401: "Unauthorized",
    403: "AccessDenied",
    404: "NoSuchBucket",
    408: "RequestTimeout",
    409: "ConditionalRequestConflict",
    412: "PreconditionFailed",
    429: "TooManyRequests",
    500: "InternalError",
    501: "NotImplemented",
    502: "BadGateway",
    503: "SlowDown",
    504: "GatewayTimeout",
    507: "XMinioStorageFull",
}


@dataclass(frozen=True)
class Signer:
    """Signs a request anew, so that a store believes what a fault has made of it.

    Both drivers sign If-None-Match and the body's digest: to a store that is to do wrong, as a gateway or a bug
    would make it, the request must look right.
    """

    access_key: str
    secret_key: str = field(repr=False)

    def sign(self, request: Message) -> Message:
        """Return the request with a signature and a digest of its own, and no other checksum."""
        bare = request.without("Authorization", "X-Amz-Date", "X-Amz-Content-SHA256", "X-Amz-Checksum-*", "Content-MD5")
        url = f"http://{request.header('Host')}{request.target}"
        signed = AWSRequest(request.method, url, dict(bare.headers), request.body)
        S3SigV4Auth(Credentials(self.access_key, self.secret_key), "s3", "us-east-1").add_auth(signed)
        return replace(bare, headers=tuple(signed.headers.items()))


@dataclass(frozen=True)
class Late(HttpFault):
    """The request reaches the store `asked_s` seconds late, the answer its client `answered_s` seconds late.

    A request is forwarded even when its client has given up meanwhile: that is how a zombie write comes about.
    """

    asked_s: float = 0.0
    answered_s: float = 0.0

    async def exchange(self, request: Message, forward: Forward) -> Message:
        await asyncio.sleep(self.asked_s)
        answer = await forward(request)
        await asyncio.sleep(self.answered_s)
        return answer


@dataclass(frozen=True)
class Answer(HttpFault):
    """The store answers with this status and an S3 error; with `done` it has done the work all the same."""

    status: int
    done: bool = False

    async def exchange(self, request: Message, forward: Forward) -> Message:
        if self.done:
            await forward(request)
        code = CODES[self.status]
        body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>made by the fault proxy</Message></Error>'
        start = f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"
        answer = Message(start, (("Content-Type", "application/xml"),)).with_body(body.encode())
        return answer if request.method != "HEAD" else replace(answer, body=b"")


@dataclass(frozen=True)
class LoseAnswer(HttpFault):
    """The store does its work, and the connection is reset before it can say so."""

    async def exchange(self, request: Message, forward: Forward) -> Message:
        await forward(request)
        raise HangUp


@dataclass(frozen=True)
class CutRequest(HttpFault):
    """The body breaks off after `after` bytes, for the store too; the client is reset."""

    after: int

    async def exchange(self, request: Message, forward: Forward) -> Message:
        with suppress(*BROKEN):
            await forward(replace(request, body=request.body[: self.after]))
        raise HangUp


@dataclass(frozen=True)
class CutAnswer(HttpFault):
    """The answer's body breaks off after `after` bytes."""

    after: int

    async def reply(self, answer: Message, client: Stream) -> None:
        await client.send(answer.head + answer.body[: self.after])
        raise HangUp


@dataclass(frozen=True)
class FlipRequest(HttpFault):
    """One bit of the body is flipped; with a `signer` the store takes it for what was sent."""

    signer: Signer | None = None

    async def exchange(self, request: Message, forward: Forward) -> Message:
        flipped = replace(request, body=flip(request.body))
        return await forward(self.signer.sign(flipped) if self.signer else flipped)


@dataclass(frozen=True)
class FlipAnswer(HttpFault):
    """One bit of the answer's body is flipped."""

    async def exchange(self, request: Message, forward: Forward) -> Message:
        answer = await forward(request)
        return replace(answer, body=flip(answer.body))


@dataclass(frozen=True)
class SwallowBody(HttpFault):
    """The store keeps an empty object, and says that all is well."""

    signer: Signer

    async def exchange(self, request: Message, forward: Forward) -> Message:
        return await forward(self.signer.sign(request.with_body(b"")))


@dataclass(frozen=True)
class StripHeader(HttpFault):
    """The store takes no notice of a header."""

    name: str
    signer: Signer

    async def exchange(self, request: Message, forward: Forward) -> Message:
        return await forward(self.signer.sign(request.without(self.name)))


@dataclass(frozen=True)
class Trickle(HttpFault):
    """The answer comes byte by byte, one every `every_s` seconds: always alive, never done."""

    every_s: float

    async def reply(self, answer: Message, client: Stream) -> None:
        for byte in answer.head + answer.body:
            await client.send(bytes([byte]))
            await asyncio.sleep(self.every_s)


def flip(data: bytes) -> bytes:
    """Flip the lowest bit in the middle."""
    assert data, "no bit to flip in an empty body; choose requests by method or key"
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
