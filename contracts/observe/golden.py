"""Compare an event with its golden one, field by field; volatile fields by rule, the rest must be equal."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

from contracts.model.rfc3339 import InvalidTimestamp, parse_rfc3339
from contracts.model.secrets import may_be_secret
from contracts.model.shell_words import UnreadableCommand, is_windows_path, split_command
from contracts.model.violation import Violation, key_token, pointer, show
from contracts.observe.observation import Observed, broken

CLOCK_TOLERANCE: Final = timedelta(seconds=5)
"""How far an emitter's clock may be off; local time labelled as UTC is off by at least half an hour."""


def compare(
    event: Mapping[str, Any], golden: Mapping[str, Any], *, root: str, observed: Observed
) -> Iterator[Violation]:
    """Yield every difference between an event and its golden one.

    `root` is where the emitter's private copy was. `occurred_at` must lie within the run; `root`, and where
    it appears as a word of a command, stands for the golden event's root; everything else must be equal.
    """
    yield from _time(event, observed)
    changed = {**golden, "root": root}
    for place, wanted, found in _differences(changed, event, ()):
        if place == ("occurred_at",):
            continue
        at = pointer(*(key_token(token) if isinstance(token, str) else token for token in place))
        if _is_command(place) and isinstance(wanted, str) and isinstance(found, str):
            if difference := _command_difference(wanted, found, str(golden.get("root")), root):
                yield broken("golden/differs", difference[1], at=at, expected=difference[0])
            continue
        yield broken("golden/differs", _shown(found), at=at, expected=_shown(wanted))


def _time(event: Mapping[str, Any], observed: Observed) -> Iterator[Violation]:
    told = event.get("occurred_at")
    if observed.started_at is None or observed.ended_at is None or not isinstance(told, str):
        return
    try:
        instant = parse_rfc3339(told)
    except InvalidTimestamp:
        return  # the contract reports it already
    if not observed.started_at - CLOCK_TOLERANCE <= instant <= observed.ended_at + CLOCK_TOLERANCE:
        first, last = (each.isoformat(timespec="seconds") for each in (observed.started_at, observed.ended_at))
        yield broken("golden/occurred_at", show(told), at="/occurred_at", expected=f"a time from {first} to {last}")


_ABSENT: Final = object()


def _differences(
    wanted: object, found: object, place: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], object, object]]:
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        for name in dict.fromkeys((*wanted, *found)):
            yield from _differences(wanted.get(name, _ABSENT), found.get(name, _ABSENT), (*place, name))
    elif isinstance(wanted, list) and isinstance(found, list):
        for index in range(max(len(wanted), len(found))):
            left, right = (each[index] if index < len(each) else _ABSENT for each in (wanted, found))
            yield from _differences(left, right, (*place, index))
    elif type(wanted) is not type(found) or wanted != found or (_is_command(place) and isinstance(found, str)):
        yield place, wanted, found  # a command that is equal may still name the golden root


def _is_command(place: tuple[str | int, ...]) -> bool:
    return place == ("prepare_command",) or (len(place) == 2 and place[0] == "session_close")


def _command_difference(wanted: str, found: str, golden_root: str, root: str) -> tuple[str, str] | None:
    """Compare commands word by word, the golden root standing for the actual one."""
    try:
        words = [
            list(split_command(text, windows=is_windows_path(place), placeholders=True))
            for text, place in ((wanted, golden_root), (found, root))
        ]
    except UnreadableCommand:
        return None  # the contract reports it already
    # The root and what is below it, alone or as the value of an option; not a neighbour that begins alike.
    golden_place = re.compile(rf"(?<![^=:,@]){re.escape(golden_root)}(?=$|[/\\:,])")
    expected = [golden_place.sub(lambda _: root, word) for word in words[0]]
    if expected == words[1]:
        return None
    first = next(
        (index for index, pair in enumerate(zip(expected, words[1], strict=False)) if pair[0] != pair[1]),
        min(len(expected), len(words[1])),
    )
    # A value may be known for a secret only by the option before it.
    told = [
        show(text if may_be_secret(text) else each[first]) if first < len(each) else "its end"
        for text, each in ((wanted, expected), (found, words[1]))
    ]
    return f"{told[0]} as word {first + 1}", f"{told[1]} as word {first + 1}"


def _shown(value: object) -> str:
    return "nothing" if value is _ABSENT else show(value)
