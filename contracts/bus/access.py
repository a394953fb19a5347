"""Where NATS is and how to log in: from the environment, without the driver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from contracts.errors import BadInput


@dataclass(frozen=True, slots=True)
class NatsAccess:
    """Where NATS is and how to log in: user, password or token in the URL, or a file.

    `url` may name several servers of one cluster, with commas between; all take the login of the first. It may
    hold a password: show `place` instead.
    """

    url: str = field(repr=False)
    creds_file: Path | None = None
    nkey_seed_file: Path | None = None
    ca_file: Path | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], *, url: str | None = None) -> NatsAccess | None:
        """Read NATS_URL, NATS_CREDS, NATS_NKEY_FILE and NATS_CA; None where there is no URL at all."""
        url = url or environ.get("NATS_URL")
        if not url:
            return None
        if not all(map(_names_a_server, url.split(","))):
            raise BadInput(
                "the NATS URL names no server; expected nats://[user:password@]host:port, several with commas"
            )
        paths = {name: Path(environ[name]) for name in ("NATS_CREDS", "NATS_NKEY_FILE", "NATS_CA") if environ.get(name)}
        for name, path in paths.items():
            if not path.is_file():
                raise BadInput(f"{name} names {path}, which is not a file")
        return cls(url, paths.get("NATS_CREDS"), paths.get("NATS_NKEY_FILE"), paths.get("NATS_CA"))

    @property
    def place(self) -> str:
        """The URL without user, password or token."""
        servers = map(_parts, self.url.split(","))
        return ",".join(f"{each.scheme}://{each.hostname or ''}:{each.port or 4222}" for each in servers)

    def login(self) -> tuple[list[str], dict[str, Any]]:
        """Return the servers' URLs, and user and password, or a token, under the names that nats-py gives them.

        Split off here, since nats-py would take them as they are, %40 for an @ included.
        """
        each = [_parts(server) for server in self.url.split(",")]
        servers = [urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) for parts in each]
        first = each[0]
        if first.username is None:
            return servers, {}
        if first.password is None:
            return servers, {"token": unquote(first.username)}
        return servers, {"user": unquote(first.username), "password": unquote(first.password)}


def _parts(url: str) -> SplitResult:
    url = url.strip()
    return urlsplit(url if "://" in url else f"nats://{url}")  # a bare host:port is fine with nats-py


def _names_a_server(url: str) -> bool:
    try:
        parts = _parts(url)
        return parts.scheme in {"nats", "tls", "ws", "wss"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        return False
