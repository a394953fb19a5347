"""In an outage nothing is fetched; a probe, and then one message, decide when it is over."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.core.breaker import FAILURES_IN_A_ROW, Breaker, State
from archiver.core.outcome import Ack, Cause, Dead, DeadReason, Outcome, Retry

WORKED = Ack("key", "refs/key", "blobs/key", 1)
FAILED = Retry(5, Cause.STORE_UNAVAILABLE, "503 SlowDown")
NOT_ANNOUNCED = Retry(5, Cause.BUS_UNAVAILABLE, "no answer in time")
REFUSED = Retry(5, Cause.STORE_REFUSES, "403 AccessDenied")
ASKED = [Retry(2, Cause.BUNDLE_NOT_THERE, "not there"), Dead(DeadReason.BUNDLE_MISSING, "never came")]
NOT_ASKED = [
    Dead(DeadReason.NOT_JSON, "cut short"),
    Dead(DeadReason.CONTRACT_BROKEN, "cadence"),
    Dead(DeadReason.BUNDLE_REFUSED, "a link"),
    Retry(60, Cause.OBJECT_DAMAGED, "its reference is none"),
    Retry(300, Cause.DEFECT, "ZeroDivisionError()"),
]
OUTCOMES = [WORKED, FAILED, NOT_ANNOUNCED, REFUSED, *ASKED, *NOT_ASKED]


def after(*outcomes: Outcome) -> Breaker:
    breaker = Breaker()
    for outcome in outcomes:
        breaker.note(outcome)
    return breaker


@pytest.mark.parametrize("failed", [FAILED, NOT_ANNOUNCED], ids=["store", "bus"])
def test_failures_in_a_row_open_it_and_one_success_between_starts_the_count_again(failed: Retry) -> None:
    almost = [failed] * (FAILURES_IN_A_ROW - 1)

    assert after(*almost).state is State.CLOSED
    assert after(*almost, WORKED, *almost).state is State.CLOSED
    assert after(*almost, failed).state is State.OPEN
    assert after(*almost, failed).allows(16) == 0


def test_a_refusal_opens_it_at_once() -> None:
    assert after(REFUSED).state is State.OPEN


@pytest.mark.parametrize("outcome", NOT_ASKED, ids=str)
def test_one_messages_own_trouble_says_nothing_of_the_store(outcome: Outcome) -> None:
    assert after(*[outcome] * 100).state is State.CLOSED
    assert after(*[FAILED] * (FAILURES_IN_A_ROW - 1), outcome, FAILED).state is State.OPEN
    half_open = after(REFUSED)
    half_open.probed(answered=True)
    half_open.note(outcome)
    assert half_open.state is State.HALF_OPEN


@pytest.mark.parametrize("outcome", [WORKED, *ASKED], ids=str)
def test_after_a_probe_that_is_answered_one_message_is_tried_and_closes_it(outcome: Outcome) -> None:
    breaker = after(REFUSED)
    breaker.probed(answered=False)
    assert breaker.allows(16) == 0
    breaker.probed(answered=True)
    assert breaker.allows(16) == 1
    breaker.note(outcome)
    assert breaker.allows(16) == 16


def test_a_message_that_fails_after_the_probe_opens_it_again_for_longer() -> None:
    breaker = after(REFUSED)
    first = breaker.probe_after_s(0)
    breaker.probed(answered=True)
    breaker.note(FAILED)

    assert breaker.state is State.OPEN
    assert breaker.probe_after_s(0) == 2 * first


def test_what_was_in_hand_when_it_opened_does_not_close_it_nor_make_the_wait_longer() -> None:
    breaker = after(REFUSED)
    wait_s = breaker.probe_after_s(0)
    for outcome in OUTCOMES:
        breaker.note(outcome)

    assert breaker.state is State.OPEN
    assert breaker.probe_after_s(0) == wait_s


def test_it_looks_again_within_half_a_minute_however_long_it_lasts() -> None:
    breaker = after(REFUSED)
    for _ in range(100):
        breaker.probed(answered=False)

    assert 15 <= breaker.probe_after_s(0) <= breaker.probe_after_s(0.999) <= 30


@given(st.lists(st.sampled_from([*OUTCOMES, True, False])), st.integers(1, 256))
def test_once_the_trouble_is_over_a_probe_and_a_success_always_give_all_slots_back(
    history: list[Outcome | bool], slots: int
) -> None:
    breaker = Breaker()
    for step in history:
        if not isinstance(step, bool):
            breaker.note(step)
        elif breaker.state is State.OPEN:
            breaker.probed(answered=step)

    if breaker.state is State.OPEN:
        breaker.probed(answered=True)
    breaker.note(WORKED)

    assert breaker.allows(slots) == slots
