"""Every path to the store trusts the same authorities, whichever way they are named, and refuses the same."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import trustme
from click.testing import CliRunner

from archiver.cli import archiver
from archiver.core.errors import StoreRefuses
from archiver.dev_servers import S3Server
from archiver.settings import load_settings
from archiver.stores.s3.access import S3Access
from archiver.stores.s3.boto3_store import Boto3Store
from archiver.stores.s3.control import BucketControl
from archiver.stores.s3.direct import DirectStore
from tests.faults.http_proxy import HttpProxy
from tests.support.drivers import opened

LOOPBACK = "127.0.0.1"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the authority as a file, and as OpenSSL looks for it in a directory."""
    home = tmp_path_factory.mktemp("authority")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(home / "ca.pem")
    authority.issue_cert(LOOPBACK).private_key_and_cert_chain_pem.write_to_path(home / "server.pem")
    trustme.CA().cert_pem.write_to_path(home / "other.pem")
    (home / "folder").mkdir()
    hashed = subprocess.run(
        ["openssl", "x509", "-subject_hash", "-noout", "-in", home / "ca.pem"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    (home / "folder" / f"{hashed}.0").write_bytes((home / "ca.pem").read_bytes())
    return home


@pytest.fixture
def environment(
    monkeypatch: pytest.MonkeyPatch, s3_server: S3Server, authority: Path
) -> Iterator[Callable[..., S3Access]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "server.pem")
    with HttpProxy(s3_server.port, tls=context) as proxy:

        def given(**variables: Path) -> S3Access:
            known = {
                "ARCHIVER_BUCKET": s3_server.bucket,
                "AWS_ENDPOINT_URL_S3": f"https://{LOOPBACK}:{proxy.port}",
                "AWS_ACCESS_KEY_ID": s3_server.access_key,
                "AWS_SECRET_ACCESS_KEY": s3_server.secret_key,
                "NATS_URL": "nats://127.0.0.1:1",
            }
            for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
                monkeypatch.delenv(name, raising=False)
            for name, value in {**known, **variables}.items():
                monkeypatch.setenv(name, str(value))
            return load_settings().s3

        yield given


def paths_to(access: S3Access) -> dict[str, Callable[[], object]]:
    async def check(driver: type) -> None:
        async with opened(driver, access) as store:
            await store.check()

    def control() -> None:
        with closing(BucketControl(access)) as opened_control:
            opened_control.versioning()

    return {
        "direct": lambda: asyncio.run(check(DirectStore)),
        "boto3": lambda: asyncio.run(check(Boto3Store)),
        "control": control,
    }


# What is set -> whether the store is trusted.
WAYS = {
    "AWS_CA_BUNDLE": ({"AWS_CA_BUNDLE": "ca.pem"}, True),
    "SSL_CERT_FILE": ({"SSL_CERT_FILE": "ca.pem"}, True),
    "SSL_CERT_DIR": ({"SSL_CERT_DIR": "folder"}, True),
    "SSL_CERT_DIR beside a file": ({"SSL_CERT_DIR": "folder", "SSL_CERT_FILE": "other.pem"}, True),
    "the bundle alone counts": ({"AWS_CA_BUNDLE": "other.pem", "SSL_CERT_FILE": "ca.pem"}, False),
    "another authority": ({"SSL_CERT_FILE": "other.pem", "SSL_CERT_DIR": "."}, False),
    "the system's": ({}, False),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_path_trusts_and_refuses_the_same(
    environment: Callable[..., S3Access], authority: Path, way: str
) -> None:
    names, is_trusted = WAYS[way]
    access = environment(**{name: authority / file for name, file in names.items()})

    for name, connect in paths_to(access).items():
        if is_trusted:
            connect()
        else:
            with pytest.raises(StoreRefuses, match="AWS_CA_BUNDLE names the authority"):
                connect()
            assert name


@pytest.mark.parametrize("driver", ["direct", "boto3"])
@pytest.mark.parametrize(
    "verb", [["ls"], ["verify"], ["events"], ["get", "ab" * 32], ["gc"], ["doctor"]], ids=lambda each: each[0]
)
def test_every_verb_trusts_what_the_environment_names(
    environment: Callable[..., S3Access], authority: Path, monkeypatch: pytest.MonkeyPatch, verb: list[str], driver: str
) -> None:
    monkeypatch.setenv("ARCHIVER_STORE", driver)
    environment(SSL_CERT_FILE=authority / "ca.pem")
    trusted = CliRunner().invoke(archiver, verb)
    environment(SSL_CERT_FILE=authority / "other.pem")
    refused = CliRunner().invoke(archiver, verb)

    assert "certificate" not in f"{trusted.output}{trusted.exception}".lower()
    assert "certificate" in f"{refused.output}{refused.exception}".lower()


def test_a_profile_names_the_authority_for_every_path(
    environment: Callable[..., S3Access], authority: Path, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text(f"[default]\nca_bundle = {authority / 'ca.pem'}\n")

    access = environment(AWS_CONFIG_FILE=tmp_path / "config")

    for connect in paths_to(access).values():
        connect()
