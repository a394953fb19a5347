"""Credentials that run out, are rotated or are refused are renewed, and the same store goes on with them."""

from __future__ import annotations

import asyncio
import io
import json
import shlex
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from archiver.core.errors import StoreRefuses, StoreUnavailable
from archiver.ports import BlobStore
from archiver.stores.s3.access import S3Access
from archiver.stores.s3.aws_chain import AwsChain
from archiver.stores.s3.boto3_store import Boto3Store
from archiver.stores.s3.control import BucketControl
from archiver.stores.s3.credentials import RenewingCredentials, may_be_rejected
from archiver.stores.s3.direct import DirectStore
from archiver.stores.s3.sigv4 import Credentials
from tests.support.drivers import opened
from tests.support.store_calls import create, keys, read
from tests.support.store_calls import replace as replace_object

both_drivers = pytest.mark.parametrize("driver", [DirectStore, Boto3Store])
NOBODY = S3Access(bucket="archive", endpoint_url="http://127.0.0.1:1")

CALLS: dict[str, Callable[[BlobStore], Awaitable[object]]] = {
    "check": lambda store: store.check(),
    "create": lambda store: create(store, "blobs/b.md", b"x"),
    "create from a file": lambda store: create(store, "blobs/b.md", io.BytesIO(b"x" * (3 << 20))),
    "replace": lambda store: replace_object(store, "blobs/a.md", b"y"),
    "read": lambda store: read(store, "blobs/a.md"),
    "holds": lambda store: store.holds("blobs/a.md"),
    "list": lambda store: keys(store, "blobs/"),
    "folder": lambda store: store.folder("blobs/"),
    "delete": lambda store: store.delete("blobs/a.md"),
}


@pytest.fixture
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that the credentials of the default profile are in."""
    path = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
    return path


def write(profile: Path, key_id: str | None, secret: str | None) -> None:
    profile.write_text(f"[default]\naws_access_key_id = {key_id}\naws_secret_access_key = {secret}\n")


def revoked(profile: Path) -> None:
    write(profile, "AKIAOLD", "the-secret-that-was-revoked")


@both_drivers
@pytest.mark.parametrize("call", CALLS)
def test_a_refused_call_is_made_again_with_the_credentials_that_are_there_by_then(
    s3_access: S3Access, profile: Path, driver: type, call: str
) -> None:
    async def steps() -> None:
        async with opened(driver, s3_access) as store:
            await create(store, "blobs/a.md", b"x")
        revoked(profile)
        async with opened(driver, replace(s3_access, access_key_id=None, secret_access_key=None)) as store:
            with pytest.raises(StoreRefuses):
                await store.check()
            write(profile, s3_access.access_key_id, s3_access.secret_access_key)
            await CALLS[call](store)

    asyncio.run(steps())


@both_drivers
def test_a_file_that_is_half_written_is_trouble_that_passes(s3_access: S3Access, profile: Path, driver: type) -> None:
    revoked(profile)

    async def steps() -> None:
        async with opened(driver, replace(s3_access, access_key_id=None, secret_access_key=None)) as store:
            with pytest.raises(StoreRefuses):
                await store.check()
            for half in ("[default]\naws_access_key_id = AKIANEW\n", "[defau", ""):
                profile.write_text(half)  # noqa: ASYNC240
                with pytest.raises(StoreUnavailable, match="no credentials"):
                    await store.check()
            write(profile, s3_access.access_key_id, s3_access.secret_access_key)
            await store.check()

    asyncio.run(steps())


def test_the_control_path_renews_its_credentials_too(s3_access: S3Access, profile: Path) -> None:
    revoked(profile)
    with closing(BucketControl(replace(s3_access, access_key_id=None, secret_access_key=None))) as control:
        with pytest.raises(StoreUnavailable):
            control.versioning()
        write(profile, s3_access.access_key_id, s3_access.secret_access_key)
        control.versioning()


@both_drivers
def test_credentials_of_the_environment_are_tried_once(s3_access: S3Access, driver: type) -> None:
    async def steps() -> None:
        async with opened(driver, replace(s3_access, secret_access_key="wrong")) as store:
            with pytest.raises(StoreRefuses, match="SignatureDoesNotMatch"):
                await store.check()

    asyncio.run(steps())


PROCESS = """
import json, pathlib, sys
count = pathlib.Path(sys.argv[1])
count.write_text(count.read_text() + "x")
print(pathlib.Path(sys.argv[2]).read_text())
"""


@pytest.fixture
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A `credential_process`: the file with what it prints, and the one with an x for each run."""
    told, runs = tmp_path / "told", tmp_path / "runs"
    runs.write_text("")
    (tmp_path / "process.py").write_text(PROCESS)
    command = shlex.join(map(str, [sys.executable, tmp_path / "process.py", runs, told]))
    (tmp_path / "config").write_text(f"[default]\ncredential_process = {command}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    return told, runs


def said(key_id: str, secret: str, *, good_for_s: float | None = None) -> str:
    found = {"Version": 1, "AccessKeyId": key_id, "SecretAccessKey": secret}
    if good_for_s is not None:
        found["Expiration"] = (datetime.now(UTC) + timedelta(seconds=good_for_s)).isoformat()
    return json.dumps(found)


@both_drivers
def test_a_process_is_run_again_when_what_it_said_is_refused(
    s3_access: S3Access, process: tuple[Path, Path], driver: type
) -> None:
    told, _ = process
    told.write_text(said("AKIAOLD", "revoked", good_for_s=3600))

    async def steps() -> None:
        async with opened(driver, replace(s3_access, access_key_id=None, secret_access_key=None)) as store:
            with pytest.raises(StoreRefuses):
                await store.check()
            told.write_text(said(s3_access.access_key_id or "", s3_access.secret_access_key or "", good_for_s=3600))
            await create(store, "blobs/a.md", b"x")

    asyncio.run(steps())


@pytest.mark.parametrize(
    ("good_for_s", "least_s", "most_s"),
    [(None, 300, 300), (3600, 300, 300), (400, 60, 200), (30, 5, 15), (5, 0.5, 2.5)],
)
def test_credentials_are_kept_for_half_of_what_is_left_at_most(
    process: tuple[Path, Path], good_for_s: float | None, least_s: float, most_s: float
) -> None:
    process[0].write_text(said("AKIA", "secret", good_for_s=good_for_s))
    chain = AwsChain(NOBODY)

    assert chain.credentials() == ("AKIA", "secret", None)
    assert least_s <= chain.good_for_s() <= most_s


def test_what_runs_out_is_renewed_before_it_does(process: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    told, runs = process
    told.write_text(said("AKIAONE", "secret", good_for_s=5))
    credentials, now = RenewingCredentials(NOBODY), time.monotonic()
    assert credentials.now is None
    assert credentials.renew() == credentials.now == Credentials("AKIAONE", "secret", None)
    told.write_text(said("AKIATWO", "secret", good_for_s=5))

    monkeypatch.setattr(time, "monotonic", lambda: now + 5)

    assert credentials.now is None
    before = runs.read_text()
    assert credentials.renew().access_key_id == "AKIATWO"
    assert runs.read_text() != before


def test_many_that_are_refused_at_once_run_the_process_once(process: tuple[Path, Path]) -> None:
    told, runs = process
    told.write_text(said("AKIAONE", "secret"))
    credentials, together = RenewingCredentials(NOBODY), threading.Barrier(8)
    used = credentials.renew()
    assert runs.read_text() == "x"

    def refused() -> None:
        together.wait()
        credentials.renew(used)

    threads = [threading.Thread(target=refused) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert len(runs.read_text()) < 5, "each thread that came while one asked takes its answer"


def test_a_newline_in_what_a_process_prints_goes_into_no_header(process: tuple[Path, Path]) -> None:
    process[0].write_text(said("AKIA", "secret\n"))

    with pytest.raises(StoreUnavailable, match=r"the secret from credential_process of profile default .* newline"):
        RenewingCredentials(NOBODY).renew()


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (403, "InvalidAccessKeyId", True),
        (403, "SignatureDoesNotMatch", True),
        (403, "AccessDenied", True),
        (401, None, True),
        (403, None, True),
        (400, "ExpiredToken", True),
        (400, "InvalidToken", True),
        (400, None, True),
        (400, "400", True),
        (400, "BadDigest", False),
        (404, "NoSuchKey", False),
        (503, "SlowDown", False),
        (200, None, False),
    ],
)
def test_which_answers_may_mean_that_the_credentials_are_old(status: int, code: str | None, *, expected: bool) -> None:
    assert may_be_rejected(status, code) is expected
