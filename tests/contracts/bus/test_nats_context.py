"""Settings of NATS from variables and from contexts of the `nats` command: which one counts, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from contracts.bus.access import NatsAccess
from contracts.errors import BadInput


class Home:
    """A configuration folder of the `nats` command."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "nats" / "context").mkdir(parents=True)

    def context(self, name: str, **settings: Any) -> None:
        empty: dict[str, Any] = dict.fromkeys(("description", "url", "socks_proxy", "token", "user", "nsc"), "")
        (self.folder / "nats" / "context" / f"{name}.json").write_text(json.dumps(empty | settings))

    def select(self, name: str) -> None:
        (self.folder / "nats" / "context.txt").write_text(f"{name}\n")

    def access(self, url: str | None = None, **environ: str) -> NatsAccess | None:
        return NatsAccess.from_environment({"XDG_CONFIG_HOME": str(self.folder), **environ}, url=url)

    def refusal(self, url: str | None = None, **environ: str) -> str:
        with pytest.raises(BadInput) as caught:
            self.access(url, **environ)
        return str(caught.value)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_a_context_is_read_by_name_with_everything_that_it_sets(home: Home, tmp_path: Path) -> None:
    for name in ("a.creds", "cert.pem", "key.pem", "ca.pem"):
        (tmp_path / name).touch()
    home.context(
        "prod",
        url="nats://bus.prod:4333,nats://bus2.prod",
        creds="$DIR/a.creds",
        cert="~/cert.pem",
        key=str(tmp_path / "key.pem"),
        ca=str(tmp_path / "ca.pem"),
        inbox_prefix="_INBOX_me",
        tls_first=True,
        color_scheme="teal",
    )

    read = home.access(NATS_CONTEXT="prod", DIR=str(tmp_path), HOME=str(tmp_path))

    assert read is not None
    assert read.place == "nats://bus.prod:4333,nats://bus2.prod:4222"
    assert (read.creds_file, read.ca_file) == (tmp_path / "a.creds", tmp_path / "ca.pem")
    assert (read.inbox_prefix, read.tls_first) == ("_INBOX_me", True)
    assert read.key_file == tmp_path / "key.pem"


@pytest.mark.parametrize(
    ("settings", "environ", "url", "login"),
    [
        ({"user": "u", "password": "p"}, {}, None, {"user": "u", "password": "p"}),
        ({"token": "t"}, {}, None, {"token": "t"}),
        ({"user": "u", "password": "p", "token": "t"}, {}, None, {"user": "u", "password": "p"}),
        ({"url": "nats://me:x@ctx:1", "token": "t"}, {}, None, {"user": "me", "password": "x"}),
        (
            {"user": "u", "password": "p"},
            {"NATS_USER": "v", "NATS_PASSWORD": "q"},
            None,
            {"user": "v", "password": "q"},
        ),
        ({"user": "u", "password": "p"}, {"NATS_TOKEN": "t"}, None, {"token": "t"}),
        ({"user": "u", "password": "p"}, {"NATS_URL": "nats://a:b@own:1"}, None, {"user": "a", "password": "b"}),
        ({"user": "u", "password": "p"}, {}, "nats://a:b@own:1", {"user": "a", "password": "b"}),
        ({"user": "u", "password": "p"}, {}, "nats://own:1", {"user": "u", "password": "p"}),
        ({}, {"NATS_USER": "v", "NATS_PASSWORD": "h/@:?#% x"}, None, {"user": "v", "password": "h/@:?#% x"}),
    ],
)
def test_what_the_caller_gives_counts_before_the_context(
    settings: dict[str, str], environ: dict[str, str], url: str | None, login: dict[str, str], home: Home
) -> None:
    home.context("c", **{"url": "nats://ctx:1", **settings})

    read = home.access(url, NATS_CONTEXT="c", **environ)

    assert read is not None
    assert read.login()[1] == login
    assert read.place == ("nats://own:1" if url or "NATS_URL" in environ else "nats://ctx:1")


def test_the_selected_context_counts_only_where_no_server_is_named(home: Home) -> None:
    home.context("chosen", url="nats://ctx:1", user="u", password="p")
    home.select("chosen")

    selected, own, flag = home.access(), home.access(NATS_URL="nats://own:1"), home.access("nats://flag:1")

    assert selected is not None
    assert own is not None
    assert flag is not None
    assert (selected.place, own.place, flag.place) == ("nats://ctx:1", "nats://own:1", "nats://flag:1")
    assert own.login()[1] == flag.login()[1] == {}, "a password went to a server that it is not for"


@pytest.mark.parametrize("url", ["nats:///kaizen.schedule.prepared", "nats:///", "tls:///x"])
def test_a_url_without_a_host_stands_for_the_server_of_the_environment(url: str, home: Home) -> None:
    home.context("c", url="nats://ctx:1", token="t")

    for environ in ({"NATS_CONTEXT": "c"}, {"NATS_URL": "nats://t@ctx:1"}):
        read = home.access(url, **environ)
        assert read is not None
        assert (read.place, read.login()[1]) == ("nats://ctx:1", {"token": "t"})
    assert home.access(url) is None


def test_a_context_that_names_no_server_means_this_machine(home: Home) -> None:
    home.context("local", token="t")
    read = home.access(NATS_CONTEXT="local")
    assert read is not None
    assert read.place == "nats://127.0.0.1:4222"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("prud", "no NATS context 'prud'"),
        ("prud", "did you mean 'prod'?"),
        ("../prod", "cannot be the name of a NATS context"),
        ("a/b", "cannot be the name of a NATS context"),
        ("broken", "is not JSON"),
        ("list", "is not a JSON object"),
        ("number", "user is not text"),
        ("socks", "sets socks_proxy, which is not supported"),
        ("jetstream", "sets jetstream_api_prefix, jetstream_domain, which is not supported"),
        ("new", "sets shiny, which is not supported"),
        ("gone", "creds in the NATS context 'gone' names /nowhere/x.creds, which is not a file"),
        ("inbox", "inbox_prefix in the NATS context 'inbox': 'a.>' cannot begin a subject"),
    ],
)
def test_a_context_that_cannot_be_used_is_refused_with_the_reason(name: str, says: str, home: Home) -> None:
    home.context("prod")
    for broken, text in (("broken", "{"), ("list", "[]")):
        (home.folder / "nats" / "context" / f"{broken}.json").write_text(text)
    home.context("number", user=5)
    home.context("socks", socks_proxy="socks5://127.0.0.1:1080")
    home.context("jetstream", jetstream_domain="hub", jetstream_api_prefix="$JS.hub.API")
    home.context("new", shiny=True)
    home.context("gone", creds="/nowhere/x.creds")
    home.context("inbox", inbox_prefix="a.>")

    assert says in home.refusal(NATS_CONTEXT=name)


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("NATS_URL", "nats://bus:4222\n", "NATS_URL ends with a line break"),
        ("NATS_URL", " nats://bus:4222", "NATS_URL starts with a space"),
        ("NATS_URL", "nats://bus:4222\r\n", "NATS_URL ends with a line break"),
        ("NATS_URL", "nats://bu\ns:4222", "NATS_URL has a control character in it"),
        ("NATS_URL", "ws://bus:8080", "NATS_URL is a WebSocket URL, which is not supported"),
        ("NATS_URL", "wss://hunter2@bus", "NATS_URL is a WebSocket URL, which is not supported"),
        ("NATS_URL", "http://bus:4222", "NATS_URL names no server"),
        ("NATS_URL", "nats://", "NATS_URL names no server"),
        ("NATS_URL", "nats:///x", "NATS_URL names no server"),
        ("NATS_URL", "nats://bus:hunter2", "NATS_URL names no server"),
        ("NATS_URL", "nats://bus:0", "NATS_URL names no server"),
        ("NATS_URL", "nats://bus:99999", "NATS_URL names no server"),
        ("NATS_URL", "nats://me:hunter2/x@bus:4222", "NATS_URL has an '@' behind its first host"),
        ("NATS_URL", "nats://me:12/hunter2@bus:4222", "NATS_URL has an '@' behind its first host"),
        ("NATS_URL", "nats://me:12#hunter2@bus:4222", "NATS_URL has an '@' behind its first host"),
        ("NATS_URL", "nats://me:12?hunter2@bus:4222", "NATS_URL has an '@' behind its first host"),
        ("NATS_URL", "nats://me:12,hunter2@bus:4222", "NATS_URL has an '@' behind its first host"),
        ("NATS_URL", "nats://me:hunter2,12@bus:4222", "NATS_URL names no server"),
        ("NATS_PASSWORD", "hunter2\n", "NATS_PASSWORD ends with a line break"),
        ("NATS_CREDS", "/nowhere", "NATS_CREDS names /nowhere, which is not a file"),
        ("NATS_CERT", __file__, "NATS_CERT and NATS_KEY go together"),
        ("NATS_KEY", __file__, "NATS_CERT and NATS_KEY go together"),
        ("NATS_KEY", "/nowhere", "NATS_CERT and NATS_KEY go together"),
        ("NATS_INBOX_PREFIX", "a b", "NATS_INBOX_PREFIX: 'a b' cannot begin a subject"),
        ("NATS_INBOX_PREFIX", "me.", "NATS_INBOX_PREFIX: 'me.' cannot begin a subject"),
        ("NATS_TLS_FIRST", "maybe", "NATS_TLS_FIRST: found 'maybe', expected true or false"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named_without_its_secrets(
    variable: str, value: str, says: str, home: Home
) -> None:
    told = home.refusal(**{"NATS_URL": "nats://bus", variable: value})
    assert says in told
    assert "hunter2" not in told


def test_a_password_may_end_with_a_space(home: Home) -> None:
    read = home.access(NATS_URL="nats://bus", NATS_USER="u", NATS_PASSWORD="open sesame ")
    assert read is not None
    assert read.login()[1]["password"] == "open sesame "


def test_a_password_is_not_in_what_is_shown_of_an_access(home: Home) -> None:
    read = home.access(
        NATS_URL="nats://me:hunter2@[::1]:4222", NATS_USER="u", NATS_PASSWORD="hunter3", NATS_TOKEN="hunter4"
    )
    assert read is not None
    assert read.place == "nats://[::1]:4222"
    assert "hunter" not in repr(read) + str(read)
