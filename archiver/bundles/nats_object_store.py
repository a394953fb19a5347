"""BundleSource on a bucket of the NATS Object Store, each bundle under the key of its event.

Chunks are asked for one by one (STREAM.MSG.GET): that leaves nothing behind on the server, and each answer has
its deadline. nats-py's own `get` waits indefinitely for a chunk that is gone, and reads acknowledgement subjects by
position: where nats-server has the flag js_ack_fc_v2 on, that ends the read loop of the whole connection.

Only emitters may write to the bucket. Still, an object's metadata is checked before it is used: the
subject of its chunks is made from it, and one with a wildcard would be every object's.
"""

from __future__ import annotations

import asyncio
import json
import re
from base64 import urlsafe_b64encode
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from io import BytesIO
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any, Final

from nats.errors import Error as NatsError
from nats.js.api import StorageType
from nats.js.errors import APIError, NotFoundError

from archiver.core.errors import (
    BundleMissing,
    BundleRefused,
    BundleUnreadable,
    BundleUnsettled,
    BusUnavailable,
    SourceUnavailable,
)
from archiver.ports import Bundle
from contracts.toolkit import spool_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping
    from typing import BinaryIO

    from nats.aio.client import Client
    from nats.js.api import RawStreamMsg

    from contracts import PreparedEvent

_ANSWER_WITHIN_S = 5.0
_WHOLE_WITHIN_S = 600.0
_CHECK_WITHIN_S = 2.0
_IN_MEMORY_BYTES: Final = 1 << 20
_MAX_AGE_S: Final = 30 * 24 * 3600.0  # as long as the events, and longer than any outage should last
OBJECT_STORE: Final = "object_store"
"""The name of this source, in ARCHIVER_SOURCES, health and references."""
_NUID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NO_STREAM, _WRONG_LAST_SEQUENCE = 10059, 10071  # nats-server, server/errors.json


class BundleNotWhole(BundleUnsettled):
    """The object does not match its metadata: still being written, being replaced, or damaged."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(where)
        self.why = why

    def __str__(self) -> str:
        return f"the bundle at {self.where} is not whole: {self.why}"


@dataclass(frozen=True, slots=True)
class _Object:
    """An object as its metadata has it: `told` is all of that, `sequence` the message that held it."""

    told: Mapping[str, Any]
    sequence: int
    nuid: str
    size: int
    chunks: int
    digest: str


class ObjectStoreSource:
    """Bundles in `bucket`, read up to `max_bytes` each; an answer may take `answer_s` seconds, a bundle `whole_s`."""

    def __init__(
        self,
        client: Client,
        bucket: str,
        max_bytes: int,
        *,
        answer_s: float = _ANSWER_WITHIN_S,
        whole_s: float = _WHOLE_WITHIN_S,
    ) -> None:
        self._jetstream = client.jetstream(timeout=answer_s)
        self._bucket, self._max_bytes, self._whole_s = bucket, max_bytes, whole_s
        self._stream = f"OBJ_{bucket}"

    @asynccontextmanager
    async def open(self, event: PreparedEvent, said: str | None = None) -> AsyncIterator[Bundle]:  # noqa: ARG002
        """Copy the bundle of `event` to memory, or to a temporary file, and open it once its digest is right.

        Raises:
            BundleMissing: not there (yet), or deleted.
            BundleNotWhole: chunks are missing, or size or digest do not match its metadata.
            BundleRefused: a link, larger than `max_bytes`, or its metadata is not that of an object.
            BundleUnreadable: NATS refuses to read this object, or reading it takes longer than `whole_s`.
            SourceUnavailable: the bucket does not exist, NATS does not answer, or there is no room for the copy.
        """
        name = spool_name(event)
        where = f"object {self._bucket}/{name}"
        with self._refusals(f"read the {where}"):
            whole = asyncio.timeout(self._whole_s)
            try:
                async with whole:
                    found = await self._find(name, where)
                    file = await self._fetch(found, where)
            except TimeoutError:
                if not whole.expired():
                    raise
                await self.check()
                raise BundleUnreadable(where, f"it took longer than {self._whole_s:.0f} s") from None
            except APIError as error:
                if error.err_code == _NO_STREAM:
                    raise
                await self.check()  # where the bucket as a whole fails, that is raised instead
                raise BundleUnreadable(where, _why(error)) from error
        with file:
            yield Bundle(file, found.size, OBJECT_STORE, release=partial(self._release, name, found))

    async def check(self) -> None:
        """See `ports.BundleSource.check`."""
        with self._refusals(f"find the bucket {self._bucket}"):
            async with asyncio.timeout(_CHECK_WITHIN_S):
                await self._jetstream.stream_info(self._stream)

    async def _find(self, name: str, where: str) -> _Object:
        try:
            message = await self._jetstream.get_last_msg(self._stream, self._meta_subject(name))
        except NotFoundError as error:
            if error.err_code == _NO_STREAM:
                raise
            raise BundleMissing(where) from None
        found = _read_meta(message, where)
        if found.size > self._max_bytes:
            raise BundleRefused(where, f"it has {found.size} bytes, more than {self._max_bytes}")
        return found

    async def _fetch(self, found: _Object, where: str) -> BinaryIO:
        file: BinaryIO = BytesIO() if found.size <= _IN_MEMORY_BYTES else TemporaryFile()  # noqa: SIM115 - `open` closes
        try:
            await self._copy(found, file, where)
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return file

    async def _copy(self, found: _Object, file: BinaryIO, where: str) -> None:
        digest, size, sequence = sha256(), 0, 0
        for number in range(found.chunks):
            try:
                chunk = await self._jetstream.get_msg(
                    self._stream, sequence + 1, self._chunk_subject(found.nuid), next=True
                )
            except NotFoundError as error:
                if error.err_code == _NO_STREAM:
                    raise
                raise BundleNotWhole(where, f"{number} of its {found.chunks} chunks are there") from None
            data, sequence = chunk.data or b"", chunk.seq or 0
            size += len(data)
            if size > found.size:
                break
            digest.update(data)
            await asyncio.to_thread(_write, file, data)
        if size != found.size:
            raise BundleNotWhole(where, f"its metadata says {found.size} bytes, and its chunks have {size}")
        if (right := f"SHA-256={urlsafe_b64encode(digest.digest()).decode()}") != found.digest:
            raise BundleNotWhole(where, f"its metadata says {found.digest[:80]!r}, and its digest is {right!r}")

    async def _release(self, name: str, found: _Object) -> None:
        """Delete the object as other clients do; one that was put again since, or deleted, is left as it is.

        Chunks that a crash leaves behind are nobody's, and go when the bucket's age limit comes.
        """
        tombstone = dict(found.told) | {"deleted": True, "size": 0, "chunks": 0, "digest": ""}
        only_if_last = {"Nats-Rollup": "sub", "Nats-Expected-Last-Subject-Sequence": str(found.sequence)}
        with self._refusals(f"delete the object {self._bucket}/{name}"):
            try:
                await self._jetstream.publish(
                    self._meta_subject(name), json.dumps(tombstone).encode(), headers=only_if_last
                )
            except APIError as error:
                if error.err_code == _WRONG_LAST_SEQUENCE:
                    return
                raise
            await self._jetstream.purge_stream(self._stream, subject=self._chunk_subject(found.nuid))

    def _meta_subject(self, name: str) -> str:
        return f"$O.{self._bucket}.M.{urlsafe_b64encode(name.encode()).decode()}"

    def _chunk_subject(self, nuid: str) -> str:
        return f"$O.{self._bucket}.C.{nuid}"

    @contextmanager
    def _refusals(self, what: str) -> Iterator[None]:
        try:
            yield
        except NotFoundError:
            why = f"NATS has no bucket {self._bucket}\n  create it: archiver init (ARCHIVER_OBJECT_STORE names it)"
            raise SourceUnavailable(OBJECT_STORE, what, why) from None
        except (NatsError, OSError, TimeoutError) as error:
            raise SourceUnavailable(OBJECT_STORE, what, _why(error)) from error


async def ensure_object_store(client: Client, bucket: str) -> bool:
    """Create the bucket where it is missing, and return whether that was so; an existing one is not changed.

    Raises:
        BusUnavailable: JetStream refuses, in its own words.
    """
    jetstream = client.jetstream()
    try:
        try:
            await jetstream.stream_info(f"OBJ_{bucket}")
        except NotFoundError:
            await jetstream.create_object_store(bucket, storage=StorageType.FILE, ttl=_MAX_AGE_S)
            return True
    except (NatsError, OSError, TimeoutError) as error:
        raise BusUnavailable(f"create the object store {bucket}", _why(error)) from None
    return False


def _read_meta(message: RawStreamMsg, where: str) -> _Object:
    try:
        told = json.loads(message.data or b"")
    except (ValueError, RecursionError):
        told = None
    match told:
        case {"deleted": True}:
            raise BundleMissing(where)
        case {"options": {"link": {}}}:
            raise BundleRefused(where, "it is a link to another object")
        case {"nuid": str(nuid), "size": int(size), "chunks": int(chunks), "digest": str(digest)} if (
            _NUID.fullmatch(nuid) and 0 <= chunks <= size  # no chunk is empty
        ):
            return _Object(told, message.seq or 0, nuid, size, chunks, digest)
    raise BundleRefused(where, "its metadata is not that of an object")


def _write(file: BinaryIO, data: bytes) -> None:
    file.write(data)
    file.flush()  # here, where a full disk is still the source's trouble


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return (str(error) or type(error).__name__).removeprefix("nats: ")
