"""Waiting grows with each delivery, has an end, and is spread."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.core.backoff import BACKOFF, PROBE, Backoff
from archiver.core.outcome import Cause

DELIVERIES = st.integers(1, 10**9)
CHANCES = st.floats(0, 1, exclude_max=True)
BACKOFFS = st.builds(Backoff, first_s=st.floats(0.1, 10), longest_s=st.floats(10, 3600))


@given(BACKOFFS, DELIVERIES, CHANCES)
def test_a_delay_lies_in_the_upper_half_of_its_step(backoff: Backoff, deliveries: int, chance: float) -> None:
    whole = min(backoff.first_s * 2 ** min(deliveries - 1, 30), backoff.longest_s)

    assert whole / 2 <= backoff.delay_s(deliveries, chance) <= whole


@given(BACKOFFS, DELIVERIES, CHANCES)
def test_a_later_delivery_never_waits_less_at_the_same_chance(backoff: Backoff, deliveries: int, chance: float) -> None:
    assert backoff.delay_s(deliveries + 1, chance) >= backoff.delay_s(deliveries, chance)


@given(BACKOFFS, DELIVERIES, CHANCES, CHANCES)
def test_messages_that_failed_together_come_back_apart(
    backoff: Backoff, deliveries: int, one: float, other: float
) -> None:
    later, sooner = max(one, other), min(one, other)

    assert backoff.delay_s(deliveries, later) >= backoff.delay_s(deliveries, sooner)
    assert backoff.delay_s(deliveries, 0.75) > backoff.delay_s(deliveries, 0.25)


@pytest.mark.parametrize(
    ("backoff", "delays"),
    [
        (BACKOFF[Cause.STORE_UNAVAILABLE], [5, 10, 20, 40, 80, 160, 300, 300]),
        (BACKOFF[Cause.STORE_REFUSES], [5, 10, 20, 40, 60, 60, 60, 60]),
        (BACKOFF[Cause.BUS_UNAVAILABLE], [2, 4, 8, 16, 32, 60, 60, 60]),
        (BACKOFF[Cause.BUNDLE_NOT_THERE], [2, 4, 8, 16, 32, 60, 60, 60]),
        (BACKOFF[Cause.OBJECT_DAMAGED], [60, 120, 240, 300, 300, 300, 300, 300]),
        (BACKOFF[Cause.DEFECT], [300] * 8),
        (PROBE, [1, 2, 4, 8, 16, 30, 30, 30]),
    ],
    ids=["store unavailable", "refuses", "bus", "bundle", "damaged", "defect", "probe"],
)
def test_delays_double_up_to_their_limit(backoff: Backoff, delays: list[float]) -> None:
    almost_one = 1 - 2**-53

    assert [backoff.delay_s(count, almost_one) for count in range(1, 9)] == pytest.approx(delays)
    assert [backoff.delay_s(count, 0.0) for count in range(1, 9)] == [delay / 2 for delay in delays]
    assert backoff.delay_s(10**6, 0.0) == delays[-1] / 2


def test_every_cause_of_a_retry_has_its_wait() -> None:
    assert set(BACKOFF) == set(Cause)
