"""An event is compared with its golden one: volatile fields by rule, the rest must be equal."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.model.shell_words import join_command
from contracts.model.violation import show
from contracts.observe.golden import CLOCK_TOLERANCE, compare
from contracts.observe.observation import Observed
from contracts.observe.scenarios import load_scenarios

SCENARIOS = load_scenarios("kaizen.schedule.prepared@1")
GOLDENS = {each.name: json.loads(each.golden_path.read_bytes()) for each in SCENARIOS}
GOLDEN = GOLDENS["weekly-markdown"]
START, END = datetime(2030, 1, 1, 12, tzinfo=UTC), datetime(2030, 1, 1, 12, 0, 9, tzinfo=UTC)
RUN = Observed((), (), START, END)
PREPARE, CLOSE = "kaizen-agentic schedule prepare coach", GOLDEN["session_close"][0]
ROOT = "/tmp/contracts-x/Kaizen Überblick"

names = st.text(st.characters(exclude_characters="/<>", exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=8)
roots = st.lists(names.filter(lambda name: name not in {".", ".."}), min_size=1, max_size=3).map(
    lambda each: "/" + "/".join(each)
)
scalars = st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from([0.5, 1.0]) | st.text(max_size=9)


def rebased(golden: Mapping[str, Any], root: str = ROOT) -> dict[str, Any]:
    """The event that a good emitter says of the same checkout somewhere else, some time later."""
    words = [root if word == golden["root"] else word for word in shlex.split(golden["prepare_command"])]
    again = {"occurred_at": "2030-01-01T12:00:05Z", "root": root, "prepare_command": join_command(words)}
    return deepcopy(dict(golden)) | again


def leaves(value: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, dict | list) and value:
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(item, (*place, key))
    else:
        yield place


def changed(event: Mapping[str, Any], place: tuple[Any, ...], value: Any) -> dict[str, Any]:
    copy = deepcopy(dict(event))
    parent: Any = copy
    for key in place[:-1]:
        parent = parent[key]
    parent[place[-1]] = value
    return copy


def differences(
    event: Mapping[str, Any], golden: Mapping[str, Any] = GOLDEN, root: str = ROOT
) -> list[tuple[str, str, str]]:
    found = list(compare(event, golden, root=root, observed=RUN))
    assert {each.rule for each in found} <= {"golden/differs", "golden/occurred_at"}
    return [(each.pointer, each.expected, each.found) for each in found]


@given(golden=st.sampled_from(list(GOLDENS.values())), root=roots)
def test_an_event_equal_up_to_time_and_place_has_no_difference(golden: dict[str, Any], root: str) -> None:
    assert differences(rebased(golden, root), golden, root) == []


@given(data=st.data(), golden=st.sampled_from(list(GOLDENS.values())), root=roots)
def test_one_changed_value_is_one_difference_at_its_place_with_both_values(
    data: st.DataObject, golden: dict[str, Any], root: str
) -> None:
    event = rebased(golden, root)
    place = data.draw(st.sampled_from([each for each in leaves(event) if each != ("occurred_at",)]))
    was: Any = event
    for key in place:
        was = was[key]
    if place[0] in {"prepare_command", "session_close"}:
        value, expected, found = f"{was} --extra", "its end", "'--extra'"
    else:
        value = data.draw(scalars.filter(lambda other: (type(other), other) != (type(was), was)))
        expected, found = show(was), show(value)
    told = differences(changed(event, place, value), golden, root)
    assert [at for at, _, _ in told] == ["/" + "/".join(map(str, place))]
    assert expected in told[0][1]
    assert found in told[0][2]


def at_word(number: int, *words: str) -> list[str]:
    return [f"{word!r} as word {number}" for word in words]


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        (("cadence",), "daily", ("/cadence", "'weekly'", "'daily'")),
        (("root",), "/elsewhere", ("/root", repr(ROOT), "'/elsewhere'")),
        (("root",), GOLDEN["root"], ("/root", repr(ROOT), repr(GOLDEN["root"]))),
        (("bundle", "bytes"), 423.0, ("/bundle/bytes", "the number 423", "the number 423.0")),
        (("bundle", "has_memory"), 1, ("/bundle/has_memory", "true", "the number 1")),
        (("bundle", "pointers"), ["scope"], ("/bundle/pointers/1", "'workplans'", "nothing")),
        (("bundle", "pointers"), ["scope", "workplans", "x"], ("/bundle/pointers/2", "nothing", "'x'")),
        (("bundle", "pointers"), "scope", ("/bundle/pointers", "an array of 2", "'scope'")),
        (("bundle",), None, ("/bundle", "an object of 6", "null")),
        (("session_close",), [], ("/session_close/0", repr(CLOSE), "nothing")),
        (("extra/key~",), 1, ("/extra~1key~0", "nothing", "the number 1")),
        (("prepare_command",), 5, ("/prepare_command", repr(GOLDEN["prepare_command"]), "the number 5")),
        (("prepare_command",), PREPARE, ("/prepare_command", "'--target' as word 5", "its end as word 5")),
        (("prepare_command",), GOLDEN["prepare_command"], ("/prepare_command", *at_word(6, ROOT, GOLDEN["root"]))),
        (("session_close", 0), CLOSE.replace("coach", "rover"), ("/session_close/0", *at_word(4, "coach", "rover"))),
    ],
)
def test_a_difference_reads_like_a_diff(place: tuple[Any, ...], value: Any, told: tuple[str, str, str]) -> None:
    assert differences(changed(rebased(GOLDEN), place, value)) == [told]


def test_a_field_left_out_is_one_difference() -> None:
    event = rebased(GOLDEN)
    del event["bundle"]["format"]
    assert differences(event) == [("/bundle/format", "'markdown'", "nothing")]


@pytest.mark.parametrize(
    "text",
    [
        f"kaizen-agentic schedule prepare coach --target '{ROOT}'",
        f'kaizen-agentic schedule prepare coach --target "{ROOT}"',
        "kaizen-agentic schedule prepare coach --target " + ROOT.replace(" ", "\\ "),
    ],
    ids=["single quotes", "double quotes", "backslash"],
)
def test_how_a_command_is_quoted_is_no_difference(text: str) -> None:
    assert differences(rebased(GOLDEN) | {"prepare_command": text}) == []


@pytest.mark.parametrize(
    ("golden_root", "golden_command", "root", "command"),
    [
        ("/w/a b", "x --target '/w/a b'", r"C:\Users\W\a b", r'x --target "C:\Users\W\a b"'),
        (r"C:\w\a", r"x --target C:\w\a", "/tmp/a b", "x --target '/tmp/a b'"),
        ("D:/w/a", "x --target D:/w/a", "C:/w/b", "x --target C:/w/b"),
        ("/w", "x --target=/w --log /w/log", "/tmp/q", "x --target=/tmp/q --log /tmp/q/log"),
    ],
    ids=["to Windows", "from Windows", "Windows with slashes", "root within words"],
)
def test_the_root_stands_for_the_golden_root_wherever_it_appears_in_commands(
    golden_root: str, golden_command: str, root: str, command: str
) -> None:
    golden = GOLDEN | {"root": golden_root, "prepare_command": golden_command, "session_close": [golden_command]}
    event = GOLDEN | {"root": root, "prepare_command": command, "session_close": [command]}
    event["occurred_at"] = "2030-01-01T12:00:05Z"
    assert differences(event, golden, root) == []
    event["session_close"] = ["x --target elsewhere"]
    assert [at for at, _, _ in differences(event, golden, root)] == ["/session_close/0"]


@pytest.mark.parametrize(
    ("golden_root", "command", "same"),
    [
        ("/", "x --target / --log a/b", "x --target {root} --log a/b"),
        ("/w/a", "x --target /w/a --other /w/ab", "x --target {root} --other /w/ab"),
    ],
    ids=["the file system's root", "a neighbour that begins alike"],
)
def test_only_the_root_itself_and_what_is_below_it_stands_for_it(golden_root: str, command: str, same: str) -> None:
    golden = GOLDEN | {"root": golden_root, "prepare_command": command}
    assert differences(rebased(GOLDEN, "/q") | {"prepare_command": same.format(root="/q")}, golden, "/q") == []


@pytest.mark.parametrize(
    ("told", "is_in_run"),
    [
        ("2030-01-01T12:00:00Z", True),
        ("2030-01-01T14:00:09.999+02:00", True),
        ((START - CLOCK_TOLERANCE).isoformat(), True),
        ((END + CLOCK_TOLERANCE).isoformat(), True),
        ((START - CLOCK_TOLERANCE - timedelta(milliseconds=1)).isoformat(), False),
        ((END + CLOCK_TOLERANCE + timedelta(milliseconds=1)).isoformat(), False),
        ("2030-01-01T14:00:05Z", False),
        ("2026-06-17T09:00:12Z", False),
        ("2030-01-01 12:00:05", True),  # the contract says what is wrong with this one, and once is enough
    ],
)
def test_occurred_at_must_lie_within_the_run(told: str, is_in_run: bool) -> None:  # noqa: FBT001 - a column of the table
    found = differences(rebased(GOLDEN) | {"occurred_at": told})
    within = "a time from 2030-01-01T12:00:00+00:00 to 2030-01-01T12:00:09+00:00"
    assert found == ([] if is_in_run else [("/occurred_at", within, repr(told))])


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("repo",), "password=hunter2-hunter2"),
        (("password=hunter2-hunter2",), "x"),
        (("session_close", 0), "kaizen-agentic login --password hunter2-hunter2"),
        (("session_close", 1), "kaizen-agentic login --password hunter2-hunter2"),
    ],
)
def test_no_secret_is_shown(place: tuple[Any, ...], value: str) -> None:
    golden = GOLDEN | {"session_close": ["kaizen-agentic login --password <password>", *"x" * (place[-1] == 1)]}
    found = differences(changed(rebased(golden), place, value), golden)
    assert len(found) == 1
    assert "hunter2" not in str(found)
    assert "hunter2" not in str(differences(rebased(golden), changed(golden, place, value)))
