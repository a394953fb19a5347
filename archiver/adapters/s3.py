"""ObjectStore on boto3, and the control path: making and inspecting the bucket.

boto3 blocks, so every call runs in a bounded pool of threads. A call that is cancelled here goes on in its
thread until its own time-out; what it then writes is harmless, because keys come from content.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from archiver.core.s3_access import in_key_order, refusal
from archiver.core.values import Listed, Stored
from archiver.errors import StoreUnavailable
from contracts import BadInput

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.literals import BucketLocationConstraintType

    from archiver.core.s3_access import S3Access
    from archiver.ports import Body

P = ParamSpec("P")
T = TypeVar("T")

_CHUNK_BYTES = 1024 * 1024


@contextmanager
def _usable_settings() -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, ValueError) as error:  # an unknown profile, an endpoint that is no URL
        raise BadInput(f"these AWS settings cannot be used: {error}") from error


def _client(access: S3Access) -> S3Client:
    with _usable_settings():
        return boto3.client(
            "s3",
            endpoint_url=access.endpoint_url,
            region_name=access.region,
            aws_access_key_id=access.access_key_id,
            aws_secret_access_key=access.secret_access_key,
            aws_session_token=access.session_token,
            verify=str(access.ca_bundle) if access.ca_bundle else None,
            config=Config(
                retries={"total_max_attempts": 1},  # the pipeline decides what is tried again
                connect_timeout=access.connect_timeout_s,
                read_timeout=access.read_timeout_s,
                max_pool_connections=access.connections,
                # By default boto3 >= 1.36 writes its own checksum as a trailer into the body, which other
                # stores have kept as part of the object (seaweedfs #6548, boto3 #4435). Ours is a header.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                ignore_configured_endpoint_urls=True,  # type: ignore[call-arg] # not in the stubs
                s3={"addressing_style": "path" if access.path_style else "virtual"},
            ),
        )


@contextmanager
def _refusals(access: S3Access, verb: str, key: str) -> Iterator[None]:
    """Turn what boto3 raises into our errors, in the store's own words."""
    try:
        yield
    except ClientError as error:
        answer = error.response
        code, status = answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]
        raise refusal(
            access, verb, key, status=status, code=code, message=answer["Error"].get("Message", "")
        ) from error
    except ParamValidationError:  # a call of ours that no store would take: a defect, not an outage
        raise
    except (BotoCoreError, OSError) as error:
        raise refusal(access, verb, key, status=None, code=None, message=str(error)) from error


class Boto3Store:
    """ObjectStore on boto3; one client for all threads, at most `access.connections` calls at once."""

    def __init__(self, access: S3Access) -> None:
        self._access = access
        self._client = _client(access)
        self._threads = ThreadPoolExecutor(access.connections, thread_name_prefix="s3")

    async def check(self) -> None:
        """Ask for one key, since the refusal of a HEAD has no body to say why; see `ObjectStore.check`."""
        access, list_keys = self._access, self._client.list_objects_v2
        with _refusals(access, "check", f"bucket {access.bucket!r}"):
            await self._in_thread(list_keys, Bucket=access.bucket, Prefix=access.full_key(""), MaxKeys=1)

    async def create(
        self, key: str, body: Body, *, sha256: str, content_type: str, metadata: Mapping[str, str]
    ) -> Stored:
        """Store under a new key; see `ObjectStore.create`."""
        return await self._put(
            "create", key, body, sha256, ContentType=content_type, Metadata=dict(metadata), IfNoneMatch="*"
        )

    async def replace(
        self, key: str, body: Body, *, sha256: str, content_type: str, metadata: Mapping[str, str]
    ) -> Stored:
        """Store whatever is there; see `ObjectStore.replace`."""
        return await self._put("replace", key, body, sha256, ContentType=content_type, Metadata=dict(metadata))

    async def read(self, key: str) -> AsyncIterator[bytes]:
        """Stream an object; see `ObjectStore.read`."""
        with _refusals(self._access, "read", key):
            answer = await self._in_thread(
                self._client.get_object, Bucket=self._access.bucket, Key=self._access.full_key(key)
            )
        body, length, received = answer["Body"], answer.get("ContentLength"), 0
        try:
            while True:
                with _refusals(self._access, "read", key):
                    chunk = await self._in_thread(body.read, _CHUNK_BYTES)
                if not chunk:
                    break
                received += len(chunk)
                yield chunk
        finally:
            body.close()
        if received != length:
            raise StoreUnavailable(f"read {key}", f"{received} of {length} bytes arrived")

    async def list(self, prefix: str) -> AsyncIterator[Listed]:
        """List keys in order; see `ObjectStore.list`. Holds the whole listing in memory to sort it."""
        found = []
        request: dict[str, Any] = {"Bucket": self._access.bucket, "Prefix": self._access.full_key(prefix)}
        with _refusals(self._access, "list", prefix):
            while True:
                page = await self._in_thread(self._client.list_objects_v2, **request)
                found += [
                    Listed(self._access.relative_key(entry["Key"]), entry["Size"]) for entry in page.get("Contents", [])
                ]
                if not page["IsTruncated"]:
                    break
                request["ContinuationToken"] = page["NextContinuationToken"]
        for listed in in_key_order(found):
            yield listed

    async def close(self) -> None:
        """Wait for calls under way, then give back threads and connections."""
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
        self._client.close()

    async def _put(
        self,
        verb: Literal["create", "replace"],
        key: str,
        body: Body,
        sha256: str,
        **headers: Any,
    ) -> Stored:
        if not isinstance(body, bytes):
            body.seek(0)
        with _refusals(self._access, verb, key):
            # put_object, never upload_file: that one has no IfNoneMatch and cuts into parts.
            answer = await self._in_thread(
                self._client.put_object,
                Bucket=self._access.bucket,
                Key=self._access.full_key(key),
                Body=body,
                ChecksumSHA256=b64encode(bytes.fromhex(sha256)).decode(),
                **headers,
            )
        return Stored(version_id=answer.get("VersionId"))

    async def _in_thread(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: call(*args, **kwargs))


class BucketControl:
    """The bucket itself: make it, ask what it does. Blocking; for `archiver init` and `archiver doctor`."""

    def __init__(self, access: S3Access) -> None:
        self._access = access
        self._client = _client(access)

    def create_bucket(self) -> bool:
        """Make the bucket; False if it is there already and ours.

        Raises:
            StoreUnavailable: refused, or somebody else's; in the store's own words.
        """
        name, region = self._access.bucket, self._access.region
        with _refusals(self._access, "make", f"bucket {name!r}"):
            try:
                if region == "us-east-1":  # S3 refuses to be told its default region
                    self._client.create_bucket(Bucket=name)
                else:
                    place: BucketLocationConstraintType = region  # type: ignore[assignment] # any store's region
                    self._client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": place})
            except self._client.exceptions.BucketAlreadyOwnedByYou:
                return False
        return True

    def versioning(self) -> str:
        """Return 'Enabled', 'Suspended' or 'Off'.

        Raises:
            BucketMissing: there is no such bucket.
            StoreUnavailable: anything else, in the store's own words.
        """
        name = self._access.bucket
        with _refusals(self._access, "read the versioning of", f"bucket {name!r}"):
            return self._client.get_bucket_versioning(Bucket=name).get("Status", "Off")

    def close(self) -> None:
        """Give back connections."""
        self._client.close()


class AwsChain:
    """The credentials that AWS tools find: environment, profile, web identity, container, instance."""

    def __init__(self) -> None:
        with _usable_settings():
            self._session = boto3.Session()

    def credentials(self) -> tuple[str, str, str | None]:
        """Return access key id, secret key and session token, good for at least ten minutes more.

        Blocking: it may ask a metadata service, and renews what is about to end.

        Raises:
            StoreUnavailable: there are none, or they cannot be had now.

        Source: botocore credentials.py: renewal is mandatory ten minutes before the end.
        """
        try:
            found = self._session.get_credentials()
            frozen = found.get_frozen_credentials() if found else None
        except BotoCoreError as error:
            raise StoreUnavailable("be asked", f"no credentials: {error}") from error
        if frozen is None or frozen.access_key is None or frozen.secret_key is None:
            advice = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
            raise StoreUnavailable("be asked", f"no credentials: {advice}")
        return frozen.access_key, frozen.secret_key, frozen.token
