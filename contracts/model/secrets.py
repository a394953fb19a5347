"""Could this string hold a secret? Named detectors of detect-secrets behind a cheap first look.

The threat: an event is copied to every subscriber, archive and dashboard, so a credential that reaches one
has to be rotated. Entropy detectors are left out: they take digests and paths for secrets
(Yelp/detect-secrets#693), and a gate that cries wolf is switched off.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Protocol

# A name that promises a secret. What follows decides, in _ASSIGNED.
_NAMES = (
    r"password|passwd|passphrase|pwd|secret|token|credentials?"
    r"|api[_-]?key|access[_-]?key|private[_-]?key|auth[_-]?key"
)

# `--password hunter2`, `TOKEN=abc`, `api_key: abc`: such a name and a literal value behind it.
# A placeholder (<token>), a variable ($TOKEN, ${TOKEN}, %TOKEN%) or a mask (***) is how it is done right.
_ASSIGNED = re.compile(
    rf"(?i)(?:{_NAMES})[\"']?(?P<separator>\s*[:=]\s*|\s+)[\"']?"
    r"(?![<$%*{-]|\.\.\.|(?:none|null|true|false)\b)[^\s\"'<>]{4,}"
)
# Without the header's name, "a basic introduction" is prose: a token has a digit, or the padding of base 64.
_AUTHORIZATION = re.compile(
    r"(?i)(?:authorization[\"']?\s*:\s*[\"']?(?:bearer|basic)\s+|\b(?:bearer|basic)\s+(?=[^\s\"']*[0-9=]))"
    r"(?![<$%*{])[A-Za-z0-9+/=._~-]{8,}"
)
# `ssh://git@host` names an account that everybody knows; ssh takes no password from there.
_URL_CREDENTIALS = re.compile(r"(?<![A-Za-z0-9+.-])(?!(?i:git\+)?(?i:ssh)://[^\s/?#@:]+@)[A-Za-z0-9+.-]+://[^\s/?#@]+@")

# A long word that is not all lower case. The look-behind starts each word once: hostile input costs linear time.
_LONG_TOKEN = re.compile(r"(?<![A-Za-z0-9_-])(?=[a-z_-]*[0-9A-Z])[A-Za-z0-9_-]{20}")
_ARTIFACTORY = re.compile(r"AP[0-9A-F][A-Za-z0-9]{8}")
# Everything that a named detector matches contains one of these; tests/contracts/model/test_secrets.py holds an example
# of each detector against it. Without one, the 0.3 s import of detect-secrets and its 0.5 ms per string are saved.
_DETECTABLE = re.compile(
    rf"{_LONG_TOKEN.pattern}|{_ARTIFACTORY.pattern}|AKC[A-Za-z0-9]{{10}}"
    r"|eyJ|(?i:xox[abposr]-)|PRIVATE KEY|PuTTY-User|AccountKey=|sq0csp-"
    r"|(?i:aws|cloudant|softlayer|hooks\.slack\.com)"
    r"|(?i:key|pwd|pw|pass|password|token)[\"'\]]*\s*(?:[:=]|=>|\s[A-Za-z0-9]{20})"
)

# The look taken at every payload: substrings are ten times as fast as one regex of them all. What any expression
# above needs is here: one of the words, an Artifactory token, or a word as long as a token.
_WORDS = (
    *("pass", "pw", "secret", "token", "credential", "key", "bearer", "basic"),
    *("eyj", "xox", "akc", "hooks.slack", "putty", "aws", "cloudant", "softlayer", "sq0csp"),
)
_LOOKALIKES = {"\u0130": "i", "\u0131": "i", "\u017f": "s", "\u212a": "k"}  # what `(?i)` takes for an ASCII letter
_SHAPE = bytes(ord("w" if chr(octet).isalnum() or chr(octet) in "_-" else " ") for octet in range(128)) + b" " * 128
_PIECE = 1024  # characters; no named detector needs more than 200 to see its secret


class _Detector(Protocol):  # the part of detect_secrets.plugins.base.BasePlugin that is used here
    secret_type: str

    def analyze_string(self, string: str) -> Iterable[str]: ...


def is_suspicious(text: str) -> bool:
    """Take the cheap first look: False means that `secret_kind` finds nothing in the text, True that it might."""
    folded = _folded(text)
    for word in _WORDS:  # a generator in `any` would cost more than what it looks for
        if word in folded:
            return True
    has_long_word = b"w" * 20 in text.encode("ascii", "replace").translate(_SHAPE)
    return (has_long_word and _LONG_TOKEN.search(text) is not None) or (
        "AP" in text and _ARTIFACTORY.search(text) is not None
    )


def _folded(text: str) -> str:
    if not text.isascii():
        for letter, plain in _LOOKALIKES.items():
            text = text.replace(letter, plain)
    return text.lower()


def has_url_credentials(text: str) -> bool:
    """Say whether the text holds a URL with a user part (`scheme://user:password@host`, `scheme://token@host`)."""
    return "@" in text and _URL_CREDENTIALS.search(text) is not None


@lru_cache(maxsize=1024)
def secret_kind(text: str) -> str | None:
    """Name the kind of secret that the text seems to hold, or None.

    Source: event spec, Boundary: "never secrets"; the named detectors of detect-secrets 1.5.
    """
    if not is_suspicious(text):
        return None
    if _AUTHORIZATION.search(text):
        return "Authorization Header"
    if any(_is_assignment(match) for match in _ASSIGNED.finditer(text)):
        return "Secret Keyword"
    if _DETECTABLE.search(text):
        pieces = tuple(_pieces(text))
        for detector in _detectors():
            if any(True for piece in pieces for _ in detector.analyze_string(piece)):
                return detector.secret_type
    return None


def mask(text: str) -> str:
    """Replace the credentials of URLs, Authorization headers and `--token abc` or `TOKEN=abc` in a command by ***.

    Cheap, for what names a run: a source, a command that reproduces it. A payload's values are for `may_be_secret`.
    """
    text = _URL_CREDENTIALS.sub(lambda match: match[0][: match[0].index("//") + 2] + "***@", text)
    text = _AUTHORIZATION.sub(lambda match: match[0].split()[0] + " ***", text)
    return _ASSIGNED.sub(lambda match: _masked(match) if _is_assignment(match) else match[0], text)


def _masked(match: re.Match[str]) -> str:
    return match[0][: match.end("separator") - match.start()] + "***"


def may_be_secret(text: str) -> bool:
    """Say whether a value must not be shown in any report."""
    return has_url_credentials(text) or secret_kind(text) is not None


def _pieces(text: str) -> Iterator[str]:
    """Cut into lines and long lines into overlapping pieces: some detectors take time in the square of the length."""
    for line in text.splitlines():
        for start in range(0, max(1, len(line) - _PIECE // 2), _PIECE // 2):
            yield line[start : start + _PIECE]


def _is_assignment(match: re.Match[str]) -> bool:
    """Tell `--db-token abc` and `token=abc` from prose such as "a token bucket"."""
    if match["separator"].strip():
        return True
    word = match.string[max(0, match.start() - 64) : match.start()].rsplit(None, 1)
    before = match.string[max(0, match.start() - 1) : match.start()]
    return not before.isspace() and bool(word) and word[-1].startswith("-")


@lru_cache(maxsize=1)
def _detectors() -> tuple[_Detector, ...]:
    from detect_secrets.core.plugins.util import (  # noqa: PLC0415 - 0.3 s, only on suspicion
        get_mapping_from_secret_type_to_class,
    )

    left_out = {
        "Base64 High Entropy String",
        "Hex High Entropy String",
        "Secret Keyword",  # made for source code: takes `password = os.environ` for one; _ASSIGNED is ours
        "Public IP (ipv4)",  # an address is no secret
        "NPM tokens",  # `_authToken=` is an assignment; its expression takes time in the cube of the length
        "Basic Auth Credentials",  # the rule boundary/url-credentials says it better
    }
    classes: Mapping[str, type[_Detector]] = get_mapping_from_secret_type_to_class()
    chosen = [classes[name] for name in sorted(classes) if name not in left_out]
    return tuple(detector() for detector in chosen)
