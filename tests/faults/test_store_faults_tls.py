"""The link to the store cannot be trusted: not a request goes out, and no event is blamed."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from tests.e2e.kit import until
from tests.faults.http_proxy import HttpProxy
from tests.faults.kit import Rig
from tests.faults.proxy import LOOPBACK, Reset

fault, slow = pytest.mark.fault, pytest.mark.slow_fault
every_driver = pytest.mark.parametrize("driver", ["direct", pytest.param("boto3", marks=slow)])

# Certificates: who signed it, for which name, until when.
RIGHT = (True, LOOPBACK, timedelta(days=1))
WRONG = {
    "expired": (True, LOOPBACK, timedelta(days=-1)),
    "of another authority": (False, LOOPBACK, timedelta(days=1)),
    "for another host": (True, "store.example", timedelta(days=1)),
}
every_wrong = pytest.mark.parametrize("wrong", WRONG)
mostly_slow = pytest.mark.parametrize("wrong", ["expired", *(pytest.param(each, marks=slow) for each in [*WRONG][1:])])


class Authorities:
    """The authority that the worker trusts, and one that it does not."""

    def __init__(self, home: Path) -> None:
        self.ours, self.other = trustme.CA(), trustme.CA()
        self.file = home / "ca.pem"
        self.ours.cert_pem.write_to_path(self.file)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.num_tickets = 0  # who resumes a session does not look at certificates again
        self.present(RIGHT)

    def present(self, certificate: tuple[bool, str, timedelta]) -> None:
        """Use this certificate for connections that are made from now on."""
        is_ours, name, left = certificate
        authority, ends = self.ours if is_ours else self.other, datetime.now(UTC) + left
        issued = authority.issue_cert(name, not_before=ends - timedelta(days=7), not_after=ends)
        issued.configure_cert(self.context)


@pytest.fixture
def authorities(tmp_path: Path) -> Authorities:
    return Authorities(tmp_path)


@pytest.fixture
def tls(rig: Rig, authorities: Authorities) -> Iterator[HttpProxy]:
    with HttpProxy(rig.store.port, tls=authorities.context) as proxy:
        rig.environment["AWS_ENDPOINT_URL_S3"] = f"https://{LOOPBACK}:{proxy.port}"
        rig.environment["AWS_CA_BUNDLE"] = str(authorities.file)
        yield proxy


@every_driver
@every_wrong
@fault(30, "store's certificate expired, of another authority, or for another host: at the start", "refused, exit 4")
def test_a_store_that_cannot_be_trusted_is_refused_at_the_start(
    rig: Rig, tls: HttpProxy, authorities: Authorities, driver: str, wrong: str
) -> None:
    authorities.present(WRONG[wrong])
    rig.emit_many(3)

    rig.archiver("run", "--until-idle", status=4, ARCHIVER_STORE=driver)

    assert tls.statuses("GET", "") == [], "not a request went out"
    assert rig.consumer().delivered.consumer_seq == 0
    authorities.present(RIGHT)
    rig.worker(ARCHIVER_STORE=driver)
    rig.settle()


@every_driver
@mostly_slow
@fault(30, "the same while the worker runs", "no request goes out; the right certificate ends it")
def test_a_store_that_cannot_be_trusted_any_more_is_waited_for(
    rig: Rig, tls: HttpProxy, authorities: Authorities, driver: str, wrong: str
) -> None:
    worker = rig.worker(ARCHIVER_STORE=driver)
    rig.emit_many(3)
    until(rig.is_drained, "archived over TLS")
    before = len(tls.statuses("PUT", ""))
    untrusted(tls, authorities, wrong)
    rig.emit_many(40)
    worker.wait_for('"not ready"')
    assert len(tls.statuses("PUT", "")) == before

    authorities.present(RIGHT)

    rig.settle()


@pytest.mark.parametrize(
    "driver",
    ["boto3", "direct"],
)
@mostly_slow
def test_a_wrong_certificate_is_told_as_such_and_stops_the_fetching_at_once(
    rig: Rig, tls: HttpProxy, authorities: Authorities, driver: str, wrong: str
) -> None:
    worker = rig.worker(ARCHIVER_STORE=driver, ARCHIVER_SLOTS="1")
    untrusted(tls, authorities, wrong)
    rig.emit_many(3)

    said = worker.wait_for('"not ready"')

    assert "AWS_CA_BUNDLE names the authority" in said
    assert rig.consumer().delivered.consumer_seq == 1


def untrusted(tls: HttpProxy, authorities: Authorities, wrong: str) -> None:
    authorities.present(WRONG[wrong])
    tls.fault = Reset()  # a connection that is open stays trusted
    tls.heal()


@every_driver
def test_without_the_authoritys_file_a_private_store_is_refused(rig: Rig, tls: HttpProxy, driver: str) -> None:
    rig.archiver("run", "--until-idle", status=4, ARCHIVER_STORE=driver, AWS_CA_BUNDLE=None)

    assert tls.statuses("GET", "") == []
