"""The wait for a bundle is a function of the delivery count, so that time in which nobody looked is not in it."""

from __future__ import annotations

from itertools import count, pairwise

from hypothesis import given
from hypothesis import strategies as st

from archiver.core.bundle_wait import bundle_wait

KEYS = st.binary(min_size=32, max_size=32).map(bytes.hex)


@given(KEYS, st.floats(0.1, 3600))
def test_the_delays_add_up_to_the_deadline_and_the_last_look_is_at_it(key: str, deadline_s: float) -> None:
    waited_s = 0.0
    for look in count(1):
        wait = bundle_wait(key, look, deadline_s)
        assert abs(wait.looked_s - waited_s) < 1e-6
        if wait.is_over:
            break
        assert 0 < wait.next_s <= 60
        waited_s += wait.next_s
    assert abs(waited_s - deadline_s) < 1e-6


@given(KEYS)
def test_delays_grow_from_seconds_to_a_minute_and_differ_from_event_to_event(key: str) -> None:
    delays = [bundle_wait(key, look, 1e9).next_s for look in range(1, 12)]

    assert 1 <= delays[0] <= 2
    assert 30 <= delays[-1] <= 60
    assert all(later > earlier / 2 for earlier, later in pairwise(delays))
    assert delays != [bundle_wait(key + "x", look, 1e9).next_s for look in range(1, 12)]


@given(KEYS, st.integers(1, 10_000))
def test_a_deadline_of_zero_is_over_at_the_first_look_and_a_late_one_stays_over(key: str, deliveries: int) -> None:
    assert bundle_wait(key, deliveries, 0).is_over
    assert bundle_wait(key, deliveries + 1000, 900).is_over
