"""Real servers for the tests, one of each per run, on ports of their own."""

from __future__ import annotations

import os
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from archiver.dev_servers import NatsServer, S3Server
from archiver.stores.s3.access import S3Access
from contracts.toolkit import ServerDidNotStart, find_program

if TYPE_CHECKING:
    from collections.abc import Iterator


def require_binary(name: str) -> None:
    """Skip the test when a server is not installed; fail it where `CI` is set, since there it must be."""
    try:
        find_program(name)
    except ServerDidNotStart as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))


def access_to(server: S3Server, **changes: object) -> S3Access:
    """Return the access to an embedded store, under a prefix that nobody else uses unless one is given."""
    access = S3Access(
        bucket=server.bucket,
        prefix=f"test-{uuid.uuid4().hex}/",
        endpoint_url=server.url,
        access_key_id=server.access_key,
        secret_access_key=server.secret_key,
    )
    return replace(access, **changes)  # type: ignore[arg-type] # the names are S3Access's


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    require_binary(NatsServer.binary)
    with NatsServer(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture
def nats_url(nats_server: NatsServer) -> str:
    return nats_server.url


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    require_binary(S3Server.binary)
    with S3Server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def s3_access(s3_server: S3Server) -> S3Access:
    return access_to(s3_server)
