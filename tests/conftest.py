"""What every test gets: a clean environment, repeatable properties, and servers on request."""

import os
import signal

import pytest
from hypothesis import settings

pytest_plugins = ["pytester", "tests.support.servers", "tests.support.inner_pytest"]

settings.register_profile("default", deadline=None)  # a busy machine is no failure
settings.register_profile("ci", settings.get_profile("default"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

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
