"""A replayed event has a header from `contracts replay`. Any publisher can set it; do not rely on it for security."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING

from contracts.toolkit import REPLAY

if TYPE_CHECKING:
    from archiver.core.values import Message

_PLAIN = re.compile("[A-Za-z0-9_-]{1,64}")


def run_of(message: Message) -> str | None:
    """Return the id of the run that sent a message once more; None where it is no replay.

    An id is at most 64 letters, digits, - and _, which can stand in a key, a header and a log; any other text is
    known by its SHA-256.
    """
    said = message.headers.get(REPLAY)
    if said is None or _PLAIN.fullmatch(said):
        return said
    return sha256(said.encode("utf-8", "surrogatepass")).hexdigest()
