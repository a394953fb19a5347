"""What only the client of our own can get wrong; what every driver must do is in `test_stores.py`."""

from __future__ import annotations

import asyncio
import os

import pytest
from pydantic import SecretStr

from archiver.core.errors import StoreUnavailable
from archiver.settings import Settings
from archiver.stores.s3.access import S3Access
from archiver.stores.s3.direct import asks_a_proxy
from archiver.wiring import open_store

PROXY = "http://proxy.example:3128"


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in os.environ if each.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.mark.usefixtures("no_proxy")
@pytest.mark.parametrize(
    ("environment", "endpoint", "expected"),
    [
        ({}, "https://store.example", False),
        ({"HTTPS_PROXY": PROXY}, "https://store.example", True),
        ({"https_proxy": PROXY}, None, True),
        ({"HTTPS_PROXY": PROXY}, "http://store.example:9000", False),
        ({"ALL_PROXY": PROXY}, "http://store.example:9000", True),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "store.example"}, "https://store.example", False),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "*"}, "https://store.example", False),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "amazonaws.com"}, None, False),
    ],
)
def test_a_proxy_is_asked_where_the_environment_says_so(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], endpoint: str | None, *, expected: bool
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert asks_a_proxy(S3Access(bucket="archive", endpoint_url=endpoint)) is expected


@pytest.mark.usefixtures("no_proxy")
def test_behind_a_proxy_nothing_goes_to_the_store_itself(monkeypatch: pytest.MonkeyPatch, s3_access: S3Access) -> None:
    settings = Settings(bucket=s3_access.bucket).model_copy(
        update={
            "endpoint_url": s3_access.endpoint_url,
            "access_key_id": s3_access.access_key_id,
            "secret_access_key": SecretStr(s3_access.secret_access_key or ""),
        }
    )

    async def steps() -> None:
        async with open_store(settings):
            pass

    asyncio.run(steps())
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "elsewhere.example")
    with pytest.raises(StoreUnavailable):
        asyncio.run(steps())
