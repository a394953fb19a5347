"""The store says no: the worker stops fetching at once, waits, and recovers on its own once somebody has mended it."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from archiver.dev_servers import S3Server
from tests.e2e.kit import until
from tests.faults.http_faults import Answer
from tests.faults.http_proxy import HttpProxy
from tests.faults.kit import Rig
from tests.faults.ledger import entries
from tests.faults.publisher import leave

fault, slow = pytest.mark.fault, pytest.mark.slow_fault
every_driver = pytest.mark.parametrize("driver", ["direct", pytest.param("boto3", marks=slow)])


@pytest.mark.parametrize("status", [403, *(pytest.param(status, marks=slow) for status in (401, 404))])
@every_driver
@fault(21, "401, 403 and a missing bucket for every request", "fetching stops at the first; then all is archived")
def test_the_first_refusal_stops_the_fetching(rig: Rig, link: HttpProxy, driver: str, status: int) -> None:
    worker = rig.worker(ARCHIVER_STORE=driver, ARCHIVER_SLOTS="1")
    link.fault = Answer(status)
    rig.emit_many(10)
    worker.wait_for('"not ready"')
    until(lambda: link.hits >= 3, "it looks now and then whether that has been mended")
    assert rig.consumer().delivered.consumer_seq == 1

    link.heal()

    rig.settle()


def rotated(store: S3Server, key: str, secret: str) -> None:
    """Have the running store know these credentials and no others."""
    file = store.home / "s3.json"
    known = json.loads(file.read_text())
    known["identities"][0]["credentials"] = [{"accessKey": key, "secretKey": secret}]
    file.write_text(json.dumps(known))
    os.kill(store.pid, signal.SIGHUP)


def is_refused(rig: Rig) -> bool:
    client = rig.s3
    try:
        client.list_objects_v2(Bucket=rig.store.bucket, MaxKeys=1)
    except ClientError:
        return True
    finally:
        client.close()
    return False


@slow
@pytest.mark.parametrize("driver", ["direct", "boto3"])
@fault(21, "credentials rotated in SeaweedFS; the worker restarted with them", "all is archived, by the new worker")
def test_rotated_credentials_cost_nothing_until_the_worker_gets_them(
    rig: Rig, own_store: S3Server, driver: str
) -> None:
    old = rig.worker(ARCHIVER_STORE=driver)
    rig.emit_many(5)
    until(rig.is_drained, "archived with the old credentials")
    key, secret = "ROTATED7890ABCDEFGHI", "the-secret-that-follows"
    rotated(own_store, key, secret)
    until(lambda: is_refused(rig), "the old credentials refused")
    rig.emit_many(40)
    old.wait_for('"not ready"')
    assert "check the credentials" in old.err.read_text()

    own_store.access_key, own_store.secret_key = key, secret
    rig.worker(ARCHIVER_STORE=driver, AWS_ACCESS_KEY_ID=key, AWS_SECRET_ACCESS_KEY=secret)

    rig.settle()
    rig.stop(old)


@every_driver
@fault(
    21, "credentials rotated in SeaweedFS, then in the worker's credentials file", "the same worker recovers on its own"
)
def test_credentials_rotated_in_a_file_reach_the_worker_that_runs(
    rig: Rig, own_store: S3Server, tmp_path: Path, driver: str
) -> None:
    profile = tmp_path / "credentials"

    def write(key: str, secret: str) -> None:
        profile.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n")

    write(own_store.access_key, own_store.secret_key)
    by_file = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SHARED_CREDENTIALS_FILE": str(profile)}
    worker = rig.worker(ARCHIVER_STORE=driver, **by_file)
    rig.emit_many(5)
    until(rig.is_drained, "archived with the old credentials")
    key, secret = "ROTATED7890ABCDEFGHI", "the-secret-that-follows"
    rotated(own_store, key, secret)
    until(lambda: is_refused(rig), "the old credentials refused")
    rig.emit_many(40)
    worker.wait_for('"not ready"')

    write(key, secret)

    own_store.access_key, own_store.secret_key = key, secret
    rig.settle()
    assert '"works again"' in worker.err.read_text()


@fault(21, "credentials removed from SeaweedFS and restored", "the same worker recovers on its own")
def test_credentials_that_come_back_are_noticed(rig: Rig, own_store: S3Server) -> None:
    worker = rig.worker()
    rotated(own_store, "ROTATED7890ABCDEFGHI", "the-secret-that-follows")
    until(lambda: is_refused(rig), "the credentials refused")
    rig.emit_many(40)
    worker.wait_for('"not ready"')

    rotated(own_store, own_store.access_key, own_store.secret_key)

    rig.settle()


@every_driver
@pytest.mark.parametrize("wrong", [pytest.param("-20m", marks=slow), "+20m"])
@fault(21, "the worker's clock 20 minutes wrong (libfaketime), then right", "no event is late by it; all is archived")
def test_a_wrong_clock_is_waited_out(rig: Rig, tmp_path: Path, driver: str, wrong: str) -> None:
    library = pytest.importorskip("libfaketime", reason="its wheel is for x86-64 alone")
    clock = tmp_path / "clock"
    clock.write_text("+0\n")
    worker = rig.worker(
        ARCHIVER_STORE=driver,
        LD_PRELOAD=str(next(Path(library.__file__).parent.rglob("libfaketime.so.1"))),
        FAKETIME_TIMESTAMP_FILE=str(clock),
        FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
    )
    rig.emit_many(5)
    until(rig.is_drained, "archived by the right time")
    clock.write_text(f"{wrong}\n")
    [late] = entries(1, first=1000)
    rig.emit_many(5)
    rig.emit(late, spool=False)  # within the deadline of 15 minutes, whatever the worker's clock says
    worker.wait_for("RequestTimeTooSkewed")
    assert rig.letters() == []

    leave(rig.spool, late)
    clock.write_text("+0\n")

    rig.settle()
