"""One nats-server for all that is observed, with a stream for the contract's subject and one for tests of their own."""

from collections.abc import Iterator

import pytest

from tests.contracts.conftest import run_contracts
from tests.observe.bus import Bus, make_stream
from tests.servers import require_binary

__all__ = ["bus", "run_contracts"]


@pytest.fixture(autouse=True)
def _on_no_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    require_binary(Bus.binary)
    home = tmp_path_factory.mktemp("bus")
    with Bus(home, jetstream={"store_dir": str(home / "jetstream")}) as server:
        make_stream(server.url, "SCHEDULE", "kaizen.schedule.>")
        make_stream(server.url, "TESTS", "tests.>")
        yield server
