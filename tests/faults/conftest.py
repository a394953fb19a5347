"""What every fault test gets: a rig on real servers; and the table that `--reliability FILE` asks for."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from archiver.dev_servers import S3Server
from tests.faults.http_proxy import HttpProxy
from tests.faults.kit import Rig, TunedNats
from tests.faults.proxy import LOOPBACK
from tests.faults.report import Told, gaps, write
from tests.faults.store_kit import use_store
from tests.support.servers import require_binary

_RIG = pytest.StashKey[Rig]()


@pytest.fixture
def bare_rig(s3_server: S3Server, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Rig]:
    """Servers only: no stream is there yet."""
    require_binary(TunedNats.binary)
    with TunedNats(tmp_path / "nats") as nats:
        rig = Rig.make(nats, s3_server, tmp_path)
        request.node.stash[_RIG] = rig
        try:
            yield rig
        finally:
            rig.close()


@pytest.fixture
def rig(bare_rig: Rig) -> Rig:
    """Servers with streams and consumer, as `archiver init` leaves them."""
    bare_rig.init()
    return bare_rig


@pytest.fixture
def link(rig: Rig) -> Iterator[HttpProxy]:
    """The rig's workers reach the store through this; the oracle does not."""
    with HttpProxy(rig.store.port) as proxy:
        rig.environment["AWS_ENDPOINT_URL_S3"] = f"http://{LOOPBACK}:{proxy.port}"
        yield proxy


@pytest.fixture
def own_store(rig: Rig, tmp_path: Path) -> Iterator[S3Server]:
    """A store of this test alone, which it may stop; the rig's workers and the oracle use it."""
    with S3Server(tmp_path / "s3") as store:
        use_store(rig, store)
        yield store
        store.kill()  # it would wait ten seconds for the workers that are still connected


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--reliability", metavar="FILE", type=Path, help="write the table of faults to FILE")


def pytest_configure(config: pytest.Config) -> None:
    path = config.getoption("--reliability", None)  # None also where this file is read too late to add the option
    if path is not None and not hasattr(config, "workerinput"):  # xdist: the process that reports, not those that run
        config.pluginmanager.register(_Table(path))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    mark = item.get_closest_marker("fault")
    if mark is not None:
        rig = item.stash.get(_RIG, None)
        told = Told(*mark.args, recovered_s=rig.recovered_s if rig else None)
        report.user_properties.append(("fault", asdict(told)))  # which is how it comes here from a process of xdist's
    return report


class _Table:
    """Collects what the tests tell, in the process that reports, and writes the table at the end."""

    def __init__(self, path: Path) -> None:
        self.path, self.told, self.broken = path, list[Told](), set[int]()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for told in (Told(**each) for name, each in report.user_properties if name == "fault"):
            if report.failed:
                self.broken.add(told.number)
            elif report.when == "call" and (report.passed or hasattr(report, "wasxfail")):
                self.told.append(replace(told, broken=getattr(report, "wasxfail", "")))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        told = [each for each in self.told if each.number not in self.broken]
        missing = gaps(told)
        if missing:
            terminalreporter.write_line(f"{self.path} is left as it was: no passed test of faults {missing}", red=True)
        else:
            write(self.path, told)
            terminalreporter.write_line(f"wrote {self.path}")
