"""What every end-to-end test gets: a nats-server of its own, and its own part of the one S3 server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from archiver.dev_servers import NatsServer, S3Server
from tests.e2e.kit import Kit, kit_in
from tests.support.servers import require_binary


@pytest.fixture
def bare_kit(s3_server: S3Server, tmp_path: Path) -> Iterator[Kit]:
    """Servers only: no stream is there yet."""
    require_binary(NatsServer.binary)
    with kit_in(tmp_path, s3_server) as kit:
        yield kit


@pytest.fixture
def kit(bare_kit: Kit) -> Kit:
    """Servers with streams and consumer, as `archiver init` leaves them."""
    bare_kit.init()
    return bare_kit


@pytest.fixture
def staging(kit: Kit, tmp_path: Path) -> Iterator[Kit]:
    """A staging archiver beside the one of `kit`, made as its operator makes it."""
    (tmp_path / "staging").mkdir()
    staging = Kit.make(kit.nats, kit.store, tmp_path / "staging", subject_prefix="staging.")
    staging.archiver("init")
    try:
        yield staging
    finally:
        staging.close()
