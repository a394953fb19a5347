"""The store suite on every implementation, and what only a driver can get wrong."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import replace
from itertools import permutations
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws
from moto.server import ThreadedMotoServer

from archiver.core.errors import BucketMissing, StoreUnavailable
from archiver.stores.memory import MemoryStore
from archiver.stores.s3.access import S3Access
from archiver.stores.s3.boto3_store import Boto3Store
from archiver.stores.s3.direct import DirectStore
from tests.support.drivers import DRIVERS, SECRET, Afresh, every_driver, opened, refused_at_every_call
from tests.support.rclone import serving
from tests.support.servers import access_to, require_binary
from tests.support.store_calls import MARKDOWN, create, keys, read
from tests.support.store_suite import HARD_KEYS, BasicSuite, StoreSuite

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from archiver.dev_servers import S3Server


class TestMemoryStore(StoreSuite):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()


class TestBoto3Store(StoreSuite):
    @pytest.fixture
    def store(self, s3_access: S3Access) -> Iterator[Boto3Store]:
        store = Boto3Store(s3_access)
        yield store
        asyncio.run(store.close())


class TestDirectStore(StoreSuite):
    @pytest.fixture
    def store(self, s3_access: S3Access) -> Afresh:
        return Afresh(s3_access)


@pytest.fixture(scope="session")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Access]:
    require_binary("rclone")
    with serving(tmp_path_factory.mktemp("rclone")) as access:
        yield access


class TestDirectStoreOnRclone(BasicSuite):
    @pytest.fixture
    def store(self, rclone: S3Access) -> Afresh:
        return Afresh(replace(rclone, prefix=uuid.uuid4().hex))


class TestBoto3StoreOnRclone(BasicSuite):
    @pytest.fixture
    def store(self, rclone: S3Access) -> Iterator[Boto3Store]:
        store = Boto3Store(replace(rclone, prefix=uuid.uuid4().hex))
        yield store
        asyncio.run(store.close())


class TestBoto3StoreOnMoto(BasicSuite):
    @pytest.fixture
    def store(self) -> Iterator[Boto3Store]:
        with mock_aws():
            boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="archive")
            store = Boto3Store(S3Access("archive", "here", access_key_id="id", secret_access_key=SECRET))
            yield store
            asyncio.run(store.close())


@pytest.fixture(scope="session")
def moto() -> Iterator[S3Access]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    access = S3Access("archive", "", f"http://{host}:{port}", access_key_id="id", secret_access_key=SECRET)
    login = {"aws_access_key_id": "id", "aws_secret_access_key": SECRET, "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=access.endpoint_url, **login)
    client.create_bucket(Bucket="archive")
    client.close()
    yield access
    server.stop()


class TestDirectStoreOnMoto(BasicSuite):
    @pytest.fixture
    def store(self, moto: S3Access) -> Afresh:
        return Afresh(replace(moto, prefix=uuid.uuid4().hex))


@pytest.mark.parametrize(("writer", "reader"), list(permutations(DRIVERS, 2)))
def test_what_one_driver_writes_the_other_reads_and_lists_under_the_same_keys(
    s3_access: S3Access, writer: type, reader: type
) -> None:
    async def steps() -> tuple[list[str], list[bytes]]:
        async with opened(writer, s3_access) as one, opened(reader, s3_access) as other:
            for key in HARD_KEYS:
                await create(one, key, key.encode())
            return await keys(other, ""), [await read(other, key) for key in HARD_KEYS]

    listed, bodies = asyncio.run(steps())

    assert listed == sorted(HARD_KEYS, key=str.encode)
    assert bodies == [key.encode() for key in HARD_KEYS]


@every_driver
def test_metadata_and_content_type_are_stored_as_given(s3_access: S3Access, s3_server: S3Server, driver: type) -> None:
    async def steps() -> None:
        async with opened(driver, s3_access) as store:
            await create(store, HARD_KEYS[0], b"# Coach\n")

    asyncio.run(steps())

    client = boto3.client(
        "s3",
        endpoint_url=s3_server.url,
        region_name="us-east-1",
        aws_access_key_id=s3_server.access_key,
        aws_secret_access_key=s3_server.secret_key,
    )
    answer = client.head_object(Bucket=s3_server.bucket, Key=f"{s3_access.prefix}{HARD_KEYS[0]}")
    client.close()
    assert answer["ContentType"] == MARKDOWN
    assert answer["Metadata"] == {"content-sha256": "9db0b3f3ac4a22292b9618e9afc4a155fd46e390ce2eb34fd20d97e80a2f8695"}


def test_a_listing_of_more_than_one_page_is_whole(s3_access: S3Access) -> None:
    expected = [f"blobs/{number:04}" for number in range(1050)]  # a page of S3 holds 1,000

    async def steps() -> list[list[str]]:
        async with opened(DirectStore, s3_access) as fast:
            for start in range(0, len(expected), 50):
                await asyncio.gather(*(create(fast, key, b"x") for key in expected[start : start + 50]))
        found = []
        for driver in DRIVERS:
            async with opened(driver, s3_access) as store:
                found.append(await keys(store, "blobs/"))
        return found

    assert asyncio.run(steps()) == [expected] * len(DRIVERS)


@every_driver
def test_a_wrong_secret_is_refused_at_every_call_and_shown_in_none(s3_server: S3Server, driver: type) -> None:
    access = access_to(s3_server, secret_access_key=SECRET, session_token=None)

    async def steps() -> list[str]:
        async with opened(driver, access) as store:
            return await refused_at_every_call(store, StoreUnavailable, "403 SignatureDoesNotMatch")

    said = asyncio.run(steps())

    assert not [text for text in [*said, repr(access)] if SECRET in text]
    assert all("check the credentials" in text for text in said)


@every_driver
def test_a_missing_bucket_is_told_with_what_to_do_next(s3_server: S3Server, driver: type) -> None:
    async def steps() -> None:
        async with opened(driver, access_to(s3_server, bucket="no-such-bucket")) as store:
            for call in (store.check(), read(store, "blobs/a.md"), keys(store, "")):
                with pytest.raises(BucketMissing, match="archiver init --create-bucket"):
                    await call
            # SeaweedFS answers 403 here, as it would to a policy; hence `check` before the first write.
            with pytest.raises(StoreUnavailable):
                await create(store, "blobs/a.md", b"x")

    asyncio.run(steps())


@every_driver
def test_a_store_that_is_not_running_is_unavailable_at_once(driver: type) -> None:
    access = S3Access(bucket="archive", endpoint_url="http://127.0.0.1:1", access_key_id="id", secret_access_key=SECRET)

    async def steps() -> None:
        async with opened(driver, access) as store:
            await refused_at_every_call(store, StoreUnavailable, "is it running and reachable at")

    began = time.monotonic()
    asyncio.run(steps())

    assert time.monotonic() - began < 2


@every_driver
def test_credentials_may_come_from_a_profile(
    s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, driver: type
) -> None:
    profile = tmp_path / "credentials"
    profile.write_text(
        f"[archive]\naws_access_key_id={s3_server.access_key}\naws_secret_access_key={s3_server.secret_key}\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(profile))
    monkeypatch.setenv("AWS_PROFILE", "archive")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)

    async def steps() -> bytes:
        access = access_to(s3_server, access_key_id=None, secret_access_key=None)
        async with opened(driver, access) as store:
            await create(store, "blobs/a.md", b"x")
            return await read(store, "blobs/a.md")

    assert asyncio.run(steps()) == b"x"


@every_driver
def test_no_credentials_anywhere_is_told_and_not_waited_for(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, driver: type
) -> None:
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)

    async def steps() -> None:
        async with opened(driver, access_to(s3_server, access_key_id=None, secret_access_key=None)) as store:
            await store.check()

    with pytest.raises(StoreUnavailable, match="credentials"):
        asyncio.run(steps())


@every_driver
def test_an_endpoint_or_token_in_the_environment_does_not_beat_the_settings(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, driver: type
) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "somebody-else")

    async def steps() -> None:
        async with opened(driver, access_to(s3_server)) as store:
            await store.check()

    asyncio.run(steps())
