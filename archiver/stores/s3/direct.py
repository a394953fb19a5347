"""ObjectStore for the data path, spoken by ourselves: a third to a half of obstore's CPU for a request.

Five requests for each event are most of a worker's CPU, and obstore answers each from another thread, a GET twice, and
wakes the event loop every time. So what workers ask for (PUT, GET, HEAD) is signed and sent here; listings and
deletions, which answer in XML, are obstore's. Behind a proxy this client is not used: see `wiring`.
"""

from __future__ import annotations

import ssl
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
from archiver.core.values import Stored
from archiver.stores.s3.access import refusal, require_digest, told_in
from archiver.stores.s3.credentials import RenewingCredentials
from archiver.stores.s3.http1 import Exchange, File, Host, NoAnswer
from archiver.stores.s3.sigv4 import NOTHING_SHA256, path_of, signed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from archiver.core.values import Folder, Listed
    from archiver.ports import Body
    from archiver.stores.s3.access import S3Access
    from archiver.stores.s3.http1 import Answer, Connection
    from archiver.stores.s3.obstore_s3 import ObstoreStore
    from contracts import KitError

_CHUNK_BYTES = 1024 * 1024


class DirectStore:
    """ObjectStore with a client of our own for what workers do."""

    def __init__(self, access: S3Access) -> None:
        self._access = access
        endpoint = urlsplit(access.url)
        name, is_tls = endpoint.hostname or "", endpoint.scheme == "https"
        port = endpoint.port or (443 if is_tls else 80)
        if not access.path_style:
            name = f"{access.bucket}.{name}"
        self._base = f"/{access.bucket}/" if access.path_style else "/"
        shown = f"[{name}]" if ":" in name else name
        self._host = shown if port in {80, 443} and endpoint.port is None else f"{shown}:{port}"
        tls = ssl.create_default_context(cafile=access.ca_bundle) if is_tls else None
        self._server = Host(name, port, tls, access.connect_timeout_s, access.connections)
        self._credentials = RenewingCredentials(access)
        self._for_the_rest: ObstoreStore | None = None

    async def check(self) -> None:
        """Ask for a key that need not exist: a missing bucket says so; see `BlobStore.check`."""
        with suppress(KeyMissing):
            await self._whole("read", f"bucket {self._access.bucket!r}", _Request("GET", "check"))

    async def create(
        self, key: str, body: Body, *, sha256: str, content_type: str, metadata: Mapping[str, str]
    ) -> Stored:
        """Store under a new key; see `BlobStore.create`."""
        return await self._put("create", key, body, sha256, content_type, metadata)

    async def replace(
        self, key: str, body: Body, *, sha256: str, content_type: str, metadata: Mapping[str, str]
    ) -> Stored:
        """Store whatever is there; see `BlobStore.replace`."""
        return await self._put("replace", key, body, sha256, content_type, metadata)

    async def read(self, key: str) -> AsyncIterator[bytes]:
        """Stream an object; see `BlobStore.read`."""
        connection, answer = await self._ask("read", key, _Request("GET", key))
        received = 0
        try:
            if answer.status != 200:
                raise self._refused("read", key, answer)
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
        try:
            await self._whole("look for", key, _Request("HEAD", key))
        except KeyMissing:
            return False
        return True

    def list(self, prefix: str, after: str = "") -> AsyncIterator[Listed]:
        """See `BlobStore.list`."""
        return self._rest.list(prefix, after)

    async def folder(self, prefix: str) -> Folder:
        """See `BlobStore.folder`."""
        return await self._rest.folder(prefix)

    async def delete(self, key: str) -> None:
        """See `BlobStore.delete`."""
        await self._rest.delete(key)

    async def close(self) -> None:
        """Close the connections that are kept; see `BlobStore.close`."""
        self._server.close()
        if self._for_the_rest:
            await self._for_the_rest.close()

    @property
    def _rest(self) -> ObstoreStore:
        if self._for_the_rest is None:
            from archiver.stores.s3.obstore_s3 import ObstoreStore  # noqa: PLC0415 - a worker needs none of it

            self._for_the_rest = ObstoreStore(self._access)
        return self._for_the_rest

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
            require_digest(verb, key, sent, sha256)
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
        """Make an exchange whose answer is small; `verb` and `what` are for the error that a refusal stands for."""
        connection, answer = await self._ask(verb, what, request)
        self._server.give_back(connection)
        if not 200 <= answer.status < 300:
            raise self._refused(verb, what, answer)
        return answer

    async def _ask(self, verb: str, what: str, request: _Request) -> tuple[Connection, Answer]:
        """Send a request, and return its answer with the connection, which is to be given back."""
        body, access = request.body, self._access
        size = body.size_bytes if isinstance(body, File) else len(body)
        path = self._base + path_of(access.full_key(request.key))
        lines = signed(
            self._credentials.now or await self._credentials.renewed(),
            access.region,
            request.method,
            path,
            {"host": self._host, **request.headers},
            request.sha256,
            _moment(int(time.time())),
        )
        length = f"content-length: {size}\r\n" if request.method == "PUT" else ""
        head = f"{request.method} {path} HTTP/1.1\r\n{lines}{length}user-agent: kaizen-event-kit\r\n\r\n"
        exchange = Exchange(
            head.encode(),
            body,
            expects_body=request.method != "HEAD",
            within_s=access.patience_s(size),
            silence_s=access.read_timeout_s,
            # A lost create may have been done: sent again it would meet itself, and report another writer's key.
            is_repeatable="if-none-match" not in request.headers,
        )
        try:
            return await self._server.exchange(exchange)
        except NoAnswer as error:
            raise self._unanswered(verb, what, error) from error

    def _refused(self, verb: str, what: str, answer: Answer) -> KitError:
        code, message = told_in(answer.body.decode("utf-8", "replace"))
        return refusal(self._access, verb, what, status=answer.status, code=code, message=message)

    def _unanswered(self, verb: str, what: str, error: NoAnswer) -> KitError:
        return refusal(self._access, verb, what, status=None, code=None, message=str(error))


class _Request(NamedTuple):
    method: str
    key: str
    headers: Mapping[str, str] = MappingProxyType({})
    body: bytes | File = b""
    sha256: str = NOTHING_SHA256


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
