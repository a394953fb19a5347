"""How long a bundle is waited for, computed from the delivery count alone.

The deadline counts only time in which a worker looked for the bundle. JetStream counts deliveries, and each delivery
is one look; a message that nobody fetches is not delivered, so an archiver that is down adds nothing. The delay after
each look is derived from the event's key and the number of the look. Any worker, also after a restart, therefore
computes the same sum of delays, and no state is kept anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

from archiver.core.backoff import BUNDLE


@dataclass(frozen=True, slots=True)
class BundleWait:
    """`looked_s` is the time between the first look and this one; `next_s` is the delay until the next one.

    `is_over` is whether the deadline has been reached. All times are seconds.
    """

    looked_s: float
    next_s: float
    is_over: bool


def bundle_wait(key: str, deliveries: int, deadline_s: float) -> BundleWait:
    """Compute the wait for the bundle of the event `key` at its delivery number `deliveries` (from 1).

    The last delay is cut so that the last look is at the deadline.
    """
    looked_s = 0.0
    for look in range(1, deliveries):
        if looked_s >= deadline_s:
            break
        looked_s = min(looked_s + _delay_s(key, look), deadline_s)
    delay_s = _delay_s(key, deliveries)
    if looked_s >= deadline_s:
        return BundleWait(looked_s, delay_s, is_over=True)
    return BundleWait(looked_s, min(delay_s, deadline_s - looked_s), is_over=False)


def _delay_s(key: str, look: int) -> float:
    return BUNDLE.delay_s(look, crc32(f"{key}:{look}".encode()) / 2**32)
