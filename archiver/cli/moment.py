"""A day or a time on the command line."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from contracts import InvalidTimestamp, parse_rfc3339


class Moment(click.ParamType[datetime]):
    """A day, which begins at midnight UTC, or an RFC 3339 time; an aware datetime."""

    name = "TIME"

    def convert(self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """See `click.ParamType.convert`."""
        if isinstance(value, datetime):
            return value
        try:
            return datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError:
            pass
        try:
            return parse_rfc3339(value)
        except InvalidTimestamp as error:
            self.fail(f"{error}\n  expected a day such as 2026-06-17, or a time", param, ctx)
