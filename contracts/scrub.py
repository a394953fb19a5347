"""Take out of a payload what the boundary forbids, and say where: a recording is copied as widely as an event."""

from __future__ import annotations

import re
from typing import Any, Final

from contracts.secrets import has_url_credentials, secret_kind
from contracts.violation import pointer

PLACEHOLDER: Final = "<secret>"
"""What stands where a secret was; the checks take an angle bracket for a placeholder."""

_USERINFO = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,30}://)[^\s/?#@]+@")
# A quoted text, a name up to what joins it to its value, or a run of anything else.
_WORD = re.compile(r"\"[^\"]*\"|'[^']*'|[^\s\"'=:]+[=:]|[^\s\"']+")
_REST = re.compile(r"[^\s\"']*")

Removed = tuple[str, str]
"""Pointer of the string that was changed, and the rule that it would have broken."""


def scrub(payload: Any) -> tuple[Any, list[Removed]]:
    """Return the payload without secrets and URL credentials, and what was taken out of where.

    A secret becomes `<secret>`, the user part of a URL goes. Keys are scrubbed like values.
    """
    removed: list[Removed] = []
    return _scrubbed(payload, "", removed), removed


def scrub_text(text: str) -> tuple[str, list[str]]:
    """Return a text without secrets and URL credentials, and the rules that it would have broken."""
    rules = []
    if has_url_credentials(text):
        rules.append("boundary/url-credentials")
        while has_url_credentials(text):  # `//a@b@host` has two
            text = _USERINFO.sub(r"\1", text)
    if secret_kind(text):
        rules.append("boundary/secret")
        text = _without_secret(text)
    return text, rules


def scrub_named(name: str, value: str) -> tuple[str, list[str]]:
    """Scrub a value whose name may be all that gives it away: `X-Api-Key: 4711abcd`."""
    text, rules = scrub_text(value)
    if not rules and secret_kind(f"{name}: {value}"):
        return PLACEHOLDER, ["boundary/secret"]
    return text, rules


def _scrubbed(value: Any, place: str, removed: list[Removed], name: str = "") -> Any:
    if isinstance(value, str):
        text, rules = scrub_named(name, value) if name else scrub_text(value)
        removed += [(place, rule) for rule in rules]
        return text
    if isinstance(value, dict):
        kept = {}
        for key, item in value.items():
            shown, rules = scrub_text(key)
            here = place + pointer(shown)
            removed += [(here, rule) for rule in rules]
            kept[shown] = _scrubbed(item, here, removed, key)
        return kept
    if isinstance(value, list):
        return [_scrubbed(item, f"{place}/{index}", removed, name) for index, item in enumerate(value)]
    return value


def _without_secret(text: str) -> str:
    """Replace each word with which the text, read from its start, turns into one that holds a secret."""
    if "PRIVATE KEY" in text or "PuTTY" in text or len(text.splitlines()) > 1:
        return PLACEHOLDER  # what marks such a key is not the key
    at = 0
    while word := _WORD.search(text, at):
        at = word.end()
        if secret_kind(text[:at]):
            quote = word.group()[0] if word.group()[0] in "\"'" else ""
            before = text[: word.start()] + quote + PLACEHOLDER + quote
            after = _REST.match(text, at)
            text, at = before + text[after.end() if after else at :], len(before)
    return PLACEHOLDER if secret_kind(text) else text
