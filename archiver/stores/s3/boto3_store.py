"""BlobStore on boto3: the driver behind a proxy, or by choice.

boto3 blocks, so every call runs in a bounded pool of threads. A call that is cancelled here goes on in its
thread until its own time-out; what it then writes is harmless, because keys come from content.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC
from functools import partial
from io import SEEK_END
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from botocore.exceptions import ClientError

from archiver.core.errors import KeyMissing, StoreUnavailable
from archiver.core.values import Folder, Listed, Stored
from archiver.stores.s3.boto3_client import refusals, s3_client
from archiver.stores.s3.refusals import require_progress

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from archiver.ports import Body
    from archiver.stores.s3.access import S3Access

T = TypeVar("T")

_CHUNK_BYTES = 1024 * 1024


class Boto3Store:
    """BlobStore on boto3; one client for all threads, at most `access.connections` calls at once."""

    def __init__(self, access: S3Access) -> None:
        self._access = access
        # urllib3 sends a body under the connect time-out, so silence in the middle of one must be as long there.
        patient = replace(access, connect_timeout_s=access.read_timeout_s)
        self._client = s3_client(patient, sign_bodies=not access.checksums)
        self._threads = ThreadPoolExecutor(access.connections, thread_name_prefix="s3")

    async def check(self) -> None:
        """Ask for one key, since the refusal of a HEAD has no body with the reason; see `BlobStore.check`."""
        access, list_keys = self._access, self._client.list_objects_v2
        with refusals(access, "check", f"bucket {access.bucket!r}"):
            await self._in_thread(partial(list_keys, Bucket=access.bucket, Prefix=access.full_key(""), MaxKeys=1))

    async def create(
        self, key: str, body: Body, *, sha256: str, content_type: str, metadata: Mapping[str, str]
    ) -> Stored:
        """Store under a new key; see `BlobStore.create`."""
        return await self._put(
            "create", key, body, sha256, ContentType=content_type, Metadata=dict(metadata), IfNoneMatch="*"
        )

    async def replace(
        self, key: str, body: Body, *, sha256: str, content_type: str, metadata: Mapping[str, str]
    ) -> Stored:
        """Store the object; see `BlobStore.replace`."""
        return await self._put("replace", key, body, sha256, ContentType=content_type, Metadata=dict(metadata))

    async def read(self, key: str) -> AsyncIterator[bytes]:
        """Stream an object; see `BlobStore.read`."""
        with refusals(self._access, "read", key):
            get = partial(self._client.get_object, Bucket=self._access.bucket, Key=self._access.full_key(key))
            answer = await self._in_thread(get)
        body, length, received = answer["Body"], answer.get("ContentLength"), 0
        try:
            while True:
                with refusals(self._access, "read", key):
                    chunk = await self._in_thread(partial(body.read, _CHUNK_BYTES))
                if not chunk:
                    break
                received += len(chunk)
                yield chunk
        finally:
            body.close()
        if length is None:  # in chunks, which urllib3 checks, or to the end of the connection
            with refusals(self._access, "read", key):
                head = partial(self._client.head_object, Bucket=self._access.bucket, Key=self._access.full_key(key))
                length = (await self._in_thread(head)).get("ContentLength", received)
        if received != length:
            raise StoreUnavailable(f"read {key}", f"{received} of {length} bytes arrived")

    async def holds(self, key: str) -> bool:
        """Ask for an object's metadata; see `BlobStore.holds`."""
        place: dict[str, Any] = {"Bucket": self._access.bucket, "Key": self._access.full_key(key)}
        try:
            with refusals(self._access, "look for", key):
                try:
                    await self._in_thread(partial(self._client.head_object, **place))
                except ClientError as error:
                    if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                        raise
                    # Nothing shows whether key, bucket or store is missing; the answer to a GET does.
                    (await self._in_thread(partial(self._client.get_object, **place)))["Body"].close()
        except KeyMissing:
            return False
        return True

    async def list(self, prefix: str, after: str = "") -> AsyncIterator[Listed]:
        """List page by page; see `BlobStore.list`."""
        start = {"StartAfter": self._access.full_key(after)} if after else {}
        async for page in self._pages(prefix, **start):
            for entry in page.get("Contents", []):
                yield self._listed(entry)

    async def folder(self, prefix: str) -> Folder:
        """See `BlobStore.folder`."""
        objects, folders = [], []
        async for page in self._pages(prefix, Delimiter="/"):
            objects += [self._listed(entry) for entry in page.get("Contents", [])]
            folders += [self._access.relative_key(each["Prefix"]) for each in page.get("CommonPrefixes", [])]
        return Folder(objects, sorted(folders))

    async def delete(self, key: str) -> None:
        """Remove an object, or hide it where the bucket keeps versions; see `BlobStore.delete`."""
        with suppress(KeyMissing), refusals(self._access, "delete", key):
            delete = partial(self._client.delete_object, Bucket=self._access.bucket, Key=self._access.full_key(key))
            await self._in_thread(delete)

    async def close(self) -> None:
        """Wait for calls under way, then give back threads and connections."""
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
        self._client.close()

    async def _pages(self, prefix: str, **more: str) -> AsyncIterator[Any]:
        wanted, token = self._access.full_key(prefix), ""
        request: dict[str, Any] = {"Bucket": self._access.bucket, "Prefix": wanted, **more}
        while True:
            with refusals(self._access, "list", prefix):
                page = await self._in_thread(partial(self._client.list_objects_v2, **request))
            names = [each["Key"] for each in page.get("Contents", ())]
            names += [each["Prefix"] for each in page.get("CommonPrefixes", ())]
            token = require_progress(prefix, wanted, names, token, _token_in(page))
            yield page
            if not token:
                break
            request["ContinuationToken"] = token

    def _listed(self, entry: Any) -> Listed:
        key = self._access.relative_key(entry["Key"])
        return Listed(key, entry["Size"], entry["LastModified"].astimezone(UTC))

    async def _put(
        self,
        verb: Literal["create", "replace"],
        key: str,
        body: Body,
        sha256: str,
        **headers: Any,
    ) -> Stored:
        size = len(body) if isinstance(body, bytes) else body.seek(0, SEEK_END)
        if not isinstance(body, bytes):
            body.seek(0)
        if self._access.checksums:
            headers["ChecksumSHA256"] = b64encode(bytes.fromhex(sha256)).decode()
        with refusals(self._access, verb, key):
            # put_object, never upload_file: that one has no IfNoneMatch and cuts into parts.
            put = partial(self._client.put_object, Bucket=self._access.bucket, Key=self._access.full_key(key))
            answer = await self._in_thread(partial(put, Body=body, **headers), within_s=self._access.patience_s(size))
        return Stored(version_id=answer.get("VersionId"))

    async def _in_thread(self, call: Callable[[], T], *, within_s: float | None = None) -> T:
        """Call in a thread; `within_s` bounds it in all, since a time-out of the socket begins anew with each byte."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(within_s or self._access.patience_s()):
            return await loop.run_in_executor(self._threads, call)


def _token_in(page: Any) -> str:
    if not page.get("IsTruncated"):
        return ""
    if token := page.get("NextContinuationToken"):
        return str(token)
    raise StoreUnavailable("list", "its page says that there is more, without a NextContinuationToken to ask for it")
