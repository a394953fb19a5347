"""The probe of the store: on SeaweedFS as it is, and behind a gateway that makes it one that can do less."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime

import boto3
import pytest
from moto import mock_aws

from archiver.core.capabilities import PROBES, Capabilities
from archiver.core.errors import BucketMissing, StoreUnavailable
from archiver.dev_servers import S3Server
from archiver.stores.s3.access import S3Access
from archiver.stores.s3.control import BucketControl, NotOffered
from archiver.stores.s3.direct import DirectStore
from tests.faults.http_faults import Answer, FlipAnswer, FlipRequest, Signer, StripHeader
from tests.faults.http_proxy import Forward, HttpFault, HttpProxy, Message
from tests.support.drivers import opened
from tests.support.servers import access_to
from tests.support.store_calls import replace as store_replace

ABLE = Capabilities(create_only="honoured", checksum="verified", read_after_write=True, clock_skew_s=0.0)


@dataclass(frozen=True)
class OtherClock(HttpFault):
    """The store's clock is ahead by so many seconds; with None it does not tell the time."""

    ahead_s: float | None

    async def exchange(self, request: Message, forward: Forward) -> Message:
        answer = await forward(request)
        bare = answer.without("Date")
        if self.ahead_s is None:
            return bare
        told = parsedate_to_datetime(answer.header("Date") or "") + timedelta(seconds=self.ahead_s)
        return replace(bare, headers=(*bare.headers, ("Date", format_datetime(told, usegmt=True))))


@pytest.fixture
def gateway(s3_server: S3Server) -> Iterator[HttpProxy]:
    with HttpProxy(s3_server.port) as proxy:
        yield proxy


@pytest.fixture
def access(s3_server: S3Server, gateway: HttpProxy) -> S3Access:
    return access_to(s3_server, endpoint_url=f"http://127.0.0.1:{gateway.port}", read_timeout_s=10.0)


def probe(access: S3Access) -> Capabilities:
    with closing(BucketControl(access)) as control:
        return control.probe()


def left_behind(server: S3Server, prefix: str) -> list[str]:
    client = boto3.client(
        "s3",
        endpoint_url=server.url,
        region_name="us-east-1",
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
    )
    with closing(client):
        listed = client.list_objects_v2(Bucket=server.bucket, Prefix=prefix).get("Contents", [])
    return [each["Key"].removeprefix(prefix) for each in listed]


def test_a_store_that_does_it_all_is_seen_to_and_is_left_as_it_was(s3_server: S3Server, s3_access: S3Access) -> None:
    found = probe(s3_access)

    assert replace(found, clock_skew_s=0.0) == ABLE
    assert abs(found.clock_skew_s) <= 1, "one machine, one clock; the Date header has whole seconds"
    assert left_behind(s3_server, s3_access.prefix) == []


@pytest.mark.parametrize(
    ("fault", "changes"),
    [
        (lambda signer: StripHeader("If-None-Match", signer, header="If-None-Match"), {"create_only": "ignored"}),
        (lambda _: Answer(501, header="If-None-Match"), {"create_only": "refused"}),
        (lambda _: Answer(400, header="If-None-Match"), {"create_only": "refused"}),
        (lambda _: Answer(412, header="If-None-Match"), {"create_only": "refused"}),
        (lambda signer: StripHeader("X-Amz-Checksum-*", signer, method="PUT"), {"checksum": "ignored"}),
        (lambda _: Answer(501, header="x-amz-checksum-sha256"), {"checksum": "refused"}),
        (lambda _: Answer(400, header="x-amz-checksum-sha256"), {"checksum": "refused"}),
        (lambda _: FlipAnswer(method="GET"), {"read_after_write": False}),
    ],
    ids=[
        "ignores If-None-Match",
        "does not implement If-None-Match",
        "calls If-None-Match a bad request",
        "finds every key taken",
        "ignores checksums",
        "does not implement checksums",
        "calls checksums a bad request",
        "reads something else",
    ],
)
def test_what_a_store_cannot_do_is_seen_and_nothing_else(
    s3_server: S3Server, access: S3Access, gateway: HttpProxy, fault, changes: dict[str, object]
) -> None:
    gateway.fault = fault(Signer(s3_server.access_key, s3_server.secret_key))

    found = probe(access)

    assert gateway.hits
    assert replace(found, clock_skew_s=0.0) == replace(ABLE, **changes)
    assert left_behind(s3_server, access.prefix) == []


@pytest.mark.parametrize("ahead_s", [-1200, 1200, None])
def test_a_clock_that_is_wrong_is_measured(access: S3Access, gateway: HttpProxy, ahead_s: float | None) -> None:
    gateway.fault = OtherClock(ahead_s)

    found = probe(access).clock_skew_s

    assert found == (ahead_s and pytest.approx(ahead_s, abs=1))


def test_a_worker_that_may_not_delete_leaves_the_objects_to_gc(
    s3_server: S3Server, access: S3Access, gateway: HttpProxy
) -> None:
    gateway.fault = Answer(403, method="DELETE")

    assert probe(access).create_only == "honoured"

    left = left_behind(s3_server, access.prefix)
    assert len(left) == gateway.hits == 2, "the third was refused, as it should be"
    assert all(key.startswith(PROBES) and key.endswith(".txt") for key in left)


@dataclass(frozen=True)
class Later(HttpFault):
    """The store's answer to a HEAD tells a time so many seconds later: as if what else is there were older."""

    later_s: float

    async def exchange(self, request: Message, forward: Forward) -> Message:
        answer = await forward(request)
        written = parsedate_to_datetime(answer.header("Last-Modified") or "") + timedelta(seconds=self.later_s)
        bare = answer.without("Last-Modified")
        return replace(bare, headers=(*bare.headers, ("Last-Modified", format_datetime(written, usegmt=True))))


OLD_PROBE = f"{PROBES}{'ab' * 16}-whole.txt"


@pytest.mark.parametrize(
    ("key", "later_s", "is_cleared"),
    [
        (OLD_PROBE, 1200, True),
        (OLD_PROBE.replace("whole", "created"), 1200, True),
        (OLD_PROBE, 60, False),
        (f"{PROBES}README", 1200, False),
        (f"{PROBES}{'ab' * 16}-whole.txt.bak", 1200, False),
        (f"blobs/{'ab' * 16}-whole.txt", 1200, False),
    ],
    ids=["old", "another old", "of a probe that still runs", "not a probe's", "nearly a probe's", "elsewhere"],
)
def test_objects_that_a_broken_off_probe_left_are_cleared_by_the_next(
    s3_server: S3Server, access: S3Access, gateway: HttpProxy, key: str, later_s: float, *, is_cleared: bool
) -> None:
    async def leave() -> None:
        async with opened(DirectStore, access) as store:
            await store_replace(store, key, b"left")

    asyncio.run(leave())
    gateway.fault = Later(later_s, method="HEAD")

    assert replace(probe(access), clock_skew_s=0.0) == ABLE

    assert left_behind(s3_server, access.prefix) == ([] if is_cleared else [key])


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_probe_that_may_not_clear_up_after_others_is_none_the_worse(
    access: S3Access, gateway: HttpProxy, method: str
) -> None:
    gateway.fault = Answer(403, method=method, key="list-type=2" if method == "GET" else PROBES)

    assert replace(probe(access), clock_skew_s=0.0) == ABLE


@pytest.mark.parametrize("status", [403, 500, 503, 507])
def test_an_outage_answers_no_question(access: S3Access, gateway: HttpProxy, status: int) -> None:
    for fault in (Answer(status), Answer(status, header="If-None-Match"), Answer(status, method="GET")):
        gateway.fault = fault

        with pytest.raises(StoreUnavailable, match=f"the store could not probe .*: {status} "):
            probe(access)


def test_a_bad_request_that_is_about_something_else_answers_no_question(access: S3Access, gateway: HttpProxy) -> None:
    gateway.fault = Answer(400, method="PUT")  # as AWS says that credentials have expired

    with pytest.raises(StoreUnavailable, match="could not probe"):
        probe(access)


@pytest.mark.parametrize("header", ["x-amz-checksum-sha256", "If-None-Match"])
def test_a_body_damaged_on_its_way_answers_no_question(access: S3Access, gateway: HttpProxy, header: str) -> None:
    gateway.fault = FlipRequest(header=header, times=1)

    with pytest.raises(StoreUnavailable, match="BadDigest"):
        probe(access)

    assert gateway.hits == 1
    assert replace(probe(access), clock_skew_s=0.0) == ABLE


@pytest.mark.parametrize("header", ["x-amz-checksum-sha256", "If-None-Match"])
def test_one_refusal_is_none(access: S3Access, gateway: HttpProxy, header: str) -> None:
    gateway.fault = Answer(400, header=header, times=1)

    assert replace(probe(access), clock_skew_s=0.0) == ABLE
    assert gateway.hits == 1


def test_a_missing_bucket_says_how_to_make_it() -> None:
    with mock_aws(), pytest.raises(BucketMissing, match="archiver init --create-bucket"):
        probe(S3Access(bucket="archive", access_key_id="id", secret_access_key="secret"))


def test_what_a_store_does_not_offer_is_told_apart_from_what_is_not_set(access: S3Access, gateway: HttpProxy) -> None:
    gateway.fault = Answer(501, method="GET")

    with closing(BucketControl(access)) as control:
        for ask in (control.versioning, control.object_lock, control.lifecycle):
            with pytest.raises(NotOffered, match="not offered by this store"):
                ask()


def test_of_a_versioned_bucket_the_versions_are_removed() -> None:
    access = S3Access(bucket="archive", access_key_id="id", secret_access_key="secret")
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="archive")
        client.put_bucket_versioning(Bucket="archive", VersioningConfiguration={"Status": "Enabled"})

        assert probe(access).checksum == "ignored", "moto verifies none"

        left = client.list_object_versions(Bucket="archive")
    assert "Versions" not in left
    assert "DeleteMarkers" not in left
