"""What both drivers make of a store that refuses, falls silent, hangs up or is not there."""

from __future__ import annotations

import asyncio
import time

import pytest

from archiver.core.errors import BucketMissing, BundleRefused, KeyMissing, KeyTaken, StoreRefuses, StoreUnavailable
from archiver.stores.s3.access import S3Access
from archiver.stores.s3.boto3_store import Boto3Store
from archiver.stores.s3.direct import DirectStore
from tests.support.drivers import SECRET, every_driver, opened, refused_at_every_call
from tests.support.scripted import answering, error_of
from tests.support.store_calls import create, read, replace


@every_driver
@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        ("412 Precondition Failed", "PreconditionFailed", KeyTaken),
        ("409 Conflict", "ConditionalRequestConflict", StoreUnavailable),
        ("404 Not Found", "NoSuchBucket", BucketMissing),
        ("404 Not Found", "NoSuchKey", StoreUnavailable),
        ("400 Bad Request", "BadDigest", StoreUnavailable),
        ("401 Unauthorized", "Unauthorized", StoreRefuses),
        ("403 Forbidden", "RequestTimeTooSkewed", StoreRefuses),
        ("403 Forbidden", "QuotaExceeded", StoreRefuses),
        ("400 Bad Request", "ExpiredToken", StoreRefuses),
        ("413 Content Too Large", "EntityTooLarge", BundleRefused),
        ("429 Too Many Requests", "TooManyRequests", StoreUnavailable),
        ("500 Internal Server Error", "InternalError", StoreUnavailable),
        ("501 Not Implemented", "NotImplemented", StoreUnavailable),
        ("503 Service Unavailable", "SlowDown", StoreUnavailable),
        ("507 Insufficient Storage", "XMinioStorageFull", StoreUnavailable),
    ],
)
def test_each_refusal_of_an_upload_has_its_error_in_the_stores_own_words(
    driver: type, status: str, code: str, error: type[Exception]
) -> None:
    async def steps(access: S3Access) -> None:
        async with opened(driver, access) as store:
            await create(store, "blobs/a.md", b"x")

    with answering(error_of(status, code)) as access, pytest.raises(error) as caught:
        asyncio.run(steps(access))

    assert type(caught.value) is error
    if isinstance(caught.value, StoreUnavailable) and error is not BucketMissing:
        assert f"{status[:3]} {code}: its words" in str(caught.value)


@every_driver
def test_a_replacement_is_never_told_that_the_key_is_taken(driver: type) -> None:
    async def steps(access: S3Access) -> None:
        async with opened(driver, access) as store:
            await replace(store, "blobs/a.md", b"x")

    with (
        answering(error_of("412 Precondition Failed", "PreconditionFailed")) as access,
        pytest.raises(StoreUnavailable, match="412 PreconditionFailed"),
    ):
        asyncio.run(steps(access))


@every_driver
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (error_of("404 Not Found", "NoSuchKey"), KeyMissing),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\nConnection: close\r\n\r\ngone", StoreUnavailable),
        (
            b'HTTP/1.1 200 OK\r\nContent-Length: 9\r\nETag: "a"\r\nConnection: close\r\n\r\nshort',
            StoreUnavailable,
        ),
        (b'HTTP/1.1 200 OK\r\nETag: "a"\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n', StoreUnavailable),
        (b"", StoreUnavailable),
    ],
    ids=["no such key", "404 of a proxy", "cut short", "no last chunk", "hangs up"],
)
def test_a_read_that_is_not_whole_is_never_taken_for_whole(driver: type, answer: bytes, error: type[Exception]) -> None:
    async def steps(access: S3Access) -> None:
        async with opened(driver, access) as store:
            await read(store, "blobs/a.md")

    with answering(answer) as access, pytest.raises(error):
        asyncio.run(steps(access))


CHUNKS = b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(b"1\r\n%c\r\n" % each for each in b"whole") + b"0\r\n\r\n"


@pytest.mark.parametrize("driver", [Boto3Store, DirectStore])
@pytest.mark.parametrize("size", [None, 5, 6])
@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n" + CHUNKS,
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n" + CHUNKS,
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nwhole",
        b"HTTP/1.0 200 OK\r\n\r\nwhole",
    ],
    ids=["in chunks", "after an interim answer", "to the end of the connection", "HTTP/1.0"],
)
def test_an_object_without_stated_length_is_read_to_its_end(driver: type, answer: bytes, size: int | None) -> None:
    length = b"" if size is None else b"Content-Length: %d\r\n" % size
    answers = {"GET": answer, "HEAD": b"HTTP/1.1 200 OK\r\nConnection: close\r\n" + length + b"\r\n"}

    async def steps(access: S3Access) -> bytes:
        async with opened(driver, access) as store:
            return await read(store, "blobs/a.md")

    with answering(answers) as access:
        if size == 6 and b"chunked" not in answer:  # nothing else would show that it was cut short
            with pytest.raises(StoreUnavailable, match="5 of 6 bytes arrived"):
                asyncio.run(steps(access))
        elif size != 6:
            assert asyncio.run(steps(access)) == b"whole"


@every_driver
def test_a_store_that_never_answers_is_given_up_on(driver: type) -> None:
    async def steps(access: S3Access) -> None:
        async with opened(driver, access) as store:
            await refused_at_every_call(store, StoreUnavailable, "is it running and reachable at")

    with answering(None) as access:
        began = time.monotonic()
        asyncio.run(steps(access))

    assert time.monotonic() - began < 10


@every_driver
def test_no_endpoint_means_aws_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch, driver: type) -> None:
    access = S3Access(
        bucket="archive", region="no-such-region", access_key_id="id", secret_access_key=SECRET
    )  # a name that resolves nowhere: nothing leaves this machine but a question to the resolver

    async def steps() -> None:
        async with opened(driver, access) as store:
            await store.check()

    with answering(error_of("404 Not Found", "NoSuchBucket")) as elsewhere:
        for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
            monkeypatch.setenv(name, str(elsewhere.endpoint_url))
        with pytest.raises(StoreUnavailable, match=r"no-such-region\.amazonaws\.com") as caught:
            asyncio.run(steps())

    assert type(caught.value) is StoreUnavailable
