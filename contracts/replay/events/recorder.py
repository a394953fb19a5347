"""Record events as captures that may be kept and passed on: nothing in them is what the boundary forbids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from contracts.checker import check
from contracts.fixtures.scrub import scrub, scrub_named, scrub_text
from contracts.replay.events.capture import Capture, Found, Unusable

BOUNDARY: Final = "boundary/"
"""The family of rules on what may never leave: secrets, credentials, contents."""


def recorded(found: Iterable[Found]) -> Iterator[Found]:
    """Remove secrets and URL credentials, and record where; the rest is unchanged.

    An event that breaks a boundary rule even so, such as one that is too large, is unusable.
    """
    for each in found:
        yield _scrubbed(each) if isinstance(each, Capture) else replace(each, where=scrub_text(each.where)[0])


def forbidden(payload: bytes) -> list[str]:
    """Name the boundary rules that a payload breaks."""
    broken = check(payload).violations
    return sorted({each.rule for each in broken if each.rule.startswith(BOUNDARY)})


def _scrubbed(capture: Capture) -> Found:
    event, removed = scrub(dict(capture.event))
    headers = {name: scrub_named(name, value) for name, value in capture.headers.items()}
    clean = replace(
        capture,
        subject=scrub_text(capture.subject)[0],
        event=event,
        origin=scrub_text(capture.origin)[0],
        headers={name: text for name, (text, _) in headers.items()},
        scrubbed=(*capture.scrubbed, *removed),
    )
    rules = forbidden(clean.payload)
    return Unusable(clean.origin, tuple(rules)) if rules else clean
