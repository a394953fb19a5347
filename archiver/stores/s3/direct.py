"""BlobStore in our own HTTP/1.1: the driver of the data path.

Five requests for each event are most of a worker's CPU. In the whole order this client takes half the CPU of the best
library that was measured: see docs/performance.md. Behind a proxy it is not used: see `wiring`.
"""

from __future__ import annotations

import hashlib
import time
from base64 import b64encode
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from io import SEEK_END, BytesIO
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import urlsplit

from archiver.core.errors import KeyMissing, StoreUnavailable
from archiver.core.values import Folder, Listed, Stored
from archiver.stores.s3.credentials import RenewingCredentials, may_be_rejected
from archiver.stores.s3.http1 import Exchange, File, Host, NoAnswer
from archiver.stores.s3.list_objects import NotAPage, Page, read_page
from archiver.stores.s3.refusals import (
    Refusal,
    Stranger,
    estranged,
    is_done,
    is_web_page,
    refusal_in,
    refused,
    require_progress,
    root_of,
    what_answered,
)
from archiver.stores.s3.sigv4 import NOTHING_SHA256, Credentials, path_of, query_of, signed
from archiver.stores.s3.trust import tls_context

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from archiver.ports import Body
    from archiver.stores.s3.access import S3Access
    from archiver.stores.s3.http1 import Answer, Connection
    from contracts import KitError

_CHUNK_BYTES = 1024 * 1024
_PAGE_BYTES = 16 * 1024 * 1024  # of 1,000 keys of 1,024 bytes each, every byte of them encoded, a third


class DirectStore:
    """BlobStore on our own HTTP/1.1; its connections belong to the event loop that first used it."""

    def __init__(self, access: S3Access) -> None:
        self._access = access
        endpoint = urlsplit(access.url)
        name, is_tls = endpoint.hostname or "", endpoint.scheme == "https"
        port = endpoint.port or (443 if is_tls else 80)
        if not access.path_style:
            name = f"{access.bucket}.{name}"
        self._bucket = f"/{access.bucket}" if access.path_style else ""
        shown = f"[{name}]" if ":" in name else name
        self._host = shown if port in {80, 443} and endpoint.port is None else f"{shown}:{port}"
        tls = tls_context(access.ca_bundle) if is_tls else None
        self._server = Host(name, port, tls, access.connect_timeout_s, access.connections)
        self._credentials = RenewingCredentials(access)

    async def check(self) -> None:
        """Read a key that need not exist, whose refusal shows who refuses; see `BlobStore.check`."""
        bucket = f"bucket {self._access.bucket!r}"
        with suppress(KeyMissing):
            await self._whole("read", bucket, _Request("GET", "check"))
            await self._page("list", bucket, {"max-keys": "1"})  # a server that answers every key is not a store

    async def create(
        self, key: str, body: Body, *, sha256: str, content_type: str, metadata: Mapping[str, str]
    ) -> Stored:
        """Store under a new key; see `BlobStore.create`."""
        return await self._put("create", key, body, sha256, content_type, metadata)

    async def replace(
        self, key: str, body: Body, *, sha256: str, content_type: str, metadata: Mapping[str, str]
    ) -> Stored:
        """Store the object; see `BlobStore.replace`."""
        return await self._put("replace", key, body, sha256, content_type, metadata)

    async def read(self, key: str) -> AsyncIterator[bytes]:
        """Stream an object; see `BlobStore.read`."""
        connection, answer = await self._ask("read", key, _Request("GET", key))
        received = 0
        try:
            if answer.status != 200 or _is_strange(answer):
                raise self._failed("read", key, answer, connection.begun() or answer.body)
            if answer.body:
                received = len(answer.body)
                yield answer.body
            elif answer.is_large:
                async for piece in connection.pieces(self._access.read_timeout_s):
                    received += len(piece)
                    for start in range(0, len(piece), _CHUNK_BYTES):
                        yield piece[start : start + _CHUNK_BYTES]
        except NoAnswer as error:
            raise self._unanswered("read", key, error) from error
        finally:
            self._server.give_back(connection)
        if answer.ends_with_connection:
            length = (await self._whole("read", key, _Request("HEAD", key))).length
            if length not in {None, received}:
                raise StoreUnavailable(f"read {key}", f"{received} of {length} bytes arrived")

    async def holds(self, key: str) -> bool:
        """Ask for an object's metadata; see `BlobStore.holds`."""
        connection, answer = await self._ask("look for", key, _Request("HEAD", key))
        self._server.give_back(connection)
        if answer.status == 404:  # nothing shows whether key, bucket or store is missing; the answer to a GET does
            return await self._is_read(key)
        if not 200 <= answer.status < 300 or _is_strange(answer):
            raise self._failed("look for", key, answer, b"")
        return True

    async def list(self, prefix: str, after: str = "") -> AsyncIterator[Listed]:
        """List page by page; see `BlobStore.list`."""
        start = {"start-after": self._access.full_key(after)} if after else {}
        async for page in self._pages(prefix, start):
            for key, size_bytes, modified_at in page.objects:
                yield Listed(self._access.relative_key(key), size_bytes, modified_at)

    async def folder(self, prefix: str) -> Folder:
        """See `BlobStore.folder`."""
        access, objects, folders = self._access, list[Listed](), list[str]()
        async for page in self._pages(prefix, {"delimiter": "/"}):
            objects += [Listed(access.relative_key(key), size, modified_at) for key, size, modified_at in page.objects]
            folders += map(access.relative_key, page.prefixes)
        return Folder(objects, sorted(folders))

    async def delete(self, key: str) -> None:
        """Remove an object, or hide it where the bucket keeps versions; see `BlobStore.delete`."""
        with suppress(KeyMissing):
            await self._whole("delete", key, _Request("DELETE", key))

    async def close(self) -> None:
        """Close the connections that are kept; see `BlobStore.close`."""
        self._server.close()

    async def _pages(self, prefix: str, more: Mapping[str, str]) -> AsyncIterator[Page]:
        wanted, token = self._access.full_key(prefix), ""
        while True:
            page = await self._page("list", prefix, {**more, "prefix": wanted})
            names = [*(each.key for each in page.objects), *page.prefixes]
            token = require_progress(prefix, wanted, names, token, page.token)
            yield page
            if not token:
                break
            more = {name: value for name, value in more.items() if name == "delimiter"} | {"continuation-token": token}

    async def _page(self, verb: str, what: str, query: Mapping[str, str]) -> Page:
        # URL-encoded, since XML cannot hold every character of a key.
        query = {"list-type": "2", "encoding-type": "url", **query}
        answer = await self._whole(verb, what, _Request("GET", "", query=query_of(query)))
        try:
            return read_page(answer.body)
        except NotAPage as error:
            if root_of(answer.body) == "ListBucketResult":
                raise StoreUnavailable(
                    f"{verb} {what}".rstrip(), f"its ListBucketResult is damaged: {error}"
                ) from error
            raise self._failed(verb, what, answer, answer.body) from error

    async def _is_read(self, key: str) -> bool:
        connection, answer = await self._ask("look for", key, _Request("GET", key))
        body = connection.begun() or answer.body
        self._server.give_back(connection)
        if 200 <= answer.status < 300 and not _is_strange(answer):
            return True
        error = self._failed("look for", key, answer, body)
        if isinstance(error, KeyMissing):
            return False
        raise error

    async def _put(
        self,
        verb: Literal["create", "replace"],
        key: str,
        body: Body,
        sha256: str,
        content_type: str,
        metadata: Mapping[str, str],
    ) -> Stored:
        sent = _sendable(body)
        if isinstance(sent, bytes):
            _require_digest(verb, key, sent, sha256)
        headers = {"content-type": " ".join(content_type.split())}
        for name, value in metadata.items():
            headers[f"x-amz-meta-{name}"] = " ".join(value.split())
        if verb == "create":
            headers["if-none-match"] = "*"
        if self._access.checksums:
            headers["x-amz-checksum-sha256"] = b64encode(bytes.fromhex(sha256)).decode()
        answer = await self._whole(verb, key, _Request("PUT", key, headers, sent, sha256))
        return Stored(version_id=answer.header("x-amz-version-id"))

    async def _whole(self, verb: str, what: str, request: _Request) -> Answer:
        """Make an exchange whose answer is held whole; `verb` and `what` are for the error where it fails."""
        connection, answer = await self._ask(verb, what, request)
        try:
            if answer.is_large:
                answer.body = await self._gathered(connection)
        except NoAnswer as error:
            raise self._unanswered(verb, what, error) from error
        finally:
            self._server.give_back(connection)
        is_strange = _is_strange(answer) and not is_done(request.method, answer.status, answer.header, answer.body)
        if not 200 <= answer.status < 300 or is_strange:
            raise self._failed(verb, what, answer, answer.body)
        return answer

    async def _gathered(self, connection: Connection) -> bytes:
        pieces, size = [], 0
        async for piece in connection.pieces(self._access.read_timeout_s):
            pieces.append(piece)
            size += len(piece)
            if size > _PAGE_BYTES:
                raise NoAnswer(f"the answer is longer than {_PAGE_BYTES} bytes")
        return b"".join(pieces)

    async def _ask(self, verb: str, what: str, request: _Request) -> tuple[Connection, Answer]:
        """Send a request, and return its answer with the connection, which is to be given back.

        Where the credentials are refused and others can be had by now, it is sent once more with those.
        """
        used = self._credentials.now or await self._credentials.renewed()
        connection, answer = await self._send(verb, what, request, used)
        if answer.status < 400 or not _is_rejection(answer):
            return connection, answer
        try:
            others = await self._credentials.renewed(rejected=used)
        except BaseException:
            connection.close()
            raise
        if others == used:
            return connection, answer
        self._server.give_back(connection)
        if isinstance(request.body, File):
            request.body.file.seek(0)
        return await self._send(verb, what, request, others)

    async def _send(
        self, verb: str, what: str, request: _Request, credentials: Credentials
    ) -> tuple[Connection, Answer]:
        body, access = request.body, self._access
        size = body.size_bytes if isinstance(body, File) else len(body)
        key = f"/{path_of(access.full_key(request.key))}" if request.key else ""
        path = f"{self._bucket}{key}" or "/"
        lines = signed(
            credentials,
            access.region,
            request.method,
            path,
            {"host": self._host, **request.headers},
            request.sha256,
            _moment(int(time.time())),
            request.query,
        )
        length = f"content-length: {size}\r\n" if request.method == "PUT" else ""
        target = f"{path}?{request.query}" if request.query else path
        head = f"{request.method} {target} HTTP/1.1\r\n{lines}{length}user-agent: kaizen-event-kit\r\n\r\n"
        exchange = Exchange(
            head.encode(),
            body,
            expects_body=request.method != "HEAD",
            within_s=access.patience_s(size),
            silence_s=access.read_timeout_s,
            # A lost create may have been done: sent again it would meet itself, and report another writer's key.
            is_repeatable="if-none-match" not in request.headers,
            # Of two DELETEs, the first could arrive after the object was written again: see `archiver gc`.
            is_single=request.method == "DELETE",
        )
        try:
            return await self._server.exchange(exchange)
        except NoAnswer as error:
            raise self._unanswered(verb, what, error) from error

    def _failed(self, verb: str, what: str, answer: Answer, body: bytes) -> KitError:
        """Return the error for an answer that is not what was asked for."""
        if 200 <= answer.status < 300:
            error = refusal_in(answer.status, answer.header, body) if root_of(body) == "Error" else None
            if error is None:
                return estranged(verb, what, Stranger(answer.status, what_answered(answer.status, answer.header, body)))
            return refused(self._access, verb, what, error)
        return refused(self._access, verb, what, refusal_in(answer.status, answer.header, body))

    def _unanswered(self, verb: str, what: str, error: NoAnswer) -> KitError:
        return refused(self._access, verb, what, Refusal(None, str(error)))


class _Request(NamedTuple):
    method: str
    key: str
    headers: Mapping[str, str] = MappingProxyType({})
    body: bytes | File = b""
    sha256: str = NOTHING_SHA256
    query: str = ""


def _is_rejection(answer: Answer) -> bool:
    """Whether a refusal may be due to credentials that are no longer the right ones."""
    return may_be_rejected(answer.status, refusal_in(answer.status, answer.header, answer.body).code)


def _names_amazon(answer: Answer) -> bool:
    """Whether an answer has a header that stores send (x-amz-request-id) and web servers do not."""
    return b"\nx-amz-" in b"\n" + answer.head.lower()


def _is_strange(answer: Answer) -> bool:
    """Whether a success is a web page, which no store would send for our objects."""
    looks_so = b"html" in answer.head.lower() or answer.body.startswith(b"<")
    return looks_so and is_web_page(answer.header, answer.body) and not _names_amazon(answer)


def _require_digest(verb: str, key: str, body: bytes, sha256: str) -> None:
    """Compare a body with the digest that its caller knows it by, since that is what is signed and sent along."""
    found = hashlib.sha256(body).hexdigest()
    if found != sha256:
        why = f"BadDigest: the body's SHA-256 is {found}, expected {sha256}; nothing was sent"
        raise StoreUnavailable(f"{verb} {key}", why)


@lru_cache(maxsize=1)
def _moment(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y%m%dT%H%M%SZ")


def _sendable(body: Body) -> bytes | File:
    if isinstance(body, bytes):
        return body
    if isinstance(body, BytesIO):
        return body.getvalue()
    size = body.seek(0, SEEK_END)
    body.seek(0)
    return File(body, size)
