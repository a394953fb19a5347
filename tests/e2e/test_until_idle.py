"""`archiver run --until-idle` is a job: it ends, says what it waited for, and its status says whether all was done."""

from __future__ import annotations

import json

import pytest
from nats.aio.client import Client

from tests.e2e.kit import STREAM, Kit
from tests.support.builders import event


async def delete_consumer(client: Client) -> None:
    await client.jetstream().delete_consumer(STREAM, "archiver")


async def delete_stream(client: Client) -> None:
    await client.jetstream().delete_stream(STREAM)


@pytest.mark.parametrize("delete", [delete_consumer, delete_stream])
def test_a_job_whose_consumer_or_stream_is_deleted_ends_with_status_4(kit: Kit, delete: object) -> None:
    kit.publish(event(), bundle=None)
    job = kit.start("archiver", "run", "--until-idle")
    job.wait_for("no bundle at")

    kit.on_the_bus(delete)  # type: ignore[arg-type] # one of the two above

    assert job.ended() == 4
    assert "create both: archiver init" in job.err.read_text()
    assert "Traceback" not in job.err.read_text()


def test_a_job_that_waits_for_a_bundle_says_so_and_ends_within_its_limit(kit: Kit) -> None:
    kit.publish(event(), bundle=None)

    done = kit.archiver("run", "--until-idle", "--max-wait", "3", status=4)

    said = done.stderr.decode()
    assert "1 event is waiting (bundle_not_there: 1)" in said
    assert "nothing was finished for 3 s" in said
    assert "--max-wait" in said
    [waiting] = [json.loads(line) for line in said.splitlines() if '"waiting"' in line][:1]
    assert 0 < waiting["at_most_s"] <= 3
    assert "retried" in done.stdout.decode()
    assert not kit.is_drained(), "it is still in the stream"


def test_a_redriven_dead_letter_without_its_bundle_does_not_hold_a_job(kit: Kit) -> None:
    kit.publish(event(), bundle=None)
    kit.archiver("run", "--until-idle", ARCHIVER_BUNDLE_DEADLINE_S="0")
    kit.archiver("dead", "redrive", "--all")

    done = kit.archiver("run", "--until-idle", "--max-wait", "2", status=4)

    assert "bundle_not_there" in done.stderr.decode()


def test_the_limit_is_of_a_job_only(kit: Kit) -> None:
    done = kit.archiver("run", "--max-wait", "2", status=2)

    assert "--max-wait needs --until-idle" in done.stderr.decode()
