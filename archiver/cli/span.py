"""A length of time on the command line."""

from __future__ import annotations

import re
from datetime import timedelta

import click

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Span(click.ParamType[timedelta]):
    """A whole number and its unit: 90s, 30m, 24h, 7d; a timedelta."""

    name = "SPAN"

    def convert(self, value: str | timedelta, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """See `click.ParamType.convert`."""
        if isinstance(value, timedelta):
            return value
        found = re.fullmatch(r"(\d{1,6})([smhd])", value)
        if found is None:
            self.fail(
                f"{value!r} is no length of time\n  expected a number and a unit, such as 90s, 30m, 24h, 7d", param, ctx
            )
        return timedelta(**{_UNITS[found[2]]: int(found[1])})
