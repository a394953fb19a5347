"""Messages go out at their moments, however long each takes."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.replay.send.pacer import Pacer


class Clock:
    """Time that passes only when somebody waits, or sends."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


def went_out(due: list[float], takes: list[float]) -> tuple[list[float], Pacer]:
    """Send at `due` with sends that take `takes`; return when each went out, from the start."""
    clock = Clock()
    pacer = Pacer(clock, clock.sleep)
    moments = []

    async def send() -> None:
        for due_s, takes_s in zip(due, takes, strict=True):
            await pacer.until(due_s)
            moments.append(clock.now - 1000.0)
            pacer.went_out()
            clock.now += takes_s

    asyncio.run(send())
    return moments, pacer


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 3)), min_size=1, max_size=30))
def test_a_message_never_goes_early_and_is_late_only_because_the_one_before_was(
    sent: list[tuple[float, float]],
) -> None:
    due = sorted(each for each, _ in sent)
    takes = [each for _, each in sent]
    moments, pacer = went_out(due, takes)
    free = 0.0
    for due_s, takes_s, at in zip(due, takes, moments, strict=True):
        assert at == pytest.approx(max(due_s - due[0], free))
        free = at + takes_s
    gaps = [later - at for at, later in itertools.pairwise(moments)]
    assert pacer.longest_gap_s == pytest.approx(max(gaps, default=0.0))


@given(st.floats(50, 1000), st.floats(0, 0.9))
def test_at_a_rate_the_number_sent_is_within_two_percent_however_long_a_send_takes(per_s: float, busy: float) -> None:
    count = int(5 * per_s)
    moments, _ = went_out([number / per_s for number in range(count)], [busy / per_s] * count)
    assert count / (moments[-1] + 1 / per_s) == pytest.approx(per_s, rel=0.02)


def test_one_long_stall_is_caught_up_with_and_is_the_longest_gap() -> None:
    moments, pacer = went_out(
        [number / 100 for number in range(200)], [0.5 if number == 50 else 0 for number in range(200)]
    )
    assert moments[-1] == pytest.approx(1.99)
    assert pacer.longest_gap_s == pytest.approx(0.5)
