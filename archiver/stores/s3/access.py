"""How an S3-compatible store is reached; the same for every driver."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from contracts.toolkit import Proxy


_SLOWEST_UPLOAD_BYTES_PER_S = 256 * 1024  # what a socket holds, up to 4 MiB, arrives within the silence allowed


@dataclass(frozen=True, slots=True)
class S3Access:
    """Where the bucket is and how to reach it; drivers read nothing else for this.

    `endpoint_url` None means AWS itself. `prefix` is how every key begins: it ends with a slash, or is ''. Without
    `access_key_id` botocore finds the identity (profile, process, single sign-on, role, container, instance), and
    finds it anew when it is refused. `ca_bundle` is a PEM file for stores behind a private authority. `proxy` is the
    one that leads to the store. `addressing` None means `path` but for AWS. `checksums` is whether a body's SHA-256
    is sent as a header for the store to verify; a few stores refuse it. Times are seconds; `connections` bounds how
    many are kept open.
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
    addressing: Literal["path", "virtual"] | None = None
    checksums: bool = True
    connect_timeout_s: float = 3.0
    read_timeout_s: float = 20.0
    connections: int = 20

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
        if self.addressing is not None:
            return self.addressing == "path"
        return self.endpoint_url is not None or "." in self.bucket

    def patience_s(self, sent_bytes: int = 0) -> float:
        """Return how long one exchange may take in all, sending a body of so many bytes included."""
        return self.connect_timeout_s + self.read_timeout_s + sent_bytes / _SLOWEST_UPLOAD_BYTES_PER_S

    def full_key(self, key: str) -> str:
        """Return the key as the bucket knows it."""
        return self.prefix + key

    def relative_key(self, full_key: str) -> str:
        """Return a key of the bucket as our callers know it."""
        return full_key.removeprefix(self.prefix)
