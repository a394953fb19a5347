"""How long to wait before a message is delivered again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


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


INFRASTRUCTURE: Final = Backoff(first_s=5, longest_s=300)
"""The store or the bus failed: give it time, and look again within five minutes of its return."""
BUNDLE_NOT_THERE: Final = Backoff(first_s=2, longest_s=60)
"""The emitter publishes after it has spooled, so a bundle that is not there is on its way or lost."""
