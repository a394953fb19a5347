"""What every test gets: a clean environment, repeatable properties, servers on request; and which tests are fast."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

from contracts.bus.child_process import ChildProcess

pytest_plugins = ["pytester", "tests.support.servers", "tests.support.inner_pytest"]

settings.register_profile("default", deadline=None)  # a busy machine is no failure
settings.register_profile("ci", settings.get_profile("default"), derandomize=True, print_blob=True)
settings.register_profile("fast", settings.get_profile("default"), max_examples=10)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "default"))

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell without job control gives that to what it runs with &
    signal.signal(signal.SIGINT, signal.default_int_handler)  # and our children would have it from us

_OF_THE_OPERATOR = ("AWS_", "NATS_", "ARCHIVER_", "GITHUB_")
_PROXIES = {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}


@pytest.fixture(autouse=True)
def _environment_of_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(_OF_THE_OPERATOR) or name.lower() in _PROXIES:
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")  # off EC2 it would only be waited for
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # our users buffer, and a closed pipe is then met later
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)


_TESTS = Path(__file__).resolve().parent
_SERVER_FIXTURES = {"nats_server", "s3_server", "bus", "staging_server", "own_bus", "staging"}
_REAL = {"e2e", "faults"}
_SERVERS = {"require_binary", "NatsServer", "S3Server", "Bus"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what `make test-fast` leaves to `make test`: a test that needs a server, or a pytest of its own."""
    for item in items:
        fixtures, names = set(getattr(item, "fixturenames", ())), vars(getattr(item, "module", item)).keys()
        if fixtures & _SERVER_FIXTURES or names & _SERVERS or item.path.resolve().relative_to(_TESTS).parts[0] in _REAL:
            item.add_marker(pytest.mark.server)
        if "pytester" in fixtures:
            item.add_marker(pytest.mark.nested)


@pytest.fixture(autouse=True)
def _no_server_unasked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that starts a server says so, or `make test-fast` would run it."""
    if request.node.get_closest_marker("server") is None:

        def start(_: ChildProcess) -> None:
            pytest.fail("this test starts a server: mark it with pytest.mark.server")

        monkeypatch.setattr(ChildProcess, "start", start)
