"""The identity of an event: one digest, independent of key order and white space."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
# Where Python's encoder, which is several times as fast, may differ from RFC 8785: numbers with a fraction, an
# exponent or 16 digits, and from the surrogates on, where the order of code points is not that of UTF-16. A text that
# looks like such a number only costs time.
_LARGE_OR_BROKEN = re.compile(r"[\[:,]-?(?:[0-9]{16}|[0-9]++[.e])[0-9.e+-]*+[\],}]")
_BEYOND = re.compile("[\ud800-\U0010ffff]")


def canonical_json(payload: Mapping[str, Any]) -> bytes:
    """Serialise to the RFC 8785 canonical form (JCS), UTF-8.

    `payload` has passed `parse_payload`, whose number and Unicode rules are those that RFC 8785 needs.
    """
    try:
        text = _ENCODER.encode(payload)
    except (TypeError, ValueError):
        pass
    else:
        if not _LARGE_OR_BROKEN.search(text) and (text.isascii() or not _BEYOND.search(text)):
            return text.encode()
    import rfc8785  # noqa: PLC0415 - 22 ms that nearly no event needs

    return rfc8785.dumps(dict(payload))


def event_key(payload: Mapping[str, Any]) -> str:
    """Return the identity of an event, 64 hex characters; also its Nats-Msg-Id.

    Source: contract.toml, decision "identity".
    """
    return sha256(canonical_json(payload)).hexdigest()
