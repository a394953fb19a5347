"""Could this string hold a secret? A cheap check that every text gets, before the patterns of `secret_finder`.

The threat: an event is copied to every subscriber, archive and dashboard, so a credential that reaches one has to be
rotated.
"""

from __future__ import annotations

import re
from functools import lru_cache

from contracts.model.url_credentials import URL_CREDENTIALS

# A long word that is not all lower case. The look-behind starts each word once: hostile input costs linear time.
_LONG_TOKEN = re.compile(r"(?<![A-Za-z0-9_-])(?=[a-z_-]*[0-9A-Z])[A-Za-z0-9_-]{20}")
# Every text gets this check, and substrings are ten times as fast as one regex of them all. What any expression above
# needs is here: one of the words, or a word as long as a token.
_WORDS = (
    *(
        "pass",
        "pw",
        "secret",
        "token",
        "cred",
        "key",
        "bearer",
        "basic",
        "auth",
        "jwt",
        "dsn",
        "-pat",
        "_pat",
        "sas",
        "conn",
    ),
    *("cookie", "sig=", "ature=", "session=", "curl", "wget", " -p", "redis", "hook"),
)
_LOOKALIKES = {"\u0130": "i", "\u0131": "i", "\u017f": "s", "\u212a": "k"}  # what `(?i)` takes for an ASCII letter
_SHAPE = bytes(ord("w" if chr(octet).isalnum() or chr(octet) in "_-" else " ") for octet in range(128)) + b" " * 128


def is_suspicious(text: str) -> bool:
    """Check cheaply: False means that `secret_kind` finds nothing in the text, True that it might."""
    folded = _folded(text)
    for word in _WORDS:  # a generator in `any` would cost more than the search
        if word in folded:
            return True
    if folded[:2] == "-p":
        return True
    has_long_word = b"w" * 20 in text.encode("ascii", "replace").translate(_SHAPE)
    return has_long_word and _LONG_TOKEN.search(text) is not None


def _folded(text: str) -> str:
    if not text.isascii():
        for letter, plain in _LOOKALIKES.items():
            text = text.replace(letter, plain)
    return text.lower()


def has_url_credentials(text: str) -> bool:
    """Return whether the text holds a URL with a user part (`scheme://user:password@host`, `scheme://token@host`)."""
    return "@" in text and URL_CREDENTIALS.search(text) is not None


@lru_cache(maxsize=1024)
def secret_kind(text: str) -> str | None:
    """Name the kind of secret that the text seems to hold, or None.

    Source: event spec, Boundary: "never secrets".
    """
    if not is_suspicious(text):
        return None
    from contracts.model.secret_finder import secrets_in  # noqa: PLC0415 - compiled on suspicion only

    return next((secret.kind for secret in secrets_in(text)), None)


def may_be_secret(text: str) -> bool:
    """Return whether a value must not be shown in any report."""
    return has_url_credentials(text) or secret_kind(text) is not None


@lru_cache(maxsize=1024)
def names_secret(name: str) -> bool:
    """Say whether the name promises a secret: `DB_PASS`, `--api-key`, `clientSecret`; not `token_file` or `tokens`."""
    if not is_suspicious(name):
        return False
    from contracts.model.secret_finder import is_telling  # noqa: PLC0415 - compiled on suspicion only

    return is_telling(name)


def mask(text: str, mark: str = "***") -> str:
    """Replace each secret and the user part of each URL by a mark; the rest of the text stays."""
    if not (is_suspicious(text) or "@" in text):
        return text
    from contracts.model.secret_finder import secrets_in  # noqa: PLC0415 - compiled on suspicion only

    found = [(each.start, each.end) for each in secrets_in(text)]
    found += [match.span("value") for match in URL_CREDENTIALS.finditer(text)]
    parts: list[str] = []
    at = 0
    for start, end in sorted(found):
        if start >= at:
            parts += text[at:start], mark
        at = max(at, end)
    return "".join((*parts, text[at:]))
