"""How long to wait before a message is delivered again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from archiver.core.outcome import Cause


@dataclass(frozen=True, slots=True)
class Backoff:
    """Doubles from `first_s` with each delivery, up to `longest_s`, in seconds."""

    first_s: float
    longest_s: float

    def delay_s(self, deliveries: int, chance: float) -> float:
        """Return the delay after the given number of deliveries (from 1).

        `chance` in [0, 1) spreads it over its upper half, so that messages that failed together do not
        come back together.
        """
        whole = min(self.first_s * 2.0 ** min(deliveries - 1, 30), self.longest_s)
        return whole * (0.5 + chance / 2)


BUNDLE: Final = Backoff(first_s=2, longest_s=60)
"""Between two attempts to find a bundle; see `bundle_wait.py`, which adds these delays up."""
BACKOFF: Final = {
    # The emitter publishes after it has left the bundle, so a missing one is on its way or lost.
    Cause.BUNDLE_NOT_THERE: BUNDLE,
    Cause.BUNDLE_CHANGED: BUNDLE,
    Cause.BUNDLE_UNREADABLE: BUNDLE,
    Cause.SOURCE_UNAVAILABLE: Backoff(first_s=5, longest_s=60),
    # While this lasts the breaker keeps messages in the stream, so few of them ever reach the longest wait.
    Cause.STORE_UNAVAILABLE: Backoff(first_s=5, longest_s=300),
    Cause.STORE_REFUSES: Backoff(first_s=5, longest_s=60),
    Cause.BUS_UNAVAILABLE: Backoff(first_s=2, longest_s=60),
    # Nothing changes before somebody has looked.
    Cause.OBJECT_DAMAGED: Backoff(first_s=60, longest_s=300),
    Cause.DEFECT: Backoff(first_s=300, longest_s=300),
}
"""By cause: give it time, and retry within five minutes of its end."""
PROBE: Final = Backoff(first_s=1, longest_s=30)
"""Between two probes of the store."""
