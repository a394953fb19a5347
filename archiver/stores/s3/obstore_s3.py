"""ObjectStore on obstore: listings, and the data path where a proxy is asked.

What obstore 0.12 does by itself, and what is done about it here:
- it tries again for up to three minutes: switched off, since the pipeline decides;
- AWS_ENDPOINT_URL_S3 of the environment beats its argument `endpoint`: the argument of that very name is
  always given, and credentials come from a provider, which the environment does not beat;
- it knows no profiles, and asks the instance's metadata service instead: boto3's chain is asked for it;
- it raises AlreadyExistsError for 409 and 304 as for 412: the status is read from its text;
- its `list` takes whole path segments only: the parent is listed and filtered. Its `offset` must be a key: of
  one that names a directory, SeaweedFS 4.48 skips all that is in there;
- it deletes one key by DeleteObjects, which answers 200 with a refusal inside: that is read from its text too.
"""

from __future__ import annotations

import asyncio
import os
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import TYPE_CHECKING, Literal, TypeVar

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from archiver.core.errors import KeyMissing, StoreUnavailable
from archiver.core.values import Folder, Listed, Stored
from archiver.stores.s3.access import refusal, require_digest, told_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Mapping

    from obstore import Attributes, ObjectMeta
    from obstore.store import ClientConfig, S3Config, S3Credential, S3CredentialProvider

    from archiver.ports import Body
    from archiver.stores.s3.access import S3Access
    from archiver.stores.s3.boto3_store import Boto3Store

T = TypeVar("T")

# Read when obstore starts its threads, at the first request. One keeps up with us, and more only wake each other.
os.environ.setdefault("TOKIO_WORKER_THREADS", "1")

_CHUNK_BYTES = 1024 * 1024
_GATHERED_BYTES = 128 * 1024  # of a larger object: 16 read-backs at once took 40 MiB more with 512 KiB
_PAGE = 200  # of the 1,000 keys that S3 lists at once: the rest is not made into Python objects yet
_CHAIN_GOOD_FOR = timedelta(minutes=10)  # see AwsChain.credentials; obstore asks again five minutes before


class ObstoreStore:
    """ObjectStore on obstore; files go through boto3.

    The rule: what its source holds in memory, which is up to 1 MiB, obstore sends; a file is sent by boto3, which
    needs no memory for it. obstore streams only multipart uploads, which cannot be create-only.
    """

    def __init__(self, access: S3Access) -> None:
        self._access = access
        self._for_files: Boto3Store | None = None
        client: ClientConfig = {
            "allow_http": (access.endpoint_url or "").startswith("http:"),
            "connect_timeout": timedelta(seconds=access.connect_timeout_s),
            # The driver's total covers the body, so it would cut long transfers off: `_answer` bounds
            # each step instead. It cannot be switched off.
            "timeout": timedelta(days=1),
            "pool_max_idle_per_host": str(access.connections),
        }
        if access.ca_bundle:
            client["root_certificate"] = access.ca_bundle.read_bytes()
        config: S3Config = {
            "region": access.region,
            "virtual_hosted_style_request": not access.path_style,
            "aws_endpoint_url_s3": access.endpoint_url or _aws_endpoint(access),
        }
        if access.checksums:
            config["checksum_algorithm"] = "SHA256"
        self._store = S3Store(
            access.bucket,
            config=config,
            client_options=client,
            retry_config={"max_retries": 0},
            credential_provider=_credentials(access),
        )

    async def check(self) -> None:
        """Ask for a key that need not exist: a missing bucket says so; see `BlobStore.check`."""
        with suppress(KeyMissing):
            place = f"bucket {self._access.bucket!r}"
            await self._answer("read", place, obstore.get_async(self._store, self._access.full_key("check")))

    async def create(
        self, key: str, body: Body, *, sha256: str, content_type: str, metadata: Mapping[str, str]
    ) -> Stored:
        """Store under a new key; see `BlobStore.create`."""
        if not isinstance(body, bytes | BytesIO):
            return await self._files.create(key, body, sha256=sha256, content_type=content_type, metadata=metadata)
        return await self._put("create", key, body, sha256, {**metadata, "Content-Type": content_type})

    async def replace(
        self, key: str, body: Body, *, sha256: str, content_type: str, metadata: Mapping[str, str]
    ) -> Stored:
        """Store whatever is there; see `BlobStore.replace`."""
        if not isinstance(body, bytes | BytesIO):
            return await self._files.replace(key, body, sha256=sha256, content_type=content_type, metadata=metadata)
        return await self._put("replace", key, body, sha256, {**metadata, "Content-Type": content_type})

    async def read(self, key: str) -> AsyncIterator[bytes]:
        """Stream an object; see `BlobStore.read`."""
        answer = await self._answer("read", key, obstore.get_async(self._store, self._access.full_key(key)))
        length, received = answer.meta["size"], 0
        if length <= _CHUNK_BYTES:
            whole = bytes(await self._answer("read", key, answer.bytes_async()))
            if len(whole) != length:
                raise StoreUnavailable(f"read {key}", f"{len(whole)} of {length} bytes arrived")
            if whole:
                yield whole
            return
        # The driver gathers network reads until there are this many bytes, so a chunk can be larger.
        stream = answer.stream(min_chunk_size=_GATHERED_BYTES)
        try:
            while True:
                gathered = await self._answer("read", key, anext(stream, None))
                if gathered is None:
                    break
                received += len(gathered)
                for start in range(0, len(gathered), _CHUNK_BYTES):
                    yield bytes(gathered[start : start + _CHUNK_BYTES])
        finally:
            del answer, stream  # or a traceback, which keeps this frame, would keep the connection open
        if received != length:
            raise StoreUnavailable(f"read {key}", f"{received} of {length} bytes arrived")

    async def holds(self, key: str) -> bool:
        """Ask for an object's metadata; see `BlobStore.holds`."""
        try:
            await self._answer("look for", key, obstore.head_async(self._store, self._access.full_key(key)))
        except KeyMissing:
            return False
        return True

    async def list(self, prefix: str, after: str = "") -> AsyncIterator[Listed]:
        """List page by page; see `BlobStore.list`. A prefix that ends within a segment costs the whole parent."""
        wanted = self._access.full_key(prefix)
        pages = obstore.list(
            self._store,
            wanted.rpartition("/")[0] or None,
            offset=self._access.full_key(after) if after else None,
            chunk_size=_PAGE,
        )
        try:
            while True:
                page = await self._answer("list", prefix, anext(pages, None))
                if page is None:
                    break
                for entry in page:
                    if entry["path"].startswith(wanted):
                        yield self._listed(entry)
        finally:
            del pages  # see `read`

    async def folder(self, prefix: str) -> Folder:
        """See `BlobStore.folder`."""
        asked = obstore.list_with_delimiter_async(self._store, self._access.full_key(prefix) or None)
        found = await self._answer("list", prefix, asked)
        folders = sorted(f"{self._access.relative_key(each)}/" for each in found["common_prefixes"])
        return Folder([self._listed(entry) for entry in found["objects"]], folders)

    async def delete(self, key: str) -> None:
        """Remove an object, or hide it where the bucket keeps versions; see `BlobStore.delete`."""
        await self._answer("delete", key, obstore.delete_async(self._store, self._access.full_key(key)))

    async def close(self) -> None:
        """Close what sends files; obstore gives back its connections when the store is collected."""
        if self._for_files:
            await self._for_files.close()

    @property
    def _files(self) -> Boto3Store:
        if self._for_files is None:
            from archiver.stores.s3.boto3_store import Boto3Store  # noqa: PLC0415 - boto3 costs 0.2 s to import; only who needs it pays

            self._for_files = Boto3Store(self._access)
        return self._for_files

    async def _put(
        self, verb: Literal["create", "replace"], key: str, body: bytes | BytesIO, sha256: str, attributes: Attributes
    ) -> Stored:
        data = body if isinstance(body, bytes) else body.getvalue()
        require_digest(verb, key, data, sha256)
        sent = obstore.put_async(
            self._store,
            self._access.full_key(key),
            data,
            mode="create" if verb == "create" else "overwrite",
            use_multipart=False,
            attributes=attributes,
        )
        answer = await self._answer(verb, key, sent, sent_bytes=len(data))
        return Stored(version_id=answer["version"])

    def _listed(self, entry: ObjectMeta) -> Listed:
        return Listed(self._access.relative_key(entry["path"]), entry["size"], entry["last_modified"])

    async def _answer(self, verb: str, key: str, asked: Awaitable[T], *, sent_bytes: int = 0) -> T:
        """Bound one exchange with the store in time, and turn its refusals into our errors."""
        access = self._access
        patience_s = access.patience_s(sent_bytes)
        try:
            async with asyncio.timeout(patience_s):
                return await asked
        except TimeoutError as error:
            message = f"no answer within {patience_s:.1f} s"
            raise refusal(access, verb, key, status=None, code=None, message=message) from error
        except (BaseError, FileNotFoundError) as error:
            status, code, message = _answer_in(str(error))
            raise refusal(access, verb, key, status=status, code=code, message=message) from error


def _answer_in(text: str) -> tuple[int | None, str | None, str]:
    """Read HTTP status, S3 error code and message from the only place where obstore tells them."""
    said, _, debug = text.partition("\n\nDebug source:")
    of_one_key = re.search(r"DeleteObjects request failed for key .*: (.*) \(code: (\w+)\)", said)
    if of_one_key:
        return 200, of_one_key[2], of_one_key[1]
    status = re.search(r"status code: (\d{3})", said)
    certificate = re.search(r"InvalidCertificate\(\s*(\w+?)(Context)?\b", debug)
    if certificate:
        return None, None, f"{said.removeprefix('Generic S3 error: ')}: its certificate is refused: {certificate[1]}"
    if status is None:  # no answer; the cause is the innermost of the debug text's nested errors
        nested = debug.rpartition("inner:")[2]
        causes = re.findall(r'"([^"]+)"', nested) or re.findall(r"[A-Z]\w+", nested)
        return None, None, ": ".join([said.removeprefix("Generic S3 error: "), *causes[-1:]])
    return int(status[1]), *told_in(said[status.end() :])


def _aws_endpoint(access: S3Access) -> str:
    host = f"s3.{access.region}.amazonaws.com"  # what obstore would use, were there nothing in the environment
    return f"https://{host}" if access.path_style else f"https://{access.bucket}.{host}"


def _credentials(access: S3Access) -> S3CredentialProvider:
    if access.access_key_id and access.secret_access_key:
        fixed: S3Credential = {
            "access_key_id": access.access_key_id,
            "secret_access_key": access.secret_access_key,
            "token": access.session_token,
            "expires_at": None,
        }
        return lambda: fixed

    from archiver.stores.s3.boto3_client import AwsChain  # noqa: PLC0415 - boto3 costs 0.2 s to import; only who needs it pays

    chain = AwsChain()

    async def from_chain() -> S3Credential:
        key_id, secret, token = await asyncio.to_thread(chain.credentials)
        return {
            "access_key_id": key_id,
            "secret_access_key": secret,
            "token": token,
            "expires_at": datetime.now(UTC) + _CHAIN_GOOD_FOR,
        }

    return from_chain
