"""ObjectStore on obstore: the data path, at a fifth of boto3's CPU per request.

What obstore 0.12 does by itself, and what is done about it here:
- it tries again for up to three minutes: switched off, since the pipeline decides;
- AWS_ENDPOINT_URL_S3 of the environment beats its argument `endpoint`: the argument of that very name is
  always given, and credentials come from a provider, which the environment does not beat;
- it knows no profiles, and asks the instance's metadata service instead: boto3's chain is asked for it;
- it raises AlreadyExistsError for 409 and 304 as for 412: the status is read from its text;
- its `list` takes whole path segments only, and its `offset` is of no use with SeaweedFS 4.48, which skips
  the directory that the offset names: the parent is listed and filtered;
- it deletes one key by DeleteObjects, which answers 200 with a refusal inside: that is read from its text too.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import TYPE_CHECKING, Literal

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from archiver.core.s3_access import in_key_order, refusal
from archiver.core.values import Listed, Stored
from archiver.errors import KeyMissing, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from obstore import Attributes
    from obstore.store import ClientConfig, S3Config, S3Credential, S3CredentialProvider

    from archiver.core.s3_access import S3Access
    from archiver.ports import Body

_CHUNK_BYTES = 1024 * 1024
_SLOWEST_UPLOAD_BYTES_PER_S = 1024 * 1024  # a body of 64 MiB gets 64 s more than an empty one
_LONGEST_MESSAGE = 300  # a proxy's error page can be long
_CHAIN_GOOD_FOR = timedelta(minutes=10)  # see AwsChain.credentials; obstore asks again five minutes before


class ObstoreStore:
    """ObjectStore on obstore.

    A body is held in memory once while it is sent, a file too: obstore streams only multipart uploads, which
    cannot be create-only.
    """

    def __init__(self, access: S3Access) -> None:
        self._access = access
        client: ClientConfig = {
            "allow_http": (access.endpoint_url or "").startswith("http:"),
            "connect_timeout": timedelta(seconds=access.connect_timeout_s),
            # The driver's total covers the body, so it would cut long transfers off: `_asked` bounds
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
        """Ask for a key that need not exist: a missing bucket says so; see `ObjectStore.check`."""
        with suppress(KeyMissing):
            async with self._asked("read", f"bucket {self._access.bucket!r}"):
                await obstore.get_async(self._store, self._access.full_key("check"))

    async def create(
        self, key: str, body: Body, *, sha256: str, content_type: str, metadata: Mapping[str, str]
    ) -> Stored:
        """Store under a new key; see `ObjectStore.create`."""
        return await self._put("create", key, body, sha256, {**metadata, "Content-Type": content_type})

    async def replace(
        self, key: str, body: Body, *, sha256: str, content_type: str, metadata: Mapping[str, str]
    ) -> Stored:
        """Store whatever is there; see `ObjectStore.replace`."""
        return await self._put("replace", key, body, sha256, {**metadata, "Content-Type": content_type})

    async def read(self, key: str) -> AsyncIterator[bytes]:
        """Stream an object; see `ObjectStore.read`."""
        async with self._asked("read", key):
            answer = await obstore.get_async(self._store, self._access.full_key(key))
        length, received = answer.meta["size"], 0
        if length <= _CHUNK_BYTES:
            async with self._asked("read", key):
                whole = bytes(await answer.bytes_async())
            if len(whole) != length:
                raise StoreUnavailable(f"read {key}", f"{len(whole)} of {length} bytes arrived")
            if whole:
                yield whole
            return
        # The driver gathers network reads until there are this many bytes, so a chunk can be larger.
        stream = answer.stream(min_chunk_size=_CHUNK_BYTES // 2)
        try:
            while True:
                async with self._asked("read", key):
                    gathered = await anext(stream, None)
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
        """Ask for an object's metadata; see `ObjectStore.holds`."""
        try:
            async with self._asked("look for", key):
                await obstore.head_async(self._store, self._access.full_key(key))
        except KeyMissing:
            return False
        return True

    async def list(self, prefix: str) -> AsyncIterator[Listed]:
        """List keys in order; see `ObjectStore.list`. Holds the whole listing in memory to sort it.

        A prefix that ends within a path segment costs a listing of the whole parent.
        """
        wanted = self._access.full_key(prefix)
        pages = obstore.list(self._store, wanted.rpartition("/")[0] or None)
        found = []
        try:
            while True:
                async with self._asked("list", prefix):
                    page = await anext(pages, None)
                if page is None:
                    break
                found += [
                    Listed(self._access.relative_key(entry["path"]), entry["size"], entry["last_modified"])
                    for entry in page
                    if entry["path"].startswith(wanted)
                ]
        finally:
            del pages  # see `read`
        for listed in in_key_order(found):
            yield listed

    async def delete(self, key: str) -> None:
        """Remove an object, or hide it where the bucket keeps versions; see `ObjectStore.delete`."""
        async with self._asked("delete", key):
            await obstore.delete_async(self._store, self._access.full_key(key))

    async def close(self) -> None:
        """Do nothing: obstore gives back its connections when the store is collected."""

    async def _put(
        self, verb: Literal["create", "replace"], key: str, body: Body, sha256: str, attributes: Attributes
    ) -> Stored:
        if isinstance(body, BytesIO) or (isinstance(body, bytes) and len(body) <= _CHUNK_BYTES):
            data, found = _read_and_hash(body)
        else:
            data, found = await asyncio.to_thread(_read_and_hash, body)
        # obstore signs and checksums whatever it is given; only this ties that to what the caller hashed.
        if found != sha256:
            raise StoreUnavailable(
                f"{verb} {key}",
                f"BadDigest: the body's SHA-256 is {found}, expected {sha256}; nothing was sent",
            )
        async with self._asked(verb, key, sent_bytes=len(data)):
            answer = await obstore.put_async(
                self._store,
                self._access.full_key(key),
                data,
                mode="create" if verb == "create" else "overwrite",
                use_multipart=False,
                attributes=attributes,
            )
        return Stored(version_id=answer["version"])

    @asynccontextmanager
    async def _asked(self, verb: str, key: str, *, sent_bytes: int = 0) -> AsyncIterator[None]:
        """Bound one exchange with the store in time, and turn its refusals into our errors."""
        access = self._access
        patience_s = access.connect_timeout_s + access.read_timeout_s + sent_bytes / _SLOWEST_UPLOAD_BYTES_PER_S
        try:
            async with asyncio.timeout(patience_s):
                yield
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
    if status is None:  # no answer; the cause is the innermost of the debug text's nested errors
        nested = debug.rpartition("inner:")[2]
        causes = re.findall(r'"([^"]+)"', nested) or re.findall(r"[A-Z]\w+", nested)
        return None, None, ": ".join([said.removeprefix("Generic S3 error: "), *causes[-1:]])
    code = re.search(r"<Code>([^<]*)</Code>", said)
    message = re.search(r"<Message>([^<]*)</Message>", said)
    return (
        int(status[1]),
        code[1] if code else None,
        message[1] if message else said[status.end() :].strip()[:_LONGEST_MESSAGE],
    )


def _read_and_hash(body: Body) -> tuple[bytes, str]:
    if isinstance(body, bytes):
        data = body
    else:
        body.seek(0)
        data = body.read()
    return data, hashlib.sha256(data).hexdigest()


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

    from archiver.adapters.s3_client import AwsChain  # noqa: PLC0415 - boto3 costs 0.2 s to import; only who needs it pays

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
