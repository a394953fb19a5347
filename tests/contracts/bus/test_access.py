"""Logging in to NATS: user, password or token in the URL, a seed or creds file, TLS with one's own authority."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from contracts.bus.access import NatsAccess
from contracts.errors import BadInput, Unreachable
from contracts.observe.nats_subject import Watch, observe_subject
from tests.support.bus import Bus
from tests.support.credentials import operator_mode, user_key
from tests.support.servers import require_binary

PASSWORD = "hunter2/p@ss:w%rd"
QUOTED = "hunter2%2Fp%40ss%3Aw%25rd"


@pytest.fixture(autouse=True)
def _needs_a_server() -> None:
    require_binary(Bus.binary)


def logs_in(url: str, **files: Path) -> bool:
    """Watch a subject for a moment: True where the server let us, False where it refused; anything else escapes."""
    watch = Watch("x", timeout_s=0.1)
    environment = {f"NATS_{name.upper()}": str(path) for name, path in files.items()}
    access = NatsAccess.from_environment(environment, url=url)
    assert access is not None
    try:
        (silence,) = observe_subject(access, watch, None).violations
    except Unreachable as refused:
        # Which of the two is a race between what the server says and its end of the connection.
        if "Authorization Violation" not in refused.why and "where credentials are wrong" not in refused.why:
            raise
        return "hunter2" in str(refused)  # would be shown, and then every test that wants a refusal fails
    assert silence.rule == "emitter/nothing"
    return True


@pytest.mark.parametrize(
    ("authorization", "right", "wrong"),
    [
        ({"user": "me", "password": "hunter2"}, "me:hunter2@", ["", "me:hunter22@", "you:hunter2@", "hunter2@"]),
        ({"user": "me", "password": PASSWORD}, f"me:{QUOTED}@", ["me:hunter2@"]),
        ({"token": "hunter2"}, "hunter2@", ["", "hunter22@"]),
        ({"token": PASSWORD}, f"{QUOTED}@", ["hunter2@"]),
    ],
    ids=["user and password", "password with special letters", "token", "token with special letters"],
)
def test_credentials_in_the_url(authorization: dict[str, str], right: str, wrong: list[str], tmp_path: Path) -> None:
    with Bus(tmp_path, authorization=authorization) as server:
        assert logs_in(f"nats://{right}{server.place}")
        assert not any(logs_in(f"nats://{each}{server.place}") for each in wrong)


def test_a_seed_file(tmp_path: Path) -> None:
    right, wrong = user_key(), user_key()
    (tmp_path / "right").write_text(f"{right.seed}\n")
    (tmp_path / "wrong").write_text(wrong.seed)
    with Bus(tmp_path / "server", authorization={"users": [{"nkey": right.public}]}) as server:
        assert logs_in(server.url, nkey_file=tmp_path / "right")
        assert not logs_in(server.url, nkey_file=tmp_path / "wrong")
        assert not logs_in(server.url)


def test_a_creds_file(tmp_path: Path) -> None:
    settings, creds = operator_mode()
    (tmp_path / "right").write_text(creds)
    (tmp_path / "wrong").write_text(operator_mode()[1])
    with Bus(tmp_path / "server", **settings) as server:
        assert logs_in(server.url, creds=tmp_path / "right")
        assert not logs_in(server.url, creds=tmp_path / "wrong")
        assert not logs_in(server.url)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", ["creds", "nkey_file", "ca"])
@pytest.mark.parametrize("content", ["", "hunter2", "-----BEGIN NATS USER JWT-----\n", "\x00\xff"])
def test_a_file_of_another_kind_is_named_and_not_shown(name: str, content: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text(content, "latin-1")
    login = {"user": "me", "password": "x"}
    with Bus(tmp_path / "server", authorization=login) as server, pytest.raises(BadInput) as told:
        logs_in(server.url, **{name: path})
    assert str(path) in str(told.value)
    assert "hunter2" not in str(told.value)


@pytest.mark.parametrize("name", ["NATS_CREDS", "NATS_NKEY_FILE", "NATS_CA"])
def test_a_file_that_is_not_there_is_named_with_its_variable(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=f"{name} names {tmp_path}, which is not a file"):
        NatsAccess.from_environment({name: str(tmp_path), "NATS_URL": "nats://127.0.0.1:1"})


class Secured:
    """A server with TLS, the authority behind its certificate, and another authority."""

    def __init__(self, home: Path) -> None:
        ours, other = trustme.CA(), trustme.CA()
        home.mkdir()
        self.authority, self.other = home / "ca.pem", home / "other.pem"
        ours.cert_pem.write_to_path(self.authority)
        other.cert_pem.write_to_path(self.other)
        certificate = ours.issue_cert("127.0.0.1")
        certificate.private_key_pem.write_to_path(home / "key.pem")
        with (home / "cert.pem").open("wb") as file:
            file.writelines(blob.bytes() for blob in certificate.cert_chain_pems)
        tls = {"cert_file": str(home / "cert.pem"), "key_file": str(home / "key.pem")}
        self.server = Bus(home / "server", tls=tls, authorization={"user": "me", "password": "hunter2"})


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    require_binary(Bus.binary)
    made = Secured(tmp_path_factory.mktemp("tls") / "home")
    with made.server:
        yield made


@pytest.mark.parametrize("scheme", ["nats", "tls"])
def test_tls_with_an_authority_of_ones_own(scheme: str, secured: Secured) -> None:
    assert logs_in(f"{scheme}://me:hunter2@{secured.server.place}", ca=secured.authority)
    assert not logs_in(f"{scheme}://me:wrong@{secured.server.place}", ca=secured.authority)


@pytest.mark.parametrize("scheme", ["nats", "tls"])
@pytest.mark.parametrize("files", ["other", None], ids=["another authority", "the system's authorities"])
def test_a_certificate_of_an_authority_that_is_not_trusted_is_refused(
    scheme: str, files: str | None, secured: Secured
) -> None:
    trusted: dict[str, Any] = {"ca": getattr(secured, files)} if files else {}
    with pytest.raises(Unreachable, match="certificate verify failed"):
        logs_in(f"{scheme}://me:hunter2@{secured.server.place}", **trusted)


def test_a_certificate_for_another_host_is_refused(secured: Secured) -> None:
    with pytest.raises(Unreachable, match="certificate is not valid for 'localhost'"):
        logs_in(f"tls://me:hunter2@localhost:{secured.server.port}", ca=secured.authority)


@pytest.mark.parametrize("how", ["tls://", "nats:// with an authority"])
def test_a_password_is_not_sent_in_the_clear_where_tls_was_asked_for(
    how: str, secured: Secured, tmp_path: Path
) -> None:
    with Bus(tmp_path, authorization={"user": "me", "password": "hunter2"}, trace=True, debug=True) as plain:
        scheme = "tls" if how == "tls://" else "nats"
        with pytest.raises(Unreachable, match="TLS"):
            logs_in(f"{scheme}://me:hunter2@{plain.place}", ca=secured.authority)
        assert "CONNECT" not in plain.log.read_text()


def test_a_subject_that_may_not_be_read_is_no_silent_emitter(tmp_path: Path) -> None:
    user = {"user": "me", "password": "hunter2", "permissions": {"subscribe": ["allowed.>", "_INBOX.>"]}}
    with Bus(tmp_path, authorization={"users": [user]}) as server:
        access = NatsAccess(f"nats://me:hunter2@{server.place}")
        with pytest.raises(Unreachable, match=r"(?i)permissions violation for subscription to .*forbidden"):
            observe_subject(access, Watch("forbidden", timeout_s=5), lambda: pytest.fail("it was triggered in vain"))
        assert observe_subject(access, Watch("allowed.x", timeout_s=0.1), None).violations[0].rule == "emitter/nothing"
