"""Counts in text for people."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Return a number of things in words: `1 event`, `2,000 events`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
