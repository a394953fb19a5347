"""The archive in the order of time: every event once, where it belongs, and as a capture."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.core.keys import ref_key
from archiver.maintenance.history import Span, capture_of, history
from archiver.maintenance.reading import Entry, Stray
from archiver.stores.parallel import AT_ONCE
from contracts import PreparedEvent, parse_rfc3339
from contracts.toolkit import format_rfc3339
from tests.support.builders import House, message, prepared

EVERYTHING = Span()
START = datetime(2026, 6, 17, 22, tzinfo=UTC)
MOMENTS = st.integers(0, 4 * 3600 * 2).map(lambda halves: START + timedelta(seconds=halves / 2))
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


def archive_of(*events: PreparedEvent) -> House:
    house = House()
    for this in events:
        house.bundles.leave(this)
        house.process(message(this.payload))
    house.journal.clear()
    return house


def found_in(house: House, span: Span = EVERYTHING) -> list[Entry | Stray]:
    async def steps() -> list[Entry | Stray]:
        return [each async for each in history(house.store, span)]

    return asyncio.run(steps())


def keys(found: list[Entry | Stray]) -> list[str]:
    return [each.key for each in found]


@st.composite
def events(draw: st.DrawFn) -> PreparedEvent:
    """Near midnight in UTC, told in any zone, of few repos and agents, so that order goes across all of them."""
    told = draw(MOMENTS).astimezone(draw(OFFSETS)).isoformat(timespec="milliseconds")
    repo, agent = draw(st.sampled_from("abc")), draw(st.sampled_from(["coach", "scribe"]))
    return prepared(repo=repo, agent=agent, occurred_at=told)


@given(st.lists(events(), max_size=12, unique_by=lambda this: this.key))
def test_the_order_is_that_of_the_instants_across_repos_agents_days_and_zones(archived: list[PreparedEvent]) -> None:
    wanted = [ref_key(this) for this in sorted(archived, key=lambda this: (this.occurred_at, this.key))]

    assert keys(found_in(archive_of(*archived))) == wanted


EVENTS = [
    prepared(repo="b", agent="coach", occurred_at="2026-06-15T09:00:00Z"),
    prepared(repo="a", agent="scribe", occurred_at="2026-06-16T23:30:00Z"),
    prepared(repo="b", agent="coach", occurred_at="2026-06-17T01:30:00+02:00", cadence="daily"),
    prepared(repo="a", agent="coach", occurred_at="2026-06-17T12:00:00Z"),
]


@pytest.mark.parametrize(
    ("selected", "wanted"),
    [
        ({}, [0, 1, 2, 3]),
        ({"since": "2026-06-16T23:30:00Z"}, [1, 2, 3]),
        ({"since": "2026-06-16T23:30:00.001Z"}, [3]),
        ({"until": "2026-06-17T00:00:00Z"}, [0, 1, 2]),
        ({"until": "2026-06-17T12:00:00Z"}, [0, 1, 2]),
        ({"until": "2026-06-17T12:00:00.001Z"}, [0, 1, 2, 3]),
        ({"since": "2026-06-15T10:00:00Z", "until": "2026-06-17T00:00:00Z"}, [1, 2]),
        ({"since": "2026-06-18T00:00:00Z", "until": "2026-06-17T00:00:00Z"}, []),
        ({"repo": "a"}, [1, 3]),
        ({"agent": "coach"}, [0, 2, 3]),
        ({"repo": "b", "agent": "coach", "since": "2026-06-16T00:00:00Z"}, [2]),
        ({"repo": "b", "agent": "scribe"}, []),
    ],
    ids=str,
)
def test_events_are_chosen_by_repo_agent_and_time_from_since_on_and_before_until(
    selected: dict[str, str], wanted: list[int]
) -> None:
    ties = sorted(EVENTS, key=lambda this: (this.occurred_at, this.key))
    times = {name: parse_rfc3339(told) for name, told in selected.items() if name in {"since", "until"}}
    chosen = [ref_key(this) for this in ties if EVENTS.index(this) in wanted]

    found = found_in(archive_of(*EVENTS), Span(**selected | times))  # type: ignore[arg-type]

    assert keys(found) == chosen


def test_only_what_may_be_chosen_is_read() -> None:
    house = archive_of(*EVENTS)

    found_in(house, Span(agent="coach", since=parse_rfc3339("2026-06-17T00:00:00Z")))

    assert house.journal.count("read refs") == 1


def test_invalid_or_misplaced_references_are_reported_and_the_rest_is_found() -> None:
    house = archive_of(*EVENTS)
    astray, twice = "refs/v1/notes.txt", ref_key(EVENTS[0]).replace("repo=b", "repo=z")
    house.store.objects[astray] = b"not a record"
    house.store.objects[twice] = house.store.objects[ref_key(EVENTS[0])]

    found = found_in(house)

    told = {each.key: each.why for each in found if isinstance(each, Stray)}
    assert set(told) == {astray, twice}
    assert f"belongs under {ref_key(EVENTS[0])}" in told[twice]
    assert len([each for each in found if isinstance(each, Entry)]) == len(EVENTS)


def test_more_of_one_day_than_is_read_at_once_is_in_order_and_complete() -> None:
    times = [format_rfc3339(START - timedelta(seconds=number)) for number in range(3 * AT_ONCE)]
    many = [prepared(repo=f"r{number % 3}", occurred_at=at) for number, at in enumerate(times)]

    assert keys(found_in(archive_of(*many))) == [ref_key(this) for this in reversed(many)]


def test_a_capture_says_what_the_stream_said_and_holds_the_event_verbatim() -> None:
    this = prepared()
    house = House()
    house.process(message(this.payload, headers={"Nats-Msg-Id": this.key}))

    [entry] = found_in(house)
    assert isinstance(entry, Entry)

    assert json.loads(capture_of(entry).to_line()) == {
        "schema": "kaizen.capture/1",
        "subject": "kaizen.schedule.prepared",
        "at": "2026-06-17T12:00:00.000000Z",
        "origin": ref_key(this),
        "headers": {"Nats-Msg-Id": this.key},
        "event": this.payload,
    }


def test_an_event_that_no_stream_took_has_the_time_at_which_it_occurred() -> None:
    this = prepared(occurred_at="2026-06-17T09:00:12.5Z")
    house = House()
    house.bundles.leave(this)
    house.process(message(this.payload, sequence=0))

    [entry] = found_in(house)
    assert isinstance(entry, Entry)

    assert capture_of(entry).at == this.occurred_at
