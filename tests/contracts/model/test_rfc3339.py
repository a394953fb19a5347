"""`occurred_at` is RFC 3339 exactly: no validator's habits, and every machine's own output."""

from __future__ import annotations

from calendar import isleap
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contracts import KitError, parse_rfc3339
from contracts.model import rfc3339 as timestamps
from contracts.model.rfc3339 import is_rfc3339
from contracts.toolkit import InvalidTimestamp

VALID = {
    "2026-06-17T09:00:12Z": datetime(2026, 6, 17, 9, 0, 12, tzinfo=UTC),
    "2026-06-17t09:00:12z": datetime(2026, 6, 17, 9, 0, 12, tzinfo=UTC),
    "2026-06-17T11:00:12+02:00": datetime(2026, 6, 17, 9, 0, 12, tzinfo=UTC),
    "2026-06-17T00:30:00+05:45": datetime(2026, 6, 16, 18, 45, tzinfo=UTC),
    "2026-06-17T09:00:12-00:00": datetime(2026, 6, 17, 9, 0, 12, tzinfo=UTC),
    "2026-06-17T09:00:12.5Z": datetime(2026, 6, 17, 9, 0, 12, 500_000, tzinfo=UTC),
    "2026-06-17T09:00:12.123456789Z": datetime(2026, 6, 17, 9, 0, 12, 123_456, tzinfo=UTC),
    "2026-06-17T09:00:12.0000009Z": datetime(2026, 6, 17, 9, 0, 12, tzinfo=UTC),
    "2024-02-29T00:00:00Z": datetime(2024, 2, 29, tzinfo=UTC),
    "2000-02-29T00:00:00Z": datetime(2000, 2, 29, tzinfo=UTC),
    "2026-06-17T09:00:12+23:59": datetime(2026, 6, 16, 9, 1, 12, tzinfo=UTC),
    # A leap second reads as the last microsecond of its minute (RFC 3339 section 5.7 has the second of these).
    "2016-12-31T23:59:60Z": datetime(2016, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    "1990-12-31T15:59:60-08:00": datetime(1990, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    "2017-01-01T05:29:60+05:30": datetime(2016, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    "2015-06-30T23:59:60.25Z": datetime(2015, 6, 30, 23, 59, 59, 999_999, tzinfo=UTC),
    # Beyond what datetime holds: the first or the last instant that it does.
    "0000-01-01T00:00:00Z": datetime.min.replace(tzinfo=UTC),
    "0000-02-29T00:00:00Z": datetime.min.replace(tzinfo=UTC),
    "0001-01-01T00:00:00+00:01": datetime.min.replace(tzinfo=UTC),
    "9999-12-31T23:59:59-23:59": datetime.max.replace(tzinfo=UTC, microsecond=0),
    "9999-12-31T23:59:60Z": datetime.max.replace(tzinfo=UTC),
}

INVALID = {
    "": "write it as",
    "2026-06-17": "write it as",
    "2026-06-17T09:00:12": "no offset",
    "2026-06-17T09:00:12.5": "no offset",
    "2026-06-17 09:00:12": "no offset",
    "2026-06-17 09:00:12Z": "not by a space",
    "2026-06-17_09:00:12Z": "write it as",
    "2026-06-17T09:00:12Z\n": "white space",
    " 2026-06-17T09:00:12Z": "white space",
    "2026-06-17T09:00Z": "write it as",
    "2026-06-17T9:00:12Z": "write it as",
    "26-06-17T09:00:12Z": "write it as",
    "+02026-06-17T09:00:12Z": "write it as",
    "2026-06-17T09:00:12.Z": "write it as",
    "2026-06-17T09:00:12,5Z": "write it as",
    "2026-06-17T09:00:12+0200": "write it as",
    "2026-06-17T09:00:12+02": "write it as",
    "2026-06-17T09:00:12+02:00:00": "write it as",
    "2026-06-17T09:00:12 Z": "write it as",
    "2026-06-17T09:00:12\u22120200": "write it as",
    "2026-W25-3T09:00:12Z": "write it as",
    "2026-168T09:00:12Z": "write it as",
    "20260617T090012Z": "write it as",
    "\u0662\u0660\u0662\u0666-06-17T09:00:12Z": "write it as",
    "\uff12026-06-17T09:00:12Z": "write it as",
    "2026-06-17T09:00:12Z\x00": "write it as",
    "2026-00-17T09:00:12Z": "month 00 is not 01 to 12",
    "2026-13-17T09:00:12Z": "month 13 is not 01 to 12",
    "2026-06-00T09:00:12Z": "day 00 is not 01 to 30 in 2026-06",
    "2026-06-31T09:00:12Z": "day 31 is not 01 to 30 in 2026-06",
    "2026-02-29T09:00:12Z": "day 29 is not 01 to 28 in 2026-02",
    "1900-02-29T09:00:12Z": "day 29 is not 01 to 28 in 1900-02",
    "0000-02-30T00:00:00Z": "day 30 is not 01 to 29 in 0000-02",
    "2026-06-17T24:00:00Z": "hour 24 is not 00 to 23",
    "2026-06-17T09:60:12Z": "minute 60 is not 00 to 59",
    "2026-06-17T09:00:61Z": "second 61 is not 00 to 59",
    "2026-06-17T09:00:12+24:00": "offset 24:00 is not 00:00 to 23:59",
    "2026-06-17T09:00:12+02:60": "offset 02:60 is not 00:00 to 23:59",
    "2026-06-17T09:00:60Z": "last day of a month",
    "2016-12-30T23:59:60Z": "last day of a month",
    "2016-12-31T23:59:60+01:00": "last day of a month",
    "2016-12-31T15:58:60-08:00": "last day of a month",
    "9999-12-31T23:59:60-23:59": "last day of a month",
}

# The parts of a time, right ones and wrong ones.
PARTS = (
    (["2026", "2024", "1900", "2000", "0000", "0001", "9999"], ["202", "\u0662026", "-2026", ""]),
    (["-"], ["/", ""]),
    (["01", "02", "06", "12"], ["00", "13", "6"]),
    (["-"], ["/", "W"]),
    (["01", "28", "29", "30", "31"], ["00", "32", "1", "\uff11\uff11"]),
    (["T", "t"], [" ", "_", ""]),
    (["00", "23", "15", "05"], ["24", "9"]),
    ([":"], ["", "."]),
    (["00", "59", "29"], ["60", "5"]),
    ([":"], ["", ",", "-"]),
    (["00", "59", "60"], ["61", "6"]),
    (["", ".0", ".123456789"], [".", ",5", ".\u0661"]),
    (["Z", "z", "+00:00", "-00:00", "-08:00", "+05:30", "+23:59", "-23:59"], ["", "+24:00", "+00:60", "+0100", "CET"]),
    ([""], ["\n", " ", "Z", "\x00"]),
)


@st.composite
def times(draw: st.DrawFn) -> str:
    """Draw a text that is a time, or would be but for one part."""
    parts = [draw(st.sampled_from(right)) for right, _ in PARTS]
    if draw(st.booleans()):
        place = draw(st.integers(0, len(PARTS) - 1))
        parts[place] = draw(st.sampled_from(PARTS[place][1]))
    return "".join(parts)


@pytest.mark.parametrize(("text", "instant"), VALID.items(), ids=repr)
def test_a_valid_time_reads_as_its_instant_in_utc(text: str, instant: datetime) -> None:
    parsed = parse_rfc3339(text)

    assert parsed == instant
    assert parsed.utcoffset() == timedelta()


@pytest.mark.parametrize(("text", "problem"), INVALID.items(), ids=repr)
def test_an_invalid_time_is_refused_with_the_part_that_is_wrong(text: str, problem: str) -> None:
    with pytest.raises(InvalidTimestamp) as refused:
        parse_rfc3339(text)

    assert problem in refused.value.problem
    assert repr(text) in str(refused.value)
    assert isinstance(refused.value, KitError)
    assert not is_rfc3339(text)


@given(
    st.datetimes(
        min_value=datetime(1, 1, 2),  # noqa: DTZ001 - Hypothesis adds the zone
        max_value=datetime(9999, 12, 30),  # noqa: DTZ001
        timezones=st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes))),
    )
)
def test_what_python_prints_of_an_aware_time_parses_to_itself(instant: datetime) -> None:
    assert parse_rfc3339(instant.isoformat()) == instant


@given(times())
@example("2024-02-29T23:59:59Z")
@example("0000-06-30T23:59:60Z")
@example("0001-01-01T00:59:60+01:00")
@example("9999-12-31T23:59:60-23:59")
def test_a_text_is_accepted_exactly_where_the_rfcs_grammar_and_ranges_accept_it(text: str) -> None:
    assert is_rfc3339(text) == _is_accepted_by_the_rfc(text)


@given(st.text(alphabet="0123456789-:.TtZz+ \n\u0661\uff11", max_size=30))
def test_any_text_is_accepted_or_refused_and_nothing_else(text: str) -> None:
    assert is_rfc3339(text) == _is_accepted_by_the_rfc(text)


@given(st.from_regex(timestamps._PLAINLY_VALID, fullmatch=True))
def test_what_is_accepted_at_a_glance_is_what_the_rfc_accepts_and_can_be_read(text: str) -> None:
    assert _is_accepted_by_the_rfc(text)
    assert parse_rfc3339(text).tzinfo is UTC


def test_what_is_no_text_is_no_time() -> None:
    assert not is_rfc3339(20260617)
    assert not is_rfc3339(None)


def _is_accepted_by_the_rfc(text: str) -> bool:
    """Read RFC 3339 section 5.6 letter by letter, and 5.7 for the ranges; no regular expression, no datetime."""
    rest = text
    numbers = []
    for width, ending in ((4, "-"), (2, "-"), (2, "Tt"), (2, ":"), (2, ":"), (2, None)):
        digits, rest = rest[:width], rest[width:]
        if len(digits) < width or not set(digits) <= set("0123456789"):
            return False
        numbers.append(int(digits))
        if ending is not None:
            if rest[:1] == "" or rest[0] not in ending:
                return False
            rest = rest[1:]
    if rest.startswith("."):
        fraction = len(rest[1:]) - len(rest[1:].lstrip("0123456789"))
        if fraction == 0:
            return False
        rest = rest[1 + fraction :]
    offset = _offset_minutes(rest)
    return offset is not None and _is_in_range(numbers, offset)


def _offset_minutes(text: str) -> int | None:
    if text in {"Z", "z"}:
        return 0
    shape = [character if character in "+-:" else "0" if character in "0123456789" else "?" for character in text]
    if shape not in (list("+00:00"), list("-00:00")):
        return None
    hours, minutes = int(text[1:3]), int(text[4:6])
    if hours > 23 or minutes > 59:
        return None
    return (hours * 60 + minutes) * (-1 if text[0] == "-" else 1)


def _is_in_range(numbers: list[int], offset: int) -> bool:
    year, month, day, hour, minute, second = numbers
    if not (1 <= month <= 12 and 1 <= day <= _days(year, month) and hour <= 23 and minute <= 59 and second <= 60):
        return False
    if second < 60:
        return True
    minutes = hour * 60 + minute - offset
    while minutes < 0:
        minutes += 1440
        day -= 1
    while minutes >= 1440:
        minutes -= 1440
        day += 1
    # One past the last day is the first of the next month; day 0 is the last of the month before.
    return minutes == 1439 and day in {0, _days(year, month)}


def _days(year: int, month: int) -> int:
    return 29 if month == 2 and isleap(year) else (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]
