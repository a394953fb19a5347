"""How to reach NATS: servers, login and TLS, from the environment or a context of the `nats` command; no driver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from contracts.bus.nats_context import read_context, selected_context
from contracts.errors import BadInput

_DEFAULT_URL: Final = "nats://127.0.0.1:4222"  # of a context that names no server, as the `nats` command has it
_VARIABLES: Final[Mapping[str, str]] = {
    "url": "NATS_URL",
    "user": "NATS_USER",
    "password": "NATS_PASSWORD",
    "token": "NATS_TOKEN",
    "creds": "NATS_CREDS",
    "nkey": "NATS_NKEY_FILE",
    "ca": "NATS_CA",
    "cert": "NATS_CERT",
    "key": "NATS_KEY",
    "inbox_prefix": "NATS_INBOX_PREFIX",
    "tls_first": "NATS_TLS_FIRST",
}
_LOGINS: Final = ("user", "creds", "nkey", "token")  # of a context with several, the first counts, as with `nats`
_SECRETS: Final = frozenset({"user", "password", "token"})
_YES: Final = frozenset({"1", "true", "yes", "on"})
_NO: Final = frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class NatsAccess:
    """Where NATS is and how to log in.

    `url` may name several servers of one cluster, with commas between; all take the login of the first. It may
    hold a password: show `place` instead. `tls_first` is for servers that expect TLS before they send anything.
    """

    url: str = field(repr=False)
    creds_file: Path | None = None
    nkey_seed_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    inbox_prefix: str = "_INBOX"
    tls_first: bool = False
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    named_by: str = field(default="", compare=False)
    """What named the server, for people: a variable, a context, or the URL that was given."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], *, url: str | None = None) -> NatsAccess | None:
        """Read the variables NATS_*, and what they leave open from a context of the `nats` command.

        The context is the one that NATS_CONTEXT names; where neither that nor a URL is given, the selected one. A
        `url` without a host, such as `nats:///SUBJECT`, stands for the server of the environment. Returns None
        where nothing names a server.

        Raises:
            BadInput: a value that cannot be used; names its variable, or the key in the context.
        """
        if url is not None and url.startswith(("nats:///", "tls:///")):
            url = None
        given = {key: (name, environ[name]) for key, name in _VARIABLES.items() if environ.get(name)}
        if url:
            given["url"] = ("the NATS URL", url)
        chosen = environ.get("NATS_CONTEXT") or (None if "url" in given else selected_context(environ))
        if chosen:
            given = _with_context(given, chosen, read_context(chosen, environ))
        if "url" not in given:
            return None
        for key, (name, value) in given.items():
            _require_clean(key, name, value)
        _require_servers(*given["url"])
        if ("cert" in given) != ("key" in given):
            raise BadInput("NATS_CERT and NATS_KEY go together; one of them is not set")
        values = {key: value for key, (_, value) in given.items()}
        return cls(
            values["url"],
            creds_file=_file(given, "creds"),
            nkey_seed_file=_file(given, "nkey"),
            ca_file=_file(given, "ca"),
            cert_file=_file(given, "cert"),
            key_file=_file(given, "key"),
            inbox_prefix=_inbox_prefix(*given["inbox_prefix"]) if "inbox_prefix" in given else "_INBOX",
            tls_first=_switch(*given["tls_first"]) if "tls_first" in given else False,
            user=values.get("user"),
            password=values.get("password"),
            token=values.get("token"),
            named_by=given["url"][0],
        )

    @property
    def place(self) -> str:
        """The URL without user, password or token."""
        return ",".join(map(_place, self.url.split(",")))

    def login(self) -> tuple[list[str], dict[str, Any]]:
        """Return the servers' URLs, and user and password, or a token, under the names that nats-py gives them.

        Split off here, since nats-py would take them as they are, %40 for an @ included.
        """
        each = [_parts(server) for server in self.url.split(",")]
        servers = [urlunsplit(_bare(parts)) for parts in each]
        first = each[0]
        if first.username is not None:
            if first.password is None:
                return servers, {"token": unquote(first.username)}
            return servers, {"user": unquote(first.username), "password": unquote(first.password)}
        if self.user is not None:
            return servers, {"user": self.user, "password": self.password or ""}
        return servers, {"token": self.token} if self.token is not None else {}


def _with_context(
    given: dict[str, tuple[str, str]], name: str, settings: Mapping[str, str]
) -> dict[str, tuple[str, str]]:
    """Add what a context sets and the environment does not; of two logins, the environment's counts."""
    found = {key: (f"{key} in the NATS context {name!r}", value) for key, value in settings.items()}
    found.setdefault("url", (f"the NATS context {name!r}", _DEFAULT_URL))
    has_login = "url" in given and _has_login(given["url"][1])
    kept = None if has_login or any(each in given for each in _LOGINS) else next(filter(found.get, _LOGINS), None)
    dropped = {each for each in _LOGINS if each != kept} | (set() if kept == "user" else {"password"})
    return {key: value for key, value in found.items() if key not in dropped} | given


def _has_login(url: str) -> bool:
    return "@" in _parts(url.split(",", maxsplit=1)[0]).netloc


def _require_clean(key: str, name: str, value: str) -> None:
    """Refuse what a shell, an editor or a secret store left around a value; the value itself is never shown."""
    bare = value.strip("\r\n") if key in _SECRETS else value.strip()  # a password may end with a space
    if value != bare:
        kind = "a space" if value.strip(" ") == bare else "a line break"
        raise BadInput(f"{name} {'ends' if value.startswith(bare[:1]) else 'starts'} with {kind}\n  remove it")
    if not value.isprintable():
        raise BadInput(f"{name} has a control character in it, such as a line break\n  remove it")


def _require_servers(name: str, url: str) -> None:
    expected = "expected nats://host:port, with user:password before an @ where it asks for them; several with commas"
    for number, server in enumerate(url.split(",")):
        try:
            parts = _parts(server)
            behind = parts.path + parts.query + parts.fragment
            if "@" in behind or (number and "@" in parts.netloc and not _has_login(url)):
                raise BadInput(
                    f"{name} has an '@' behind its first host; in a user or password, write / ? # @ : , and % "
                    "percent-encoded: %2F for /"
                )
            if parts.scheme in {"ws", "wss"}:
                raise BadInput(
                    f"{name} is a WebSocket URL, which is not supported\n  {expected}, or tls:// in its place"
                )
            if parts.scheme not in {"nats", "tls"} or not parts.hostname or parts.port == 0:
                raise BadInput(f"{name} names no server; {expected}")
        except ValueError:  # a port that is no number, or half an IPv6 address
            raise BadInput(f"{name} names no server; {expected}") from None


def _file(given: Mapping[str, tuple[str, str]], key: str) -> Path | None:
    if key not in given:
        return None
    name, path = given[key]
    if not Path(path).is_file():
        raise BadInput(f"{name} names {path}, which is not a file")
    return Path(path)


def _inbox_prefix(name: str, prefix: str) -> str:
    if not all(prefix.split(".")) or any(each in "*>" or each.isspace() for each in prefix):
        raise BadInput(f"{name}: {prefix!r} cannot begin a subject; expected for example _INBOX_mine")
    return prefix


def _switch(name: str, value: str) -> bool:
    if value.lower() not in _YES | _NO:
        raise BadInput(f"{name}: found {value!r}, expected true or false")
    return value.lower() in _YES


def _place(url: str) -> str:
    parts = _parts(url)
    host = parts.hostname or ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{parts.port or 4222}"


def _parts(url: str) -> SplitResult:
    url = url.strip()
    return urlsplit(url if "://" in url else f"nats://{url}")  # a bare host:port is fine with nats-py


def _bare(parts: SplitResult) -> SplitResult:
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], path="", query="", fragment="")
