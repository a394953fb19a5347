"""Our signatures are botocore's, whatever is signed."""

from __future__ import annotations

import string
from datetime import UTC, datetime
from unittest.mock import patch
from urllib.parse import quote

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import given
from hypothesis import strategies as st

from archiver.stores.s3.sigv4 import Credentials, path_of, signed

NOW = datetime(2026, 6, 17, 12, 34, 56, tzinfo=UTC)
WORDS = st.text(string.ascii_letters + string.digits + "-/=;+.: ").map(lambda text: " ".join(text.split())).filter(bool)


@given(
    method=st.sampled_from(["GET", "HEAD", "PUT"]),
    key=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1),
    headers=st.dictionaries(st.sampled_from(["content-type", "if-none-match", "x-amz-meta-a", "x-amz-meta-b"]), WORDS),
    secret=WORDS,
    token=st.none() | WORDS,
    digest=st.binary(min_size=32, max_size=32).map(bytes.hex),
)
def test_a_request_is_signed_as_botocore_signs_it(
    method: str, key: str, headers: dict[str, str], secret: str, token: str | None, digest: str
) -> None:
    path = f"/archive/{path_of(key)}"
    theirs = AWSRequest(method, f"http://store:9000{path}", headers={**headers, "X-Amz-Content-SHA256": digest})
    theirs.context["client_config"] = None
    with patch("botocore.auth.get_current_datetime", lambda: NOW.replace(tzinfo=None)):
        signer = S3SigV4Auth(BotocoreCredentials("id", secret, token), "s3", "eu-central-1")
        with patch.object(signer, "payload", lambda _: digest):
            signer.add_auth(theirs)

    host = {"host": "store:9000"}
    ours = signed(
        Credentials("id", secret, token),
        "eu-central-1",
        method,
        path,
        {**host, **headers},
        digest,
        "20260617T123456Z",
    )

    lines = dict(line.split(":", 1) for line in ours.split("\r\n")[:-1])
    assert lines["authorization"] == theirs.headers["Authorization"]
    assert lines["x-amz-date"] == theirs.headers["X-Amz-Date"]
    assert lines.get("x-amz-security-token") == theirs.headers.get("X-Amz-Security-Token")


def test_neither_secret_nor_token_is_shown() -> None:
    assert "hush" not in repr(Credentials("id", "hush", "hush"))


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_key_is_encoded_byte_by_byte_but_for_what_s3_leaves_as_it_is(key: str) -> None:
    assert path_of(key) == quote(key, safe="/-._~")
