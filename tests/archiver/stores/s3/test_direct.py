"""What only the client of our own can get wrong; what every driver must do is in `test_stores.py`."""

from __future__ import annotations

import asyncio

import pytest

from archiver.core.errors import StoreUnavailable
from archiver.dev_servers import S3Server
from archiver.settings import Settings, load_settings
from archiver.stores.s3.access import S3Access
from archiver.wiring import open_store
from tests.faults.http_proxy import HttpProxy
from tests.support.servers import access_to
from tests.support.store_calls import create, read


@pytest.mark.parametrize("driver", ["direct", "boto3"])
def test_behind_a_proxy_nothing_goes_to_the_store_itself(
    monkeypatch: pytest.MonkeyPatch, s3_access: S3Access, driver: str
) -> None:
    monkeypatch.setenv("ARCHIVER_STORE", driver)
    settings = settings_for(monkeypatch, s3_access)

    async def steps() -> None:
        async with open_store(settings):
            pass

    asyncio.run(steps())
    monkeypatch.setenv("HTTP_PROXY", "http://me:hunter2@127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "elsewhere.example,127.0.0.1:1,10.0.0.0/8")
    with pytest.raises(StoreUnavailable, match=r"through the proxy http://127\.0\.0\.1:1 \(HTTP_PROXY\)") as error:
        asyncio.run(steps())
    assert "hunter2" not in str(error.value)
    monkeypatch.setenv("NO_PROXY", "127.0.0.0/8")
    asyncio.run(steps())


def test_through_a_proxy_the_store_is_asked_by_its_own_name(
    monkeypatch: pytest.MonkeyPatch, s3_server: S3Server
) -> None:
    access = access_to(s3_server, endpoint_url=f"http://store.example:{s3_server.port}")

    async def steps(settings: Settings) -> None:
        async with open_store(settings) as store:
            await create(store, "blobs/a.md", b"x")
            assert await read(store, "blobs/a.md") == b"x"

    with HttpProxy(s3_server.port) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"127.0.0.1:{proxy.port}")
        asyncio.run(steps(settings_for(monkeypatch, access)))

    assert proxy.statuses("PUT", "") == [200]


def settings_for(monkeypatch: pytest.MonkeyPatch, access: S3Access) -> Settings:
    for name, value in {
        "ARCHIVER_BUCKET": access.bucket,
        "ARCHIVER_PREFIX": access.prefix,
        "AWS_ENDPOINT_URL_S3": access.endpoint_url,
        "AWS_ACCESS_KEY_ID": access.access_key_id,
        "AWS_SECRET_ACCESS_KEY": access.secret_access_key,
    }.items():
        monkeypatch.setenv(name, value or "")
    return load_settings()
