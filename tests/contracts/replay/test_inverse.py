"""Record, replay, record: the second recording has the events of the first, up to what was rewritten."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from contracts import Capture, parse_rfc3339
from contracts.fixtures.generate import payloads
from contracts.replay.events.capture import parse_capture
from contracts.rules.registry import load_contract
from tests.contracts.conftest import RunContracts
from tests.contracts.replay.conftest import STREAM, SUBJECT, Staging
from tests.support.payloads import PREPARED, event

EVENTS = st.lists(
    payloads(load_contract(PREPARED)).filter(lambda each: "1970" < each["occurred_at"] < "9000"), min_size=1, max_size=6
)
ALIKE = [event(repo="a"), event(repo="a"), event(repo="b", occurred_at="2026-06-17T09:00:12.123456789Z")]
MANY = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def recorded(path: Path) -> list[Capture]:
    return [parse_capture(line, where="") for line in path.read_bytes().splitlines()]


def _twice(staging: Staging, run_contracts: RunContracts, events: list[dict[str, Any]], *flags: str) -> Iterator[Path]:
    """Publish, record, replay, and record again what the replay made."""
    staging.empty()
    staging.publish(f"staging.{SUBJECT}", *[json.dumps(each, ensure_ascii=False).encode() for each in events])
    first, second = Path(f"{uuid4()}.jsonl"), Path(f"{uuid4()}.jsonl")
    steps = (
        ["record", staging.url, "--stream", STREAM, "--into", first],
        ["replay", "staging", "--from-file", first, "--execute", "--yes-this-is-live", "staging", *flags],
        ["record", staging.url, "--stream", STREAM, "--from-seq", str(len(events) + 1), "--into", second],
    )
    for arguments in steps:
        status, _, err = run_contracts(*arguments)
        assert status == 0, err
    yield first
    yield second


@MANY
@given(events=EVENTS)
@example(events=ALIKE)
def test_a_replay_is_the_inverse_of_a_recording(
    events: list[dict[str, Any]], rehearsal: Staging, run_contracts: RunContracts
) -> None:
    first, second = map(recorded, _twice(rehearsal, run_contracts, events))

    assert [each.event for each in first] == events
    assert [(each.subject, each.event) for each in second] == [(each.subject, each.event) for each in first]


@MANY
@given(events=EVENTS, window=st.integers(2, 5), seed=st.integers(0, 99))
def test_shuffled_and_doubled_it_is_the_same_events_in_another_order(
    events: list[dict[str, Any]], window: int, seed: int, rehearsal: Staging, run_contracts: RunContracts
) -> None:
    flags = ("--shuffle", str(window), "--duplicate", "100%", "--seed", str(seed))

    first, second = map(recorded, _twice(rehearsal, run_contracts, events, *flags))

    assert sorted(each.key for each in second) == sorted(each.key for each in first * 2)


@MANY
@given(events=EVENTS)
@example(events=ALIKE)
def test_rewritten_it_differs_only_in_what_was_to_be_rewritten(
    events: list[dict[str, Any]], rehearsal: Staging, run_contracts: RunContracts
) -> None:
    roots = {each["root"]: f"/srv/staging/{number}" for number, each in enumerate(events)}
    repos = {each["repo"]: f"staging-{number}" for number, each in enumerate(events)}
    flags = ["--rewrite", *[word for pair in roots.items() for word in ("--map-root", "=".join(pair))]]
    flags += [word for pair in repos.items() for word in ("--map-repo", "=".join(pair))]

    first, second = map(recorded, _twice(rehearsal, run_contracts, events, *flags))

    assert [each.event["root"] for each in second] == [roots[each.event["root"]] for each in first]
    assert [each.event["repo"] for each in second] == [repos[each.event["repo"]] for each in first]
    changed = {"occurred_at", "root", "repo", "prepare_command", "session_close"}
    assert [_without(each.event, changed) for each in second] == [_without(each.event, changed) for each in first]
    before, after = ([parse_rfc3339(each.event["occurred_at"]) for each in part] for part in (first, second))
    assert datetime.now(UTC) - timedelta(minutes=5) < max(after) <= datetime.now(UTC)
    for (was, then), (wasnt, now) in itertools.pairwise(zip(before, after, strict=True)):
        assert abs((now - then) - (wasnt - was)) <= timedelta(seconds=1)  # a leap second is the second after it


def _without(payload: Any, names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in payload.items() if name not in names}


@pytest.mark.parametrize("flags", [[], ["--rewrite"], ["--shuffle", "3"]])
def test_a_stream_can_be_replayed_without_a_file_between(
    flags: list[str], rehearsal: Staging, run_contracts: RunContracts
) -> None:
    rehearsal.make_stream("KAIZEN_SCHEDULE", "kaizen.schedule.>")
    rehearsal.publish(SUBJECT, *[json.dumps(event(repo=f"r{number}")).encode() for number in range(20)])
    rehearsal.publish("kaizen.schedule.archived", b"{}")
    source = ("--from-stream", "KAIZEN_SCHEDULE", "--nats", rehearsal.url, "--from-seq", "3", "--subject", SUBJECT)

    status, out, err = run_contracts("replay", "staging", "--execute", *source, *flags)

    assert status == 0, err
    assert "18 events from stream KAIZEN_SCHEDULE" in out
    assert "1 event seen on other subjects" in out
    sent = [json.loads(message.data)["repo"] for message in rehearsal.messages()]
    assert sorted(sent) == sorted(f"r{number}" for number in range(2, 20))
