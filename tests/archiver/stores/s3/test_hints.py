"""A refusal says what to do about it: what the store itself named, where it named something."""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import replace

import pytest

from archiver.core.errors import StoreRefuses, StoreUnavailable
from archiver.stores.s3.access import S3Access
from archiver.stores.s3.control import BucketControl
from tests.support.drivers import every_driver, opened
from tests.support.scripted import answer_of, answering, both, error_of
from tests.support.store_calls import create, keys

REGION = "<Region>eu-west-3</Region>"
ENDPOINT = "<Endpoint>archive.s3-eu-west-3.example</Endpoint>"
IN_REGION = "x-amz-bucket-region: eu-west-3"


@pytest.fixture(autouse=True)
def _a_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")


def failure(driver: type, access: S3Access) -> StoreUnavailable:
    async def steps() -> None:
        async with opened(driver, access) as store:
            await create(store, "blobs/a.md", b"x")

    with pytest.raises(StoreUnavailable) as caught:
        asyncio.run(steps())
    return caught.value


@every_driver
@pytest.mark.parametrize(
    ("answer", "hint", "must_act"),
    [
        (error_of("301 Moved Permanently", "PermanentRedirect", ENDPOINT, IN_REGION), "set AWS_REGION=eu-west-3", True),
        (error_of("301 Moved Permanently", "PermanentRedirect", ENDPOINT), "is at archive.s3-eu-west-3.example", True),
        (
            error_of("301 Moved Permanently", "PermanentRedirect"),
            "check the region (AWS_REGION) and the endpoint",
            True,
        ),
        (
            error_of("307 Temporary Redirect", "TemporaryRedirect", ENDPOINT),
            "is at archive.s3-eu-west-3.example",
            False,
        ),
        (error_of("400 Bad Request", "AuthorizationHeaderMalformed", REGION), "set AWS_REGION=eu-west-3", True),
        (error_of("400 Bad Request", "AuthorizationHeaderMalformed"), "check the region (AWS_REGION)", True),
        (error_of("403 Forbidden", "QuotaExceeded"), "the store is full or its quota is used up", True),
        (error_of("400 Bad Request", "XMinioAdminBucketQuotaExceeded"), "its quota is used up", False),
        (error_of("507 Insufficient Storage", "XMinioStorageFull"), "the store is full", False),
        (error_of("500 Internal Server Error", "InsufficientStorage"), "the store is full", False),
        (error_of("403 Forbidden", "RequestTimeTooSkewed"), "this machine's clock", True),
        (error_of("403 Forbidden", "SignatureDoesNotMatch"), "(check the credentials)", True),
        (error_of("403 Forbidden", "InvalidAccessKeyId"), "(check the credentials)", True),
        (error_of("400 Bad Request", "ExpiredToken"), "renew the credentials", True),
        (error_of("403 Forbidden", "AccessDenied"), "check the credentials and the bucket's policy", True),
        (error_of("503 Service Unavailable", "SlowDown"), "503 SlowDown: its words", False),
        (
            answer_of("302 Found", b"", "Location: https://sso.example/login?token=hush"),
            "redirects to https://sso.example/login",
            True,
        ),
        (
            answer_of(
                "400 Bad Request", b"Client sent an HTTP request to an HTTPS server.\n", "Content-Type: text/plain"
            ),
            "its endpoint begins with https://",
            True,
        ),
    ],
)
def test_a_refusal_carries_the_hint_that_fits_it(driver: type, answer: bytes, hint: str, *, must_act: bool) -> None:
    with answering(both(answer)) as access:
        error = failure(driver, access)

    assert hint in str(error)
    assert isinstance(error, StoreRefuses) is must_act
    assert ("clock" in str(error)) is (b"Skewed" in answer)
    assert "hush" not in str(error)


@every_driver
@pytest.mark.parametrize("status", ["301 Moved Permanently", "400 Bad Request"])
def test_a_listing_names_the_region_too(driver: type, status: str) -> None:
    code = "PermanentRedirect" if status.startswith("301") else "AuthorizationHeaderMalformed"

    async def steps(access: S3Access) -> None:
        async with opened(driver, access) as store:
            await keys(store, "refs/")

    with (
        answering(both(error_of(status, code, REGION, IN_REGION))) as access,
        pytest.raises(StoreRefuses, match="the store says region eu-west-3, the request was for us-east-1"),
    ):
        asyncio.run(steps(access))


def test_the_control_path_names_the_region_too() -> None:
    with (
        answering(both(error_of("301 Moved Permanently", "PermanentRedirect", ENDPOINT, IN_REGION))) as access,
        closing(BucketControl(access)) as control,
        pytest.raises(StoreRefuses, match="set AWS_REGION=eu-west-3"),
    ):
        control.versioning()


@every_driver
def test_tls_to_a_port_without_it_says_so(driver: type) -> None:
    with answering(answer_of("400 Bad Request")) as access:
        error = failure(driver, replace(access, endpoint_url=(access.endpoint_url or "").replace("http:", "https:")))

    assert isinstance(error, StoreRefuses)
    assert "speaks no TLS: if that is meant, its endpoint begins with http://" in str(error)
    assert "AWS_CA_BUNDLE" not in str(error)


@every_driver
def test_plain_http_to_a_tls_port_says_so(driver: type) -> None:
    with answering(b"\x15\x03\x01\x00\x02\x02\x46") as access:  # the alert that OpenSSL sends
        error = failure(driver, access)

    assert isinstance(error, StoreRefuses)
    assert "endpoint begins with https://" in str(error)
