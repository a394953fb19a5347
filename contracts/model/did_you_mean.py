"""The nearest valid value, where one is near enough to be meant."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(value: str, options: Iterable[str]) -> str | None:
    """Return the option that `value` was most likely meant to be, or None where none is near."""
    import difflib  # noqa: PLC0415 - needed only once something is wrong

    wanted = list(options)
    folded = {option.casefold(): option for option in wanted}
    if value.strip().casefold() in folded:
        return folded[value.strip().casefold()]
    close = difflib.get_close_matches(value[:200], wanted, n=1, cutoff=0.6)
    return close[0] if close else None
