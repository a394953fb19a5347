"""The control path, on boto3: make the bucket, ask how it is set up, and try what the store does."""

from __future__ import annotations

import re
import secrets
from base64 import b64encode
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal

from botocore.exceptions import ClientError

from archiver.core.capabilities import PROBES, Capabilities
from archiver.core.errors import KeyMissing, StoreUnavailable
from archiver.core.health_checks import LifecycleRule
from archiver.stores.s3.boto3_client import refusals, s3_client
from archiver.stores.s3.refusals import Stranger, what_answered

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.literals import BucketLocationConstraintType

    from archiver.stores.s3.access import S3Access

_BODY = b"archiver probe; may be deleted"
_OBJECT = re.compile(r"[0-9a-f]{32}-(whole|damaged|created)\.txt")
_ABANDONED_AFTER = timedelta(minutes=10)  # a probe takes seconds, and at most a minute where each request is slow
_CLEARED_AT_ONCE = 100
_TAKEN, _NOT_FOUND, _PRECONDITION_FAILED = 200, 404, 412
_NOT_OFFERED = (405, 501)
# That a store will not: AWS and MinIO answer a header that they do not know with 501, others with 400.
_WILL_NOT = (400, 412, 501)
# The body was damaged on its way. AWS and SeaweedFS; MinIO.
_DAMAGED = ("BadDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch")


class NotOffered(StoreUnavailable):
    """This store has nothing of the kind."""


class BucketControl:
    """The bucket itself, and the store behind it. Blocking."""

    def __init__(self, access: S3Access) -> None:
        self._access = access
        self._client = s3_client(access)

    def create_bucket(self) -> bool:
        """Make the bucket; False if it is there already and ours.

        Raises:
            StoreUnavailable: refused, or somebody else's; in the store's own words.
        """
        name, region = self._access.bucket, self._access.region
        with refusals(self._access, "make", f"bucket {name!r}"):
            try:
                if region == "us-east-1":  # S3 refuses its default region as a LocationConstraint
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
            NotOffered: the store has nothing of the kind.
            BucketMissing: there is no such bucket.
            StoreUnavailable: anything else, in the store's own words.
        """
        return str((self._told("versioning", self._client.get_bucket_versioning) or {}).get("Status", "Off"))

    def object_lock(self) -> str:
        """Return 'off', 'on', or how long every new object is locked, such as 'GOVERNANCE for 30 days'.

        Raises:
            As `versioning`.
        """
        told = self._told("object lock", self._client.get_object_lock_configuration) or {}
        lock = told.get("ObjectLockConfiguration", {})
        if lock.get("ObjectLockEnabled") != "Enabled":
            return "off"
        default = lock.get("Rule", {}).get("DefaultRetention", {})
        length = f"{default['Days']} days" if default.get("Days") else f"{default.get('Years')} years"
        return f"{default['Mode']} for {length}" if "Mode" in default else "on"

    def lifecycle(self) -> list[LifecycleRule]:
        """Return the rules in force by which the store deletes what carries no tags, as ours.

        Raises:
            As `versioning`.
        """
        told = self._told("lifecycle", self._client.get_bucket_lifecycle_configuration) or {}
        rules = []
        for rule in told.get("Rules", []):
            narrowed = rule.get("Filter", {})
            narrowed = narrowed.get("And", narrowed)
            if rule["Status"] == "Enabled" and not narrowed.keys() & {"Tag", "Tags"}:
                due = rule.get("Expiration", {})
                when = (
                    f"after {due['Days']} d" if "Days" in due else f"on {due['Date']:%Y-%m-%d}" if "Date" in due else ""
                )
                parts = rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation")
                rules.append(LifecycleRule(narrowed.get("Prefix", rule.get("Prefix", "")), when, parts))
        return rules

    def probe(self) -> Capabilities:
        """Try what the store does, with a handful of requests for three objects of random names under `PROBES`.

        They are deleted afterwards, and so are those that an earlier probe left when it was broken off. A worker needs
        no right to delete: where that is refused, they stay.

        Raises:
            BucketMissing: there is no such bucket.
            StoreUnavailable: anything else that leaves a question open, in the store's own words.
        """
        probe = _Probe(self._access, self._client)
        try:
            found = probe.run()
            probe.clear_away_what_others_left()
        finally:
            probe.clear_away()
        return found

    def _told(self, what: str, ask: Callable[..., Any]) -> Mapping[str, Any] | None:
        """Ask how the bucket is set up; None where nothing is set."""
        with refusals(self._access, f"show the {what} of", f"bucket {self._access.bucket!r}"):
            try:
                told: Mapping[str, Any] = ask(Bucket=self._access.bucket)
            except ClientError as error:
                status = error.response["ResponseMetadata"]["HTTPStatusCode"]
                if status in _NOT_OFFERED:
                    raise NotOffered(f"show the {what} of its bucket", "not offered by this store") from None
                if status == _NOT_FOUND and error.response["Error"]["Code"] != "NoSuchBucket":
                    return None
                raise
        return told

    def close(self) -> None:
        """Give back connections."""
        self._client.close()


class _Probe:
    """One try of a store; every object that it writes holds the same few bytes."""

    def __init__(self, access: S3Access, client: S3Client) -> None:
        self._access, self._client = access, client
        self._name = access.full_key(PROBES + secrets.token_hex(16))
        self._written: list[dict[str, Any]] = []
        self._clock_skew_s: float | None = None

    def run(self) -> Capabilities:
        checksum: Literal["verified", "ignored", "refused"] = "refused"
        headers = {"ChecksumSHA256": b64encode(sha256(_BODY).digest()).decode()}
        takes_checksums = self._takes("whole", headers, without={})
        if not takes_checksums:
            headers = {}
        read_after_write = self._read("whole") == _BODY
        if takes_checksums:
            damaged = self._put("damaged", _BODY.upper(), headers, is_whole=False)
            checksum = "ignored" if damaged == _TAKEN else "verified"
        return Capabilities(self._create_only(headers), checksum, read_after_write, self._clock_skew_s)

    def _create_only(self, headers: Mapping[str, str]) -> Literal["honoured", "ignored", "refused"]:
        create = {**headers, "IfNoneMatch": "*"}
        if not self._takes("created", create, without=headers):
            return "refused"
        answer = self._put("created", _BODY, create)
        return "honoured" if answer == _PRECONDITION_FAILED else "ignored" if answer == _TAKEN else "refused"

    def _takes(self, part: str, headers: Mapping[str, Any], *, without: Mapping[str, Any]) -> bool:
        """Return whether the store takes a write with these headers.

        A refusal counts when it is repeated, and the same write without them was taken between: it may have been
        about something else, such as credentials that had expired or a body damaged on its way, and what it
        stands for holds for as long as this worker lives.
        """
        if self._put(part, _BODY, headers) == _TAKEN:
            return True
        self._put("whole", _BODY, without, allowed=())
        return self._put(part, _BODY, headers) == _TAKEN

    def _put(
        self,
        part: str,
        body: bytes,
        headers: Mapping[str, Any],
        *,
        allowed: Collection[int] = _WILL_NOT,
        is_whole: bool = True,
    ) -> int:
        """Write, and return 200 or an `allowed` refusal. Unless it `is_whole`, the headers belong to another body."""
        place: dict[str, Any] = {"Bucket": self._access.bucket, "Key": f"{self._name}-{part}.txt"}
        asked = datetime.now(UTC)
        with refusals(self._access, "probe", place["Key"]):
            try:
                answer = self._client.put_object(**place, Body=body, **headers)
            except ClientError as error:
                status = error.response["ResponseMetadata"]["HTTPStatusCode"]
                if status not in allowed or (is_whole and error.response["Error"]["Code"] in _DAMAGED):
                    raise
                return status
            sent_back = answer["ResponseMetadata"]["HTTPHeaders"]
            if not answer.get("ETag") and not any(name.startswith("x-amz-") for name in sent_back):
                raise Stranger(200, what_answered(200, sent_back.get, b""))
        version = answer.get("VersionId")
        self._written.append(place | {"VersionId": version} if version else place)
        self._clock_skew_s = _ahead_s(sent_back.get("date", ""), asked)
        return _TAKEN

    def _read(self, part: str) -> bytes | None:
        key = f"{self._name}-{part}.txt"
        with refusals(self._access, "probe", key):
            try:
                answer = self._client.get_object(Bucket=self._access.bucket, Key=key)
            except self._client.exceptions.NoSuchKey:
                return None
            with closing(answer["Body"]) as body:
                return body.read(len(_BODY) + 1)

    def clear_away_what_others_left(self) -> None:
        """Delete the objects of probes that were broken off, where that is allowed; a few at a time.

        How old they are is told by the store's clock alone: an object of this probe has just been written. Those of a
        probe that runs at the same time are younger than `_ABANDONED_AFTER`, and are left alone.
        """
        bucket, probes = self._access.bucket, self._access.full_key(PROBES)
        with suppress(StoreUnavailable, KeyMissing), refusals(self._access, "clear", PROBES):
            now = self._client.head_object(Bucket=bucket, Key=f"{self._name}-whole.txt")["LastModified"]
            page = self._client.list_objects_v2(Bucket=bucket, Prefix=probes, MaxKeys=_CLEARED_AT_ONCE)
            for each in page.get("Contents", []):
                is_ours = _OBJECT.fullmatch(each["Key"].removeprefix(probes))
                if is_ours and now - each["LastModified"] > _ABANDONED_AFTER:
                    self._client.delete_object(Bucket=bucket, Key=each["Key"])

    def clear_away(self) -> None:
        """Delete what was written, versions included, where that is allowed."""
        for each in self._written:
            with suppress(StoreUnavailable, KeyMissing), refusals(self._access, "delete", each["Key"]):
                self._client.delete_object(**each)


def _ahead_s(date: str, asked: datetime) -> float | None:
    """Return how far a Date header, which has whole seconds, is ahead of the middle of its request."""
    try:
        told = parsedate_to_datetime(date) + timedelta(seconds=0.5)
    except ValueError:
        return None
    return round((told - asked - (datetime.now(UTC) - asked) / 2).total_seconds(), 1)
