"""RFC 3339 date-times, exactly: what section 5.6 allows, no more and no less.

Common validators differ on leap seconds, lower-case letters, a trailing newline, offsets out of range
and 24:00; `contracts explain occurred_at/format` shows the decision.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, datetime, timedelta

from contracts.errors import KitError

# RFC 3339 section 5.6. ABNF literals match in either case (RFC 5234 section 2.3), so 't' and 'z' are valid.
_DATE_TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
# Valid in every month: the rest, such as days from the 29th on, is checked in full.
_PLAINLY_VALID = re.compile(
    r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])[Tt](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)

_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)


class InvalidTimestamp(KitError):
    """Not exactly an RFC 3339 date-time; the message names the part, and a correct form."""

    def __init__(self, text: str, problem: str) -> None:
        super().__init__(text, problem)
        self.text, self.problem = text, problem

    def __str__(self) -> str:
        return f"{self.text!r} is not an RFC 3339 date-time: {self.problem}"


def parse_rfc3339(text: str) -> datetime:
    """Read an RFC 3339 date-time as an aware UTC datetime, to the microsecond.

    Further fraction digits are valid and dropped here; the payload keeps its text. A leap second is
    valid at the end of a month in UTC and reads as the last microsecond of its minute. An instant
    before year 1 or after year 9999 in UTC reads as the first or last one that `datetime` holds.

    Raises:
        InvalidTimestamp: names the wrong part, and a correct form.

    Source: event spec, Fields, `occurred_at`; RFC 3339 sections 5.6 and 5.7.
    """
    if text[:1] in {"1", "2"} and text.isupper() and _PLAINLY_VALID.fullmatch(text):
        return datetime.fromisoformat(text).astimezone(UTC)  # which knows neither 't' and 'z' nor where time ends
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        raise InvalidTimestamp(text, _shape_problem(text))
    year, month, day, hour, minute, second = (int(part) for part in match.group(1, 2, 3, 4, 5, 6))
    if problem := _range_problem(year, month, day, hour, minute, second):
        raise InvalidTimestamp(text, problem)
    offset = _offset(text, match)
    microsecond = int((match.group(7) or "")[:6].ljust(6, "0"))
    # Year 0000 is valid RFC 3339 and has no datetime; 2000 has its length of February.
    local = datetime(year or 2000, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    try:
        instant = local - offset if year else _FIRST
    except OverflowError:
        instant = _FIRST if offset > timedelta() else _LAST
    if second == 60:  # section 5.7
        _check_leap_second(text, local.replace(year=2000 + year % 400) - offset)
        microsecond = 999_999
    return instant.replace(microsecond=microsecond) if year else instant


def format_rfc3339(instant: datetime, timespec: str = "milliseconds") -> str:
    """Render an aware instant as RFC 3339 in UTC, ending in 'Z'; `timespec` is that of `datetime.isoformat`."""
    return instant.astimezone(UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


def is_rfc3339(text: object) -> bool:
    """Return whether a text is exactly an RFC 3339 date-time."""
    text = str(text)
    if _PLAINLY_VALID.fullmatch(text):
        return True
    try:
        parse_rfc3339(text)
    except InvalidTimestamp:
        return False
    return True


def _range_problem(year: int, month: int, day: int, hour: int, minute: int, second: int) -> str | None:
    if not 1 <= month <= 12:
        return f"month {month:02} is not 01 to 12"
    days = monthrange(year or 2000, month)[1]
    if not 1 <= day <= days:
        return f"day {day:02} is not 01 to {days} in {year:04}-{month:02}"
    if hour > 23:
        return f"hour {hour:02} is not 00 to 23"
    if minute > 59:
        return f"minute {minute:02} is not 00 to 59"
    if second > 60:
        return f"second {second:02} is not 00 to 59, or 60 in a leap second"
    return None


def _offset(text: str, match: re.Match[str]) -> timedelta:
    sign, hours, minutes = match.group(8), int(match.group(9) or 0), int(match.group(10) or 0)
    if hours > 23 or minutes > 59:
        raise InvalidTimestamp(text, f"offset {hours:02}:{minutes:02} is not 00:00 to 23:59")
    offset = timedelta(hours=hours, minutes=minutes)
    return -offset if sign == "-" else offset


def _check_leap_second(text: str, instant: datetime) -> None:
    """Refuse second 60 elsewhere; the calendar repeats every 400 years, so `instant` may be that far off."""
    last_day = monthrange(instant.year, instant.month)[1]
    if (instant.day, instant.hour, instant.minute) != (last_day, 23, 59):
        raise InvalidTimestamp(text, "second 60 exists only at 23:59:60 UTC on the last day of a month")


def _shape_problem(text: str) -> str:
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?", text):
        return "it has no offset; end it with 'Z' for UTC, or with '+02:00' and the like"
    if re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2} ", text):
        return "date and time are joined by 'T', not by a space"
    if text != text.strip():
        return "there is white space around it"
    return "write it as 2026-06-17T09:00:12Z"
