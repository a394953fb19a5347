"""What a store was seen to do: the result of the probe. It changes how we write, never whether that is right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

PROBES: Final = "probe/v1/"
"""Where probe objects lie; what a probe may not delete stays there for `archiver gc`."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """One probe of one store.

    `create_only`: a second create-only write of a key fails with 412 (honoured), overwrites (ignored), or the
    store takes no such write at all (refused). `checksum`: a body that does not match its SHA-256 header fails
    (verified), is stored (ignored), or no such header is taken (refused). `read_after_write`: what was just
    written is what is read. `clock_skew_s`: how far the store's clock is ahead of ours in seconds, to within
    one; None where the store sends no time.
    """

    create_only: Literal["honoured", "ignored", "refused"]
    checksum: Literal["verified", "ignored", "refused"]
    read_after_write: bool
    clock_skew_s: float | None
