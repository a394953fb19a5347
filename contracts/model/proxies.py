"""Which proxy the environment names for a URL: one reading of HTTP(S)_PROXY, ALL_PROXY and NO_PROXY for all paths.

No library at hand reads all of NO_PROXY: urllib's `proxy_bypass` knows neither networks nor IPv6 in brackets, and
botocore takes its answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Final
from urllib.parse import unquote, urlsplit

from contracts.errors import BadInput

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_ENTRY: Final = re.compile(r"(?P<bracketed>\[[^]]*\]|[^\[\]:]*)(?::(?P<port>\d+))?")


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy and the variable that names it. `url` may hold a password: show `place` instead."""

    url: str = field(repr=False)
    variable: str

    @property
    def place(self) -> str:
        """The URL as scheme, host and port, without a login."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

    @property
    def login(self) -> str | None:
        """User and password as `user:password`, decoded; None where the URL has none."""
        parts = urlsplit(self.url)
        if parts.username is None:
            return None
        return f"{unquote(parts.username)}:{unquote(parts.password or '')}"

    def __str__(self) -> str:
        return f"the proxy {self.place} ({self.variable})"


def proxy_for(url: str, environ: Mapping[str, str]) -> Proxy | None:
    """Return the proxy through which the environment wants `url` to be reached; None for none.

    Of a variable in lower and in upper case the former counts, also where it is empty: that switches a proxy off. A
    proxy without a scheme is taken for `http://`.

    Raises:
        BadInput: the proxy that applies is no `http://` or `https://` URL with a host.
    """
    parts = urlsplit(url)
    host, scheme = (parts.hostname or "").rstrip("."), parts.scheme.lower()
    for name in (f"{scheme}_proxy", "all_proxy"):
        variable = name if name in environ else name.upper()
        value = environ.get(variable, "").strip()
        if name in environ and not value:
            return None
        if value:
            if _is_excepted(host, parts.port or _DEFAULT_PORTS.get(scheme), _no_proxy(environ)):
                return None
            return Proxy(_usable(variable, value), variable)
    return None


def _no_proxy(environ: Mapping[str, str]) -> Iterator[str]:
    return filter(None, re.split(r"[\s,]+", environ.get("no_proxy", environ.get("NO_PROXY", "")).lower()))


def _is_excepted(host: str, port: int | None, exceptions: Iterator[str]) -> bool:
    """Whether an exception applies: `*`, a name and all below it, an address, a network; each but `*` with a port."""
    return any(entry == "*" or _holds(entry, host.lower(), port) for entry in exceptions)


def _holds(entry: str, host: str, port: int | None) -> bool:
    if _is_in_network(entry, host):
        return True
    found = _ENTRY.fullmatch(entry)
    if found is None or (found["port"] and int(found["port"]) != port):
        return False
    name = found["bracketed"].strip("[]").removeprefix("*").strip(".")
    if _is_address(host):
        return _is_in_network(name, host)
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _is_address(host: str) -> bool:
    return _is_in_network(host, host)


def _is_in_network(network: str, host: str) -> bool:
    """Return whether a host that is an address is in a network; no name is resolved."""
    try:
        return ip_address(host.partition("%")[0]) in ip_network(network.partition("%")[0], strict=False)
    except ValueError:
        return False


def _usable(variable: str, value: str) -> str:
    url = value if "://" in value else f"http://{value}"
    expected = "expected http://host:port, with user:password before an @ where it asks for them"
    try:
        parts = urlsplit(url)
        names_a_host = bool(parts.hostname) and parts.port != 0 and url.isprintable() and " " not in url
    except ValueError:
        raise BadInput(f"{variable} names no proxy; {expected}") from None
    if not names_a_host:
        raise BadInput(f"{variable} names no proxy; {expected}")
    if parts.scheme.lower() not in _DEFAULT_PORTS:
        raise BadInput(f"{variable} names a proxy of kind {parts.scheme}://, which is not supported; {expected}")
    return url
