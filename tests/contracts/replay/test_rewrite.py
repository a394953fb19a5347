"""A rewritten event is the same event elsewhere and at another time: still right, and otherwise as it was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import parse_rfc3339
from contracts.fixtures.generate import payloads
from contracts.replay.events.capture import Capture
from contracts.replay.plan.rewrite import NotRewritable, Rewriting, shift_to, shifted
from contracts.rules.registry import load_contract
from tests.support.payloads import ARCHIVED, PREPARED, SPEC_EXAMPLE, check, event

NOW = datetime(2026, 11, 25, 12, 30, tzinfo=UTC)
EVENTS = payloads(load_contract(PREPARED))
SHIFTS = st.integers(-(10**9), 10**9).map(lambda seconds: timedelta(seconds=seconds))
ROOTS = st.sampled_from(["/srv/staging", "/", "/a b/c'd", "C:\\staging", "/srv/é"])


def is_leap(text: str) -> bool:
    return text[17:19] == "60"


@given(EVENTS, SHIFTS, ROOTS)
def test_a_valid_event_is_valid_when_it_has_been_rewritten(event: dict[str, Any], shift: timedelta, root: str) -> None:
    rewriting = Rewriting(shift, {event["root"]: root}, {event["repo"]: "staging"})
    try:
        changed = rewriting.apply(event)
    except NotRewritable:
        return

    assert not [str(each) for each in check(Capture("", changed).payload).violations]
    assert (changed["root"], changed["repo"]) == (root, "staging")
    untouched = event.keys() - {"occurred_at", "root", "repo", "prepare_command", "session_close"}
    assert {name: changed[name] for name in untouched} == {name: event[name] for name in untouched}


@given(EVENTS)
def test_where_nothing_is_to_be_changed_nothing_is(event: dict[str, Any]) -> None:
    assert Rewriting(timedelta(), {"/nowhere/at/all": "/x"}, {"another-repo-0": "x"}).apply(event) == event


@given(EVENTS.filter(lambda event: not is_leap(event["occurred_at"])), SHIFTS)
def test_moving_an_event_there_and_back_gives_it_back(event: dict[str, Any], shift: timedelta) -> None:
    try:
        there = Rewriting(shift).apply(event)
    except NotRewritable:
        return

    assert Rewriting(-shift).apply(there) == event


@given(st.lists(st.datetimes(datetime(1990, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)), min_size=2))  # noqa: DTZ001
def test_gaps_are_kept_to_the_microsecond_and_nothing_lies_in_the_future(times: list[datetime]) -> None:
    texts = [time.isoformat() for time in times]
    shift = shift_to(NOW, max(times))

    moved = [parse_rfc3339(shifted(text, shift)) for text in texts]

    assert [each - moved[0] for each in moved] == [each - times[0] for each in times]
    assert NOW - timedelta(seconds=2) < max(moved) <= NOW - timedelta(seconds=1)


@pytest.mark.parametrize(
    ("text", "seconds", "expected"),
    [
        ("2026-06-17T09:00:12Z", 48, "2026-06-17T09:01:00Z"),
        ("2026-06-17T09:00:12.123456789Z", 1, "2026-06-17T09:00:13.123456789Z"),
        ("2026-06-17t23:59:59z", 1, "2026-06-18t00:00:00z"),
        ("2026-06-17T23:59:59+02:00", 1, "2026-06-18T00:00:00+02:00"),
        ("2028-02-28T12:00:00-00:00", 86_400, "2028-02-29T12:00:00-00:00"),
        ("2016-12-31T23:59:60Z", 0, "2017-01-01T00:00:00Z"),
        ("2016-12-31T23:59:60.5Z", 1, "2017-01-01T00:00:01.5Z"),
        ("0001-01-01T00:00:01Z", -1, "0001-01-01T00:00:00Z"),
    ],
)
def test_a_time_moves_by_whole_seconds_and_keeps_its_spelling(text: str, seconds: int, expected: str) -> None:
    assert shifted(text, timedelta(seconds=seconds)) == expected


@pytest.mark.parametrize(
    ("text", "seconds"), [("0000-01-01T00:00:00Z", 1), ("0001-01-01T00:00:00Z", -1), ("9999-12-31T23:59:59Z", 1)]
)
def test_a_time_that_would_leave_the_calendar_is_refused(text: str, seconds: int) -> None:
    with pytest.raises(NotRewritable, match="cannot be moved"):
        shifted(text, timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("root", "roots", "expected"),
    [
        ("/home/w/kit", {"/home/w/kit": "/srv/kit"}, "/srv/kit"),
        ("/home/w/kit", {"/home/w": "/srv"}, "/srv/kit"),
        ("/home/w/kit", {"/home": "/a", "/home/w": "/b"}, "/b/kit"),
        ("/home/w/kit", {"/home/w/ki": "/srv"}, "/home/w/kit"),
        ("/home/w/kit", {"/": "/srv"}, "/srv/home/w/kit"),
        ("/home/w/kit", {"/home/w": "/"}, "/kit"),
        ("/", {"/": "/srv"}, "/srv"),
        ("/home/w/kit", {"/home/w": "C:\\w"}, "C:\\w\\kit"),
        ("C:\\w\\kit", {"C:\\w": "/home/w"}, "/home/w/kit"),
        ("C:\\w\\kit", {"C:\\": "D:\\x"}, "D:\\x\\w\\kit"),
    ],
)
def test_a_root_is_mapped_with_all_that_is_below_it(root: str, roots: dict[str, str], expected: str) -> None:
    assert Rewriting(roots=roots).apply(event(root=root))["root"] == expected


def test_the_commands_name_the_new_root_and_keep_their_placeholders() -> None:
    root = "/home/w/kit"
    before = event(
        root=root,
        prepare_command=f"kaizen-agentic schedule prepare coach --target={root}",
        session_close=[
            "kaizen-agentic metrics record coach --time <s> --quality <0-1>",
            f"kaizen-agentic close coach --log '{root}/.kaizen/coach log' --result <ok|failed>",
            f"kaizen-agentic close coach --log {root}-other/log",
        ],
    )
    assert not check(before).violations

    after = Rewriting(roots={root: "/srv/my kit"}).apply(before)

    assert not check(after).violations
    assert after["prepare_command"] == "kaizen-agentic schedule prepare coach '--target=/srv/my kit'"
    assert after["session_close"] == [
        "kaizen-agentic metrics record coach --time <s> --quality <0-1>",
        "kaizen-agentic close coach --log '/srv/my kit/.kaizen/coach log' --result <ok|failed>",
        f"kaizen-agentic close coach --log {root}-other/log",
    ]


@pytest.mark.parametrize("field", ["root", "repo", "occurred_at", "prepare_command", "session_close"])
@pytest.mark.parametrize("value", [None, 17, ["a"], "", "kaizen-agentic 'unbalanced", {}])
def test_what_is_not_as_its_contract_says_is_left_as_it_is(field: str, value: Any) -> None:
    broken = event() | {field: value}
    rewriting = Rewriting(timedelta(seconds=5), {SPEC_EXAMPLE["root"]: "/srv/x"}, {SPEC_EXAMPLE["repo"]: "x"})

    assert rewriting.apply(broken)[field] == value
    assert "prepare_command" not in rewriting.apply({k: v for k, v in broken.items() if k != "prepare_command"})


def test_an_event_that_names_another_by_its_key_is_not_rewritten() -> None:
    with pytest.raises(NotRewritable, match=r"only kaizen\.schedule\.prepared"):
        Rewriting().apply({"event": ARCHIVED.partition("@")[0]})
