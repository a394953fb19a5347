"""What a shell, an editor or a secret store leaves around the value of a setting."""

from __future__ import annotations

import re
import unicodedata
from typing import Final
from urllib.parse import urlsplit

_NAMES: Final = {"\n": "a newline", "\r": "a carriage return", "\t": "a tab", " ": "a space"}
_NO_PORT: Final = "has no usable port, which is a number from 1 to 65535"
_HOST: Final = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+(%[A-Za-z0-9]+)?")


def flaw_in(value: str, *, is_ascii: bool = False) -> str | None:
    """Return what is wrong with the text of a value, such as 'ends with a newline'; None where nothing is.

    The value itself is never part of the answer. With `is_ascii` every character has to be ASCII, as in a
    header of HTTP.
    """
    for where, character in (("ends", value[-1:]), ("begins", value[:1])):
        if character.isspace():
            return f"{where} with {_NAMES.get(character, 'white space')}"
    for character in value:
        kind = unicodedata.category(character)
        if kind == "Cs":
            return "holds bytes that are not UTF-8"
        if kind in {"Cc", "Cf", "Zl", "Zp"}:
            return f"holds {_NAMES.get(character, f'the control character U+{ord(character):04X}')}"
        if is_ascii and not character.isascii():
            return "holds a character that is not ASCII"
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return "is in quotes; leave them out"
    return None


def flaw_in_endpoint(url: str) -> str | None:
    """Return why a URL cannot be a store's endpoint; None where it can. The URL is never part of the answer."""
    if flaw := flaw_in(url, is_ascii=True):
        return flaw
    try:
        flaw = _flaw_in_parts(url)
    except ValueError:  # a port that is no number, or half an IPv6 address
        flaw = _NO_PORT
    return f"{flaw}; expected http://host:port or https://host:port" if flaw else None


def _flaw_in_parts(url: str) -> str | None:
    if " " in url:
        return "holds a space"
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not url.lower().startswith(f"{parts.scheme}://"):
        return "begins with neither http:// nor https://"
    if "@" in parts.netloc:
        return "holds a login, which belongs in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    if not parts.hostname or not _HOST.fullmatch(parts.hostname):
        return "names no host"
    if parts.port == 0 or parts.netloc.endswith(":"):
        return _NO_PORT
    return "has more than host and port" if parts.path.strip("/") or parts.query or parts.fragment else None
