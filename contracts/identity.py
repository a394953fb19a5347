"""The identity of an event: one digest, whatever the order of its keys or the white space between them."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any


def canonical_json(payload: Mapping[str, Any]) -> bytes:
    """Serialise to the RFC 8785 canonical form (JCS), UTF-8.

    `payload` has passed `parse_payload`, whose number and Unicode rules are those that RFC 8785 needs.
    """
    import rfc8785  # noqa: PLC0415 - 22 ms that `contracts check` on a broken payload does not need

    return rfc8785.dumps(dict(payload))


def event_key(payload: Mapping[str, Any]) -> str:
    """Return the identity of an event, 64 hex characters; also its Nats-Msg-Id.

    Source: contract.toml, decision "identity".
    """
    return sha256(canonical_json(payload)).hexdigest()
