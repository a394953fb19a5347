"""What a run came to, for people and for programs."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import jsonschema_rs
import pytest

from contracts.errors import Exit
from contracts.replay.send.archived import _percentile
from contracts.replay.send.report import Archived, ReplayReport
from tests.contracts.conftest import RunContracts
from tests.contracts.replay.send.runs import key_of

ALL_WELL = ReplayReport(
    run_id="run-1",
    target="staging",
    url="nats://127.0.0.1:4222",
    messages=10,
    confirmed=8,
    duplicate=2,
    refused=0,
    unknown=0,
    retried=2,
    reasons={},
    resumed=False,
    took_s=2.0,
    rate_per_s=5.0,
    longest_gap_s=0.25,
)
LATE = Archived(awaited=10, archived=9, never=(key_of(1),), p50_s=0.1, p95_s=0.2, p99_s=0.2)
NOTHING = Archived(awaited=0, archived=0, never=(), p50_s=None, p95_s=None, p99_s=None)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, Exit.OK),
        ({"confirmed": 7}, Exit.BROKEN),  # one is not accounted for
        ({"confirmed": 7, "refused": 1, "reasons": {"HTTP 404": 1}}, Exit.BROKEN),
        ({"duplicate": 1, "unknown": 1, "reasons": {"lost": 1}}, Exit.BROKEN),
        ({"archived": LATE}, Exit.BROKEN),
        ({"archived": NOTHING}, Exit.OK),
    ],
)
def test_a_run_passes_only_if_the_target_has_everything_as_the_schema_states(
    changes: dict[str, Any], status: Exit, run_contracts: RunContracts
) -> None:
    report = replace(ALL_WELL, **changes)
    assert report.exit_code is status
    said = json.loads(json.dumps(report.to_json()))
    assert said["passes"] == (status is Exit.OK)
    code, schema, _ = run_contracts("schema", "replay")
    assert code == 0
    jsonschema_rs.Draft202012Validator(json.loads(schema)).validate(said)


def test_the_table_says_what_was_counted_and_why() -> None:
    rows = replace(ALL_WELL, confirmed=7, refused=1, reasons={"HTTP 404": 1}, archived=LATE).rows()
    assert rows == [
        ("sent", "10"),
        ("confirmed", "7"),
        ("duplicate", "2"),
        ("refused", "1"),
        ("unknown", "0"),
        ("retried", "2"),
        ("rate", "5.0/s"),
        ("longest gap", "0.250 s"),
        ("archived", "9 of 10"),
        ("archived within, p50", "0.100 s"),
        ("archived within, p95", "0.200 s"),
        ("archived within, p99", "0.200 s"),
        ("never archived", key_of(1)),
        ("why", "HTTP 404: 1"),
    ]


@pytest.mark.parametrize(
    ("count", "percent", "rank"), [(1, 50, 1), (1, 99, 1), (100, 50, 50), (100, 95, 95), (100, 99, 99), (7, 50, 4)]
)
def test_a_percentile_is_one_of_the_measured_times(count: int, percent: int, rank: int) -> None:
    assert _percentile([float(number) for number in range(1, count + 1)], percent) == rank
    assert _percentile([], percent) is None
