"""How an S3-compatible store is reached, and what its refusals mean; the same for every driver."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from html import unescape
from typing import TYPE_CHECKING

from archiver.core.errors import BucketMissing, BundleRefused, KeyMissing, KeyTaken, StoreRefuses, StoreUnavailable

if TYPE_CHECKING:
    from pathlib import Path

    from contracts import KitError
    from contracts.toolkit import Proxy


_LONGEST_MESSAGE = 300  # a proxy's error page can be long
_SLOWEST_UPLOAD_BYTES_PER_S = 256 * 1024  # what a socket holds, up to 4 MiB, arrives within the silence allowed
_NO = {301, 401, 403}  # also a full quota (versitygw) and a bucket set to read-only (SeaweedFS)
_NO_BY_CODE = {"AuthorizationHeaderMalformed", "ExpiredToken", "InvalidToken"}  # come with 400
_CERTIFICATE = re.compile("certificate|SSL|TLS", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class S3Access:
    """Where the bucket is and how to speak to it. The whole truth: drivers read nothing else for this.

    `endpoint_url` None means AWS itself. `prefix` has neither a leading nor a trailing slash; '' is the whole
    bucket. Without `access_key_id` the AWS chain applies (environment, profile, web identity, container,
    instance), through boto3 for every driver, so that all find the same identity. `ca_bundle` is a PEM file
    for stores behind a private authority. `proxy` is the one that leads to the store. `checksums` says whether a
    body's SHA-256 is sent as a header for the store to verify; a few stores refuse it. Times are seconds;
    `connections` bounds how many are kept open.
    """

    bucket: str
    prefix: str = ""
    endpoint_url: str | None = None
    region: str = "us-east-1"
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    ca_bundle: Path | None = None
    proxy: Proxy | None = None
    checksums: bool = True
    connect_timeout_s: float = 3.0
    read_timeout_s: float = 20.0
    connections: int = 20

    def __post_init__(self) -> None:
        object.__setattr__(self, "prefix", self.prefix.strip("/"))

    @property
    def url(self) -> str:
        """The endpoint's URL."""
        return self.endpoint_url or f"https://s3.{self.region}.amazonaws.com"

    @property
    def where(self) -> str:
        """The endpoint and the way there, for messages."""
        endpoint = self.endpoint_url or f"AWS S3 in {self.region}"
        return f"{endpoint} through {self.proxy}" if self.proxy else endpoint

    @property
    def path_style(self) -> bool:
        """Whether the bucket goes into the path: `bucket.host` needs DNS and a wildcard certificate."""
        return self.endpoint_url is not None or "." in self.bucket

    def patience_s(self, sent_bytes: int = 0) -> float:
        """Return how long one exchange may take in all, sending a body of so many bytes included."""
        return self.connect_timeout_s + self.read_timeout_s + sent_bytes / _SLOWEST_UPLOAD_BYTES_PER_S

    def full_key(self, key: str) -> str:
        """Return the key as the bucket knows it."""
        return f"{self.prefix}/{key}" if self.prefix else key

    def relative_key(self, full_key: str) -> str:
        """Return a key of the bucket as our callers know it."""
        return full_key.removeprefix(f"{self.prefix}/") if self.prefix else full_key


def refusal(access: S3Access, verb: str, key: str, *, status: int | None, code: str | None, message: str) -> KitError:
    """Return the error that a store's refusal stands for.

    `verb` is what was asked: create, replace, read, look for or list on the data path, or any other. `status` and
    `code` are None when there was no answer. Nothing but an explicit NoSuchKey means that an object to read is
    absent: a 404 of some proxy must not pass for one.

    Source: Amazon S3 API reference, "Error responses" and "Conditional writes".
    """
    if code == "NoSuchBucket":
        return BucketMissing(access.bucket, access.where)
    if code == "NoSuchKey" and verb == "read":
        return KeyMissing(key)
    if status == 404 and verb == "look for":  # the answer to a HEAD has no body to say more
        return KeyMissing(key)
    # 412 only. A 409 ConditionalRequestConflict says that a race was lost against a write that may itself
    # still fail: nothing may be stored, so it is tried again.
    if status == 412 and verb == "create":
        return KeyTaken(key)
    if (status == 413 or code == "EntityTooLarge") and verb in {"create", "replace"}:
        return BundleRefused(key, f"the store takes no object of this size: {message}")
    said = " ".join(str(part) for part in (status, code) if part is not None)
    kind, hint = StoreUnavailable, ""
    if status is None and _CERTIFICATE.search(message):
        kind, hint = StoreRefuses, f" (AWS_CA_BUNDLE names the authority that {access.where} is trusted by)"
    elif status is None:
        hint = f" (is it running and reachable at {access.where}?)"
    elif status in _NO or code in _NO_BY_CODE:
        kind, hint = StoreRefuses, " (check the credentials, the bucket's policy and this machine's clock)"
    return kind(f"{verb} {key}".rstrip(), f"{said}: {message}{hint}" if said else f"{message}{hint}")


def told_in(body: str) -> tuple[str | None, str]:
    """Return the S3 error code and the message in a refusal's body; no code and its beginning where it is no XML."""
    code = re.search("<Code>([^<]*)</Code>", body)
    message = re.search("<Message>([^<]*)</Message>", body)
    return code[1] if code else None, unescape(message[1]) if message else body.strip()[:_LONGEST_MESSAGE]


def require_digest(verb: str, key: str, body: bytes, sha256: str) -> None:
    """Compare a body with the digest that its caller knows it by, since that is what is signed and sent along.

    Raises:
        StoreUnavailable: it is something else.
    """
    found = hashlib.sha256(body).hexdigest()
    if found != sha256:
        why = f"BadDigest: the body's SHA-256 is {found}, expected {sha256}; nothing was sent"
        raise StoreUnavailable(f"{verb} {key}", why)
