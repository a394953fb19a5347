"""Counts in text for people."""

from __future__ import annotations


def plural(number: int, noun: str) -> str:
    """Return the count with its noun: `1 payload`, `2,000 payloads`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
