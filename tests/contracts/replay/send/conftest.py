"""One nats-server for the replays, its stream made anew for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.replay.send.runs import make_stream
from tests.support.bus import Bus
from tests.support.servers import require_binary


@pytest.fixture(scope="session")
def staging_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    require_binary(Bus.binary)
    home = tmp_path_factory.mktemp("staging")
    with Bus(home, jetstream={"store_dir": str(home / "jetstream")}) as server:
        yield server


@pytest.fixture
def staging(staging_server: Bus) -> Bus:
    make_stream(staging_server.url)
    return staging_server


@pytest.fixture
def own_bus(tmp_path: Path) -> Iterator[Bus]:
    """A server that the test may stop."""
    require_binary(Bus.binary)
    store = {"store_dir": str(tmp_path / "bus" / "jetstream"), "sync_interval": "always"}
    with Bus(tmp_path / "bus", jetstream=store) as server:
        yield server
