"""AWS Signature Version 4 for S3, as one pure function of the request and the time.

Source: AWS, "Authenticating Requests: Using the Authorization Header (Signature Version 4)"; the tests compare every
header with botocore's.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass, field
from functools import lru_cache, partial
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

_ENCODED = re.compile("[^A-Za-z0-9/._~-]+")
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
    return _ENCODED.sub(lambda found: _encoded(found[0]), key)  # `quote` takes 40 µs for a whole key


def query_of(parameters: Mapping[str, str]) -> str:
    """Return parameters as they stand in a request, in the order in which they are signed."""
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in sorted(parameters.items()))


_encoded = lru_cache(256)(partial(quote, safe=""))


def signed(
    credentials: Credentials,
    region: str,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body_sha256: str,
    moment: str,
    query: str = "",
) -> str:
    """Return `headers` and those that sign them as they are to be sent, each line with its end.

    `headers` has names in lower case, `host` among them, and values in which no blank follows another; `path` is
    encoded and has no query; `query` comes from `query_of`; `body_sha256` is in hex; `moment` is the time in UTC, as in
    20260617T123456Z.
    """
    every = {**headers, "x-amz-content-sha256": body_sha256, "x-amz-date": moment}
    if credentials.token:
        every["x-amz-security-token"] = credentials.token
    names = sorted(every)
    listed = ";".join(names)
    lines = "\n".join([f"{name}:{every[name]}" for name in names])
    request = f"{method}\n{path}\n{query}\n{lines}\n\n{listed}\n{body_sha256}"
    scope = f"{moment[:8]}/{region}/s3/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{sha256(request.encode()).hexdigest()}"
    signature = _keyed(credentials.secret_access_key, scope).copy()
    signature.update(to_sign.encode())
    sent = lines.replace("\n", "\r\n")
    return (
        f"{sent}\r\nauthorization:AWS4-HMAC-SHA256 Credential={credentials.access_key_id}/{scope}, "
        f"SignedHeaders={listed}, Signature={signature.hexdigest()}\r\n"
    )


@lru_cache(maxsize=4)
def _keyed(secret: str, scope: str) -> hmac.HMAC:
    """Return an HMAC with the key of the scope's day, to be copied."""
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.new(key, digestmod="sha256")
