"""AWS Signature Version 4 for S3, as one pure function of the request and the time.

Source: AWS, "Authenticating Requests: Using the Authorization Header (Signature Version 4)"; the tests compare every
header with botocore's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from hmac import digest as hmac
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

NOTHING_SHA256 = sha256(b"").hexdigest()
"""The digest of an empty body, in hex."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who asks. `token` comes with temporary credentials only."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


def path_of(key: str) -> str:
    """Return a key as it stands in a request's path: encoded once, as S3 alone wants it."""
    return quote(key, safe="/-._~")


def signed_headers(
    credentials: Credentials,
    region: str,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body_sha256: str,
    moment: str,
) -> dict[str, str]:
    """Return `headers` with those that sign them, all of which are to be sent as they are.

    `headers` has names in lower case, `host` among them; `path` is encoded and has no query; `body_sha256` is in
    hex; `moment` is the time in UTC, as in 20260617T123456Z.
    """
    signed = {name: " ".join(value.split()) for name, value in headers.items()}
    signed |= {"x-amz-content-sha256": body_sha256, "x-amz-date": moment}
    if credentials.token:
        signed["x-amz-security-token"] = credentials.token
    names = sorted(signed)
    listed = ";".join(names)
    lines = "".join([f"{name}:{signed[name]}\n" for name in names])
    request = f"{method}\n{path}\n\n{lines}\n{listed}\n{body_sha256}"
    scope = f"{moment[:8]}/{region}/s3/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{sha256(request.encode()).hexdigest()}"
    signature = hmac(_key_of_the_day(credentials.secret_access_key, scope), to_sign.encode(), "sha256").hex()
    signed["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials.access_key_id}/{scope}, "
        f"SignedHeaders={listed}, Signature={signature}"
    )
    return signed


@lru_cache(maxsize=4)
def _key_of_the_day(secret: str, scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac(key, part.encode(), "sha256")
    return key
