"""What may be shown of a URL: scheme, host and port. User, password, path and query may hold credentials."""

from __future__ import annotations

from urllib.parse import urlsplit

from contracts.model.secrets import may_be_secret
from contracts.model.violation import printable

_NO_HOST = "a URL without a host"


def origin(url: str) -> str:
    """Return `scheme://host[:port]` of a URL, and "a URL without a host" where it has none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:  # no port, or half an IPv6 address; the error's text holds what may be a password
        return _NO_HOST
    if not host or has_stray_at(url):
        return _NO_HOST
    host = f"[{host}]" if ":" in host else host
    return printable(f"{parts.scheme}://{host}" + ("" if port is None else f":{port}"))


def endpoint(url: str) -> str:
    """Return what may be shown of an endpoint's URL: origin and path. Other text, such as a file's path, stays."""
    if not url.lower().startswith(("http://", "https://")):
        return url
    place = origin(url)
    if place == _NO_HOST:
        return place
    parts = urlsplit(url)
    path = "/***" if may_be_secret(parts.path) else printable(parts.path)
    return place + path + ("?***" if parts.query else "")


def has_stray_at(url: str) -> bool:
    """Return whether an '@' follows what reads as the host: the host may then be a part of a password.

    `https://user:1/x@host` reads as port 1 of the host `user`. A URL with a login, or without a port, is not that.
    """
    parts = urlsplit(url)
    return "@" not in parts.netloc and ":" in parts.netloc and "@" in url.partition("//")[2]
