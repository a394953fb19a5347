"""Amounts on the command line: rates, speeds, shares, lengths of time, moments, and pairs of names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import click

from contracts.model.rfc3339 import InvalidTimestamp, parse_rfc3339

_NUMBER = r"(\d{1,9}(?:\.\d{1,6})?)"
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _span(value: str) -> timedelta | None:
    found = re.fullmatch(r"(\d{1,6})([smhd])", value)
    return timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else None


class _Amount(click.ParamType[float]):
    """A number above 0 and a unit, which `units` gives the worth of; `most` is the most that they come to."""

    units: ClassVar[Mapping[str, float]]
    most: ClassVar[float] = float("inf")
    what: ClassVar[str]

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """See `click.ParamType.convert`."""
        if isinstance(value, float):
            return value
        found = re.fullmatch(f"{_NUMBER}({'|'.join(self.units)})", value)
        amount = float(found[1]) * self.units[found[2]] if found else 0.0
        if not 0 < amount <= self.most:
            self.fail(f"{value!r} is no {self.what}", param, ctx)
        return amount


class Rate(_Amount):
    """Messages a second: `50/s`, or `90/min`; a float."""

    name, units = "RATE", {"/s": 1.0, "/min": 1 / 60}
    what = "rate\n  expected messages by time, such as 50/s or 90/min"


class Speed(_Amount):
    """How many times as fast as it was recorded: `10x`, `0.5x`; a float."""

    name, units = "SPEED", {"x": 1.0}
    what = "speed\n  expected a multiple, such as 10x, or 1x as recorded"


class Share(_Amount):
    """A part of the whole in percent, `5%`; a float from 0 to 1."""

    name, units, most = "PERCENT", {"%": 0.01}, 1.0
    what = "share\n  expected more than 0% and at most 100%, such as 5%"


class Span(click.ParamType[timedelta]):
    """A whole number and its unit: 90s, 30m, 24h, 7d; a timedelta."""

    name = "SPAN"

    def convert(self, value: str | timedelta, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """See `click.ParamType.convert`."""
        found = value if isinstance(value, timedelta) else _span(value)
        if found is None:
            self.fail(
                f"{value!r} is no length of time\n  expected a number and a unit, such as 90s, 30m, 24h, 7d", param, ctx
            )
        return found


class When(click.ParamType[datetime]):
    """A day, which begins at midnight UTC, an RFC 3339 time, or how long ago (`2h`); an aware datetime."""

    name = "TIME"

    def convert(self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """See `click.ParamType.convert`."""
        if isinstance(value, datetime):
            return value
        if (ago := _span(value)) is not None:
            return datetime.now(UTC) - ago
        try:
            return datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError:
            pass
        try:
            return parse_rfc3339(value)
        except InvalidTimestamp as error:
            self.fail(f"{error}\n  expected a day such as 2026-06-17, a time, or how long ago, such as 2h", param, ctx)


class Pair(click.ParamType[tuple[str, str]]):
    """`OLD=NEW`, neither empty; a tuple."""

    name = "OLD=NEW"

    def convert(
        self, value: str | tuple[str, str], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """See `click.ParamType.convert`."""
        if isinstance(value, tuple):
            return value
        old, _, new = value.partition("=")
        if not old or not new:
            self.fail(f"{value!r} is no pair\n  expected OLD=NEW", param, ctx)
        return old, new
