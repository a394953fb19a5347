"""Rewrite an event for another place and another time: its hour, its checkout, its repository.

What belongs together stays together: every event is moved by the same number of seconds, so the gaps are kept, and a
command that names the checkout names the new one. All else is kept as it is spelt, fractions of a second included.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from contracts.errors import KitError
from contracts.model.rfc3339 import InvalidTimestamp, is_rfc3339, parse_rfc3339
from contracts.model.shell_words import UnreadableCommand, is_windows_path, map_words

REWRITABLE: Final = "kaizen.schedule.prepared"
"""The one event that can be rewritten: others name events by their key, which a rewriting changes."""
_SECOND: Final = timedelta(seconds=1)
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d)([Tt])(\d\d:\d\d:)(\d\d)(.*)", re.DOTALL)


class NotRewritable(KitError):
    """An event that cannot be rewritten; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Rewriting:
    """What to change: `shift` in whole seconds, roots and repositories as old: new.

    A root counts for itself and for all that is below it; of several that match, the longest does.
    """

    shift: timedelta = timedelta()
    roots: Mapping[str, str] = field(default_factory=dict)
    repos: Mapping[str, str] = field(default_factory=dict)

    def apply(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Return the event rewritten. Values that break the contract stay as they are; check the result.

        Raises:
            NotRewritable: another kind of event, or a time beyond the calendar.
        """
        if event.get("event") != REWRITABLE:
            raise NotRewritable(f"only {REWRITABLE} can be rewritten: other events name an event by its key")
        changed = deepcopy(dict(event))
        occurred_at, repo, root = (changed.get(name) for name in ("occurred_at", "repo", "root"))
        if self.shift and isinstance(occurred_at, str) and is_rfc3339(occurred_at):
            changed["occurred_at"] = shifted(occurred_at, self.shift)
        if isinstance(repo, str) and repo in self.repos:
            changed["repo"] = self.repos[repo]
        if isinstance(root, str) and (new := self._new_root(root)) != root:
            changed["root"] = new
            _move_commands(changed, root, new)
        return changed

    def _new_root(self, root: str) -> str:
        for old in sorted(self.roots, key=len, reverse=True):
            new, stem = self.roots[old], old.rstrip("/\\")
            rest = root[len(stem) :]
            if root == old:
                return new
            if root.startswith(stem) and rest[:1] in {"/", "\\"}:
                windows = is_windows_path(new)
                below = rest.replace("/", "\\") if windows else rest.replace("\\", "/")
                return new.rstrip("/\\") + below
        return root


def shift_to(now: datetime, latest: datetime) -> timedelta:
    """Return the whole seconds that put the latest of all events one to two seconds before `now`, so none after it.

    A second may be lost, since `latest` may be a leap second, which becomes the one after it.
    """
    return ((now - latest) // _SECOND - 1) * _SECOND


def occurred_at(event: Mapping[str, Any]) -> datetime | None:
    """Return when an event occurred, aware; None where `occurred_at` is not RFC 3339."""
    text = event.get("occurred_at")
    if not isinstance(text, str):
        return None
    try:
        return parse_rfc3339(text)
    except InvalidTimestamp:
        return None


def shifted(text: str, shift: timedelta) -> str:
    """Move an RFC 3339 time by whole seconds; fraction, offset and letters stay as they are.

    A leap second counts as the second after it.

    Raises:
        NotRewritable: before year 1 or after year 9999.
    """
    match = _TIME.fullmatch(text)
    assert match is not None
    day, letter, minute, second, rest = match.groups()
    try:
        local = datetime.fromisoformat(f"{day}T{minute}00+00:00").astimezone(UTC) + timedelta(seconds=int(second))
        day, _, clock = (local + shift).replace(tzinfo=None).isoformat().partition("T")
    except (ValueError, OverflowError):
        raise NotRewritable(f"occurred_at {text!r} cannot be moved by {shift}") from None
    return f"{day}{letter}{clock}{rest}"


def _move_commands(event: dict[str, Any], old: str, new: str) -> None:
    """Let the commands name the new root: the root and what is below it, alone or as the value of an option."""
    place = re.compile(rf"(?<![^=:,@]){re.escape(old)}(?=$|[/\\:,])")
    before, after = is_windows_path(old), is_windows_path(new)

    def moved(command: Any) -> Any:
        if not isinstance(command, str):
            return command
        try:
            return map_words(command, lambda word: place.sub(lambda _: new, word), windows=before, to_windows=after)
        except UnreadableCommand:
            return command  # ambiguous; the check reports it

    if "prepare_command" in event:
        event["prepare_command"] = moved(event["prepare_command"])
    if isinstance(event.get("session_close"), list):
        event["session_close"] = [moved(each) for each in event["session_close"]]
