"""Amounts on the command line: rates, speeds, shares, moments, and pairs of names."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import click

from contracts.timestamps import InvalidTimestamp, parse_rfc3339

_NUMBER = r"(\d{1,9}(?:\.\d{1,6})?)"
_PER_S = {"s": 1.0, "min": 60.0}
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Rate(click.ParamType[float]):
    """Messages a second: `50/s`, or `90/min`; a float."""

    name = "RATE"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """See `click.ParamType.convert`."""
        if isinstance(value, float):
            return value
        found = re.fullmatch(rf"{_NUMBER}/(s|min)", value)
        if found is None or not float(found[1]):
            self.fail(f"{value!r} is no rate\n  expected messages by time, such as 50/s or 90/min", param, ctx)
        return float(found[1]) / _PER_S[found[2]]


class Speed(click.ParamType[float]):
    """How many times as fast as it was recorded: `10x`, `0.5x`; a float."""

    name = "SPEED"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """See `click.ParamType.convert`."""
        if isinstance(value, float):
            return value
        found = re.fullmatch(rf"{_NUMBER}x", value)
        if found is None or not float(found[1]):
            self.fail(f"{value!r} is no speed\n  expected a multiple, such as 10x, or 1x as recorded", param, ctx)
        return float(found[1])


class Share(click.ParamType[float]):
    """A part of the whole in percent, `5%`; a float from 0 to 1."""

    name = "PERCENT"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """See `click.ParamType.convert`."""
        if isinstance(value, float):
            return value
        found = re.fullmatch(rf"{_NUMBER}%", value)
        if found is None or not 0 < float(found[1]) <= 100:
            self.fail(f"{value!r} is no share\n  expected more than 0% and at most 100%, such as 5%", param, ctx)
        return float(found[1]) / 100


class When(click.ParamType[datetime]):
    """A day, which begins at midnight UTC, an RFC 3339 time, or how long ago (`2h`); an aware datetime."""

    name = "TIME"

    def convert(self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """See `click.ParamType.convert`."""
        if isinstance(value, datetime):
            return value
        if found := re.fullmatch(r"(\d{1,6})([smhd])", value):
            return datetime.now(UTC) - timedelta(**{_UNITS[found[2]]: int(found[1])})
        try:
            return datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError:
            pass
        try:
            return parse_rfc3339(value)
        except InvalidTimestamp as error:
            self.fail(f"{error}\n  expected a time, a day such as 2026-06-17, or how long ago, such as 2h", param, ctx)


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
