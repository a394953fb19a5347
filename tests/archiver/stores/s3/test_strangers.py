"""What answers and is no S3 store never passes for a bucket, an empty archive or a missing key, on any path."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import closing

import pytest

from archiver.core.errors import BucketMissing, StoreUnavailable
from archiver.ports import BlobStore
from archiver.stores.s3.access import S3Access
from archiver.stores.s3.boto3_store import Boto3Store
from archiver.stores.s3.control import BucketControl
from tests.support.drivers import every_driver, opened
from tests.support.scripted import answer_of, answering, both, error_of
from tests.support.store_calls import create, keys, read

HTML = "Content-Type: text/html; charset=utf-8"
CONSOLE = b"<!doctype html><html><head><title>MinIO\n Console</title></head><body></body></html>"
STRANGERS = {
    "a console": (answer_of("200 OK", CONSOLE, HTML), "text/html, a web page titled 'MinIO Console'"),
    "a page without type": (answer_of("200 OK", CONSOLE), "no content type, a web page titled 'MinIO Console'"),
    "well-formed XHTML": (
        answer_of(
            "200 OK", b"<html xmlns='http://www.w3.org/1999/xhtml'><head/></html>", "Content-Type: application/xml"
        ),
        "application/xml, a web page",
    ),
    "a large page": (answer_of("200 OK", CONSOLE + b" " * (2 << 20), HTML), "a web page titled 'MinIO Console'"),
    "JSON": (answer_of("200 OK", b'{"status":"ok"}', "Content-Type: application/json"), "application/json"),
    "an empty body": (answer_of("200 OK"), "an empty body"),
    "no content": (answer_of("204 No Content"), "an empty body"),
    "another XML": (answer_of("200 OK", b"<rss/>", "Content-Type: text/xml"), "text/xml, '<rss/>'"),
    "text": (answer_of("200 OK", b"OK", "Content-Type: text/plain"), "text/plain, 'OK'"),
    "an escape sequence": (
        answer_of("200 OK", b"<title>a\x1b[2Jb</title>", HTML),
        "titled 'a\ufffd[2Jb'",
    ),
    "a web server's 404": (answer_of("404 Not Found", b"<h1>404</h1>", HTML), "text/html, a web page"),
    "an API's 404": (answer_of("404 Not Found", b'{"error":1}', "Content-Type: application/json"), "application/json"),
    "a bare 404": (answer_of("404 Not Found"), "404"),
    "a login": (
        answer_of("302 Found", b"", "Location: https://sso.example/login?state=hush"),
        "redirects to https://sso.example/login",
    ),
    "a login with a page": (
        answer_of("307 Temporary Redirect", CONSOLE, HTML, "Location: https://a:hush@sso.example/login"),
        "redirects to https://sso.example/login",
    ),
    "a gateway in trouble": (answer_of("502 Bad Gateway", b"<title>502</title>", HTML), "a web page titled '502'"),
}
TIME = "<LastModified>2026-06-17T12:34:56Z</LastModified>"
every_stranger = pytest.mark.parametrize("name", STRANGERS)

Call = Callable[[BlobStore], Awaitable[object]]
CALLS: dict[str, Call] = {
    "check": lambda store: store.check(),
    "list": lambda store: keys(store, "refs/"),
    "folder": lambda store: store.folder("refs/"),
}


def failure_of(driver: type, access: S3Access, call: Call) -> str:
    async def steps() -> None:
        async with opened(driver, access) as store:
            await call(store)

    with pytest.raises(StoreUnavailable) as caught:
        asyncio.run(steps())
    assert type(caught.value) is not BucketMissing
    return str(caught.value)


@every_driver
@every_stranger
@pytest.mark.parametrize("call", CALLS)
def test_a_stranger_is_no_bucket_and_no_empty_archive(driver: type, name: str, call: str) -> None:
    answer, says = STRANGERS[name]
    with answering(both(answer)) as access:
        said = failure_of(driver, access, CALLS[call])

    assert says in said
    assert "AWS_ENDPOINT_URL_S3" in said
    assert "console on 9001" in said
    assert "hush" not in said
    assert said.isprintable()


@every_driver
@pytest.mark.parametrize("name", [name for name in STRANGERS if "404" in name or "page" in name or "login" in name])
@pytest.mark.parametrize("call", ["read", "holds", "create"])
def test_a_stranger_holds_no_object_and_misses_none(driver: type, name: str, call: str) -> None:
    calls: dict[str, Call] = {
        "read": lambda store: read(store, "blobs/a.md"),
        "holds": lambda store: store.holds("blobs/a.md"),
        "create": lambda store: create(store, "blobs/a.md", b"x"),
    }
    if name == "a page without type" and (call == "holds" or (call, driver) == ("read", Boto3Store)):
        pytest.skip("no body to see that it is a page: HEAD has none, boto3 hands out a stream")
    with answering(both(STRANGERS[name][0])) as access:
        failure_of(driver, access, calls[call])


@every_driver
@pytest.mark.parametrize(
    ("head", "get", "holds"),
    [
        (answer_of("404 Not Found"), error_of("404 Not Found", "NoSuchKey"), False),
        (answer_of("404 Not Found"), answer_of("200 OK", b"x" * (2 << 20)), True),
        (answer_of("200 OK", b"", "ETag: a"), b"", True),
        (answer_of("200 OK", b"", HTML, "x-amz-request-id: 1"), b"", True),
    ],
    ids=["a bare 404 and NoSuchKey", "a bare 404 and an object", "there", "an HTML object"],
)
def test_a_key_is_missing_only_where_a_store_says_so(driver: type, head: bytes, get: bytes, *, holds: bool) -> None:
    async def steps(access: S3Access) -> bool:
        async with opened(driver, access) as store:
            return await store.holds("blobs/a.md")

    with answering({"HEAD": head, "GET": get}) as access:
        assert asyncio.run(steps(access)) is holds


@every_driver
def test_a_404_whose_get_names_the_bucket_is_the_buckets(driver: type) -> None:
    async def steps(access: S3Access) -> None:
        async with opened(driver, access) as store:
            await store.holds("blobs/a.md")

    for header in ("Server: gateway", "x-amz-request-id: 1"):
        answers = {"HEAD": answer_of("404 Not Found", b"", header), "GET": error_of("404 Not Found", "NoSuchBucket")}
        with answering(answers) as access, pytest.raises(BucketMissing):
            asyncio.run(steps(access))


@every_driver
def test_a_key_that_is_missing_while_the_bucket_is_checked_means_nothing(driver: type) -> None:
    listing = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"

    async def steps(access: S3Access) -> None:
        async with opened(driver, access) as store:
            await store.check()

    with answering(both(answer_of("200 OK", listing, "Content-Type: application/xml"))) as access:
        asyncio.run(steps(access))


@every_stranger
@pytest.mark.parametrize("ask", ["versioning", "object_lock", "lifecycle", "probe"])
def test_the_control_path_takes_no_stranger_for_a_bucket(name: str, ask: str) -> None:
    answer, says = STRANGERS[name]
    with (
        answering(both(answer)) as access,
        closing(BucketControl(access)) as control,
        pytest.raises(StoreUnavailable) as caught,
    ):
        getattr(control, ask)()

    if ask != "probe":
        assert says in str(caught.value)


@pytest.mark.parametrize("name", [name for name in STRANGERS if "page" in name or "login" in name or "404" in name])
def test_no_bucket_is_made_at_a_stranger(name: str) -> None:
    with (
        answering(both(STRANGERS[name][0])) as access,
        closing(BucketControl(access)) as control,
        pytest.raises(StoreUnavailable),
    ):
        control.create_bucket()


@every_driver
@pytest.mark.parametrize(
    ("inside", "says"),
    [
        ("<IsTruncated>true</IsTruncated>", "more, without a NextContinuationToken"),
        (
            "<IsTruncated>true</IsTruncated><NextContinuationToken>a</NextContinuationToken>",
            "one page again and again",
        ),
        (
            f"<IsTruncated>false</IsTruncated><Contents><Key>other/a</Key><Size>1</Size>{TIME}</Contents>",
            "listed 'other/a', which does not begin with 'refs/'",
        ),
    ],
    ids=["no token", "one token for ever", "another prefix"],
)
def test_a_listing_that_cannot_be_followed_is_an_error(driver: type, inside: str, says: str) -> None:
    body = f"<ListBucketResult>{inside}</ListBucketResult>".encode()
    with answering(answer_of("200 OK", body, "Content-Type: application/xml")) as access:
        assert says in failure_of(driver, access, CALLS["list"])


@every_driver
def test_a_deletion_of_what_is_missing_is_none_and_of_a_stranger_an_error(driver: type) -> None:
    async def steps(access: S3Access) -> None:
        async with opened(driver, access) as store:
            await store.delete("blobs/a.md")

    for answer in (error_of("404 Not Found", "NoSuchKey"), answer_of("204 No Content"), answer_of("200 OK")):
        with answering(answer) as access:
            asyncio.run(steps(access))
    for answer in (answer_of("200 OK", CONSOLE, HTML), answer_of("404 Not Found", CONSOLE, HTML)):
        with answering(answer) as access:
            failure_of(driver, access, lambda store: store.delete("blobs/a.md"))
