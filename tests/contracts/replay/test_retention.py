"""Replays into, and records from, streams of every retention: nothing is consumed, and it works the second time too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig, RetentionPolicy, StreamConfig

from contracts.replay.send.journal import JOURNAL
from tests.contracts.conftest import RunContracts
from tests.contracts.replay.conftest import STREAM, SUBJECT, Staging

RETENTIONS = [*RetentionPolicy]
PREFIXED = f"staging.{SUBJECT}"


@pytest.fixture(params=RETENTIONS)
def kept(request: pytest.FixtureRequest, staging: Staging) -> Staging:
    """The target's stream with one retention, and a consumer of all of it that has taken nothing yet."""

    async def make(client: Client) -> None:
        context = client.jetstream()
        config = StreamConfig(name=STREAM, subjects=["staging.kaizen.schedule.>"], retention=request.param)
        await context.add_stream(config)
        await context.add_consumer(STREAM, ConsumerConfig(durable_name="worker", ack_policy=AckPolicy.EXPLICIT))

    staging.ask(make)
    return staging


def pending(staging: Staging) -> list[tuple[str, int]]:
    """Every consumer of the stream, and how many messages wait for it."""

    async def count(client: Client) -> Any:
        return [(each.name, each.num_pending) for each in await client.jetstream().consumers_info(STREAM)]

    found: list[tuple[str, int]] = staging.ask(count)
    return found


def test_a_stream_is_replayed_into_again_and_again_and_recorded_from(
    kept: Staging, run_contracts: RunContracts
) -> None:
    sent = [run_contracts("replay", "staging", "--execute", "--fixtures")[0] for _ in range(3)]
    count = len(kept.messages())
    source = f"{kept.url}/{PREFIXED}"
    recorded = run_contracts("record", source, "--stream", STREAM, "--into", "all.jsonl")
    some = run_contracts(
        "record", source, "--stream", STREAM, "--from-seq", "5", "--count", "3", "--into", "some.jsonl"
    )
    since = run_contracts("record", source, "--stream", STREAM, "--since", "1h", "--into", "since.jsonl")
    again = run_contracts(
        *("replay", "staging", "--execute", "--from-stream", STREAM, "--nats", kept.url, "--from-seq", str(count - 4))
    )

    assert sent == [0, 0, 0]
    assert [each[0] for each in (recorded, some, since, again)] == [0, 0, 0, 0], again[2]
    lines = [json.loads(line) for line in Path("all.jsonl").read_text("utf-8").splitlines()]
    assert [each["origin"] for each in lines] == [f"{STREAM} #{number}" for number in range(1, count + 1)]
    assert Path("since.jsonl").read_bytes() == Path("all.jsonl").read_bytes()
    assert [json.loads(line)["origin"] for line in Path("some.jsonl").read_text("utf-8").splitlines()] == [
        f"{STREAM} #{number}" for number in (5, 6, 7)
    ]
    assert len(kept.messages()) == count + 5
    assert pending(kept) == [("worker", count + 5)]


def test_what_an_interrupted_run_sent_is_found_in_the_stream(kept: Staging, run_contracts: RunContracts) -> None:
    assert run_contracts("replay", "staging", "--execute", "--fixtures")[0] == 0
    count = len(kept.messages())
    (run,) = Path("replays").iterdir()
    (run / "report.json").unlink()
    journal = (run / JOURNAL).read_bytes().splitlines(keepends=True)
    (run / JOURNAL).write_bytes(b"".join(journal[:-5]))

    status, _, err = run_contracts("replay", "--resume", run)

    assert status == 0, err
    report = json.loads((run / "report.json").read_bytes())
    assert (report["confirmed"], report["duplicate"]) == (count, 0)
    assert len(kept.messages()) == count
    assert pending(kept) == [("worker", count)]


def test_another_publisher_is_noticed(kept: Staging, run_contracts: RunContracts) -> None:
    kept.publish(PREFIXED, b"{}")
    status, _, err = run_contracts("replay", "staging", "--execute", "--fixtures")
    assert (status, "others publish to stream" in err) == (2, True)
    assert len(kept.messages()) == 1
