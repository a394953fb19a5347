"""Logging in to NATS: user, password or token in the URL, a seed or creds file, TLS with one's own authority."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from contracts.bus.access import NatsAccess
from contracts.bus.connection import describe_server
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


def logs_in(url: str, **files: Path | str) -> bool:
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


LEFT_BY: dict[str, Callable[[str], bytes]] = {
    "Windows": lambda text: text.replace("\n", "\r\n").encode(),
    "a BOM": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "an indentation": lambda text: "".join(f"    {line}\n" for line in text.splitlines()).encode(),
    "spaces at the end": lambda text: text.replace("\n", "  \n").encode(),
    "empty lines": lambda text: text.replace("\n", "\n\n").encode(),
    "no last line break": lambda text: text.strip().encode(),
    "text around": lambda text: f"keep this safe\n{text}\nthe end".encode(),
}


@pytest.mark.parametrize("editor", LEFT_BY)
def test_a_creds_file_is_read_as_editors_leave_it(editor: str, tmp_path: Path) -> None:
    settings, creds = operator_mode()
    (tmp_path / "a.creds").write_bytes(LEFT_BY[editor](creds))
    with Bus(tmp_path / "server", **settings) as server:
        assert logs_in(server.url, creds=tmp_path / "a.creds")


@pytest.mark.parametrize("editor", LEFT_BY)
def test_a_seed_file_is_read_as_editors_leave_it(editor: str, tmp_path: Path) -> None:
    key = user_key()
    (tmp_path / "seed").write_bytes(LEFT_BY[editor](f"{key.seed}\n"))
    with Bus(tmp_path / "server", authorization={"users": [{"nkey": key.public}]}) as server:
        assert logs_in(server.url, nkey_file=tmp_path / "seed")


@pytest.mark.parametrize("name", ["creds", "nkey_file", "ca"])
def test_a_file_that_may_not_be_read_is_named(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    monkeypatch.setattr("ssl.create_default_context", refuse)  # root may read everything
    with pytest.raises(BadInput, match=f"cannot read {tmp_path}/file: Permission denied"):
        logs_in("nats://127.0.0.1:4", **{name: tmp_path / "file"})


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
        self.tls = {"cert_file": str(home / "cert.pem"), "key_file": str(home / "key.pem")}
        for name, authority in (("ours", ours), ("theirs", other)):
            client = authority.issue_cert("me@example.com")
            client.private_key_pem.write_to_path(home / f"{name}.key")
            client.cert_chain_pems[0].write_to_path(home / f"{name}.cert")
        self.home = home
        self.server = Bus(home / "server", tls=self.tls, authorization={"user": "me", "password": "hunter2"})

    def certificate(self, name: str) -> dict[str, Path]:
        return {"ca": self.authority, "cert": self.home / f"{name}.cert", "key": self.home / f"{name}.key"}


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


@pytest.mark.parametrize("scheme", ["nats", "tls"])
def test_a_server_that_expects_tls_first(scheme: str, secured: Secured, tmp_path: Path) -> None:
    with Bus(tmp_path, tls=secured.tls | {"handshake_first": True}, authorization={"token": "hunter2"}) as server:
        url = f"{scheme}://hunter2@{server.place}"
        assert logs_in(url, ca=secured.authority, tls_first="true")
        with pytest.raises(Unreachable, match="certificate verify failed"):
            logs_in(url, ca=secured.other, tls_first="true")
        with pytest.raises(Unreachable, match="NATS_TLS_FIRST=true"):
            logs_in(url, ca=secured.authority)


def test_tls_first_towards_a_server_without_it_is_refused_in_time(secured: Secured, tmp_path: Path) -> None:
    with Bus(tmp_path, authorization={"token": "hunter2"}) as plain, pytest.raises(Unreachable):
        logs_in(f"nats://hunter2@{plain.place}", ca=secured.authority, tls_first="true")


def test_a_server_that_asks_for_a_certificate_of_ours(secured: Secured, tmp_path: Path) -> None:
    tls = secured.tls | {"ca_file": str(secured.authority), "verify_and_map": True}
    users = [{"user": "me@example.com"}]
    with Bus(tmp_path, tls=tls, authorization={"users": users}) as server:
        assert logs_in(f"tls://{server.place}", **secured.certificate("ours"))
        with pytest.raises(Unreachable, match="NATS_CERT and NATS_KEY"):
            logs_in(f"tls://{server.place}", ca=secured.authority)
        with pytest.raises(Unreachable):
            logs_in(f"tls://{server.place}", **secured.certificate("theirs"))


def test_a_key_of_another_certificate_is_named(secured: Secured) -> None:
    files = secured.certificate("ours") | {"key": secured.home / "theirs.key"}
    with pytest.raises(BadInput, match=r"theirs\.key: they do not belong together"):
        logs_in("tls://127.0.0.1:4", **files)
    with pytest.raises(BadInput, match="expected PEM"):
        logs_in("tls://127.0.0.1:4", **(files | {"key": secured.authority}))


def test_a_user_who_may_listen_only_below_an_inbox_prefix(tmp_path: Path) -> None:
    user = {"user": "me", "password": "hunter2", "permissions": {"subscribe": ["x", "_INBOX_me.>"]}}
    jetstream = {"store_dir": str(tmp_path / "jetstream")}
    with Bus(tmp_path / "server", authorization={"users": [user]}, jetstream=jetstream) as server:
        url = f"nats://me:hunter2@{server.place}"
        found = {prefix: described(url, prefix) for prefix in ("_INBOX_me", "_INBOX")}
    assert any("kept by no stream" in line for line in found["_INBOX_me"])
    assert any("NATS_INBOX_PREFIX" in line for line in found["_INBOX"])


def described(url: str, prefix: str) -> list[str]:
    access = NatsAccess.from_environment({"NATS_INBOX_PREFIX": prefix}, url=url)
    assert access is not None
    return asyncio.run(describe_server(access, ["x"]))
