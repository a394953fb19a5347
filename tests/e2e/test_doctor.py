"""`archiver doctor`: every difference from what is needed is named with what it leads to, on real servers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from nats.aio.client import Client
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)

from archiver.dev_servers import NatsServer, S3Server
from tests.e2e.kit import STREAM, Kit

CONSUMER = "consumer archiver"


@pytest.fixture(scope="module")
def admins_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A store of this module alone, whose identity may change and ask for everything."""
    with S3Server(tmp_path_factory.mktemp("doctor"), bucket="doctored", admin=True) as store:
        yield store


@pytest.fixture
def healthy(bare_kit: Kit, admins_store: S3Server) -> Kit:
    """Everything as it is needed."""
    bare_kit.store = admins_store
    bare_kit.environment |= {
        "AWS_ENDPOINT_URL_S3": admins_store.url,
        "AWS_ACCESS_KEY_ID": admins_store.access_key,
        "AWS_SECRET_ACCESS_KEY": admins_store.secret_key,
        "ARCHIVER_BUCKET": admins_store.bucket,
        "ARCHIVER_ACK_WAIT_S": "60",
        "ARCHIVER_MAX_BUNDLE_BYTES": "1024",
    }
    set_versioning(bare_kit, "Enabled")
    bare_kit.init()
    return bare_kit


def s3(kit: Kit) -> object:
    return boto3.client(
        "s3",
        endpoint_url=kit.store.url,
        region_name="us-east-1",
        aws_access_key_id=kit.store.access_key,
        aws_secret_access_key=kit.store.secret_key,
    )


def set_versioning(kit: Kit, status: str) -> None:
    s3(kit).put_bucket_versioning(Bucket=kit.store.bucket, VersioningConfiguration={"Status": status})


def told(kit: Kit, status: int, **changes: str | None) -> list[dict[str, str]]:
    said = kit.archiver("doctor", "--json", status=status, **changes).stdout
    return [json.loads(line) for line in said.splitlines()]


def named(checks: list[dict[str, str]], verdict: str) -> set[tuple[str, str]]:
    """List (group, name) of the checks with a verdict; a group by its first words."""
    return {(each["group"].partition(" at ")[0], each["name"]) for each in checks if each["verdict"] == verdict}


def test_all_is_well_where_nothing_differs_and_what_cannot_be_seen_is_said(healthy: Kit) -> None:
    checks = told(healthy, status=0)

    assert named(checks, "differs") == named(checks, "failed") == set()
    assert named(checks, "unknown") == {("NATS", "sync_interval")}
    [sync] = [each for each in checks if each["name"] == "sync_interval"]
    assert sync["wanted"] == "always"
    assert "power failure" in sync["consequence"]
    assert {each["name"] for each in checks} >= {"nats-server", "nats-py", "boto3", "object lock", "clock"}
    assert healthy.objects("probe/") == {}, "as it was before"


def test_each_line_says_verdict_name_and_what_was_found(healthy: Kit) -> None:
    lines = healthy.archiver("doctor").stdout.decode().splitlines()

    assert lines[0] == f"bucket doctored at {healthy.store.url}"
    assert "  ok       versioning: found Enabled" in lines
    assert f"stream {STREAM}" in lines
    assert "  ok       max_age: found 30 d" in lines


def test_every_setting_of_stream_and_consumer_that_differs_is_named_as_init_names_it(healthy: Kit) -> None:
    async def spoil(client: Client) -> None:
        jetstream = client.jetstream()
        await jetstream.delete_stream(STREAM)
        await jetstream.add_stream(
            StreamConfig(
                name=STREAM,
                subjects=["kaizen.schedule.prepared", "other.>"],
                storage=StorageType.MEMORY,
                retention=RetentionPolicy.INTEREST,
                discard=DiscardPolicy.OLD,
                max_msgs_per_subject=1,
                max_age=3600,
                duplicate_window=1,
            )
        )
        await jetstream.add_consumer(
            STREAM,
            ConsumerConfig(
                durable_name="archiver",
                ack_policy=AckPolicy.ALL,
                deliver_policy=DeliverPolicy.NEW,
                max_deliver=3,
                backoff=[1, 5],
                max_ack_pending=10,
            ),
        )

    healthy.on_the_bus(spoil)

    checks = told(healthy, status=1)

    stream = f"stream {STREAM}"
    assert named(checks, "differs") == {
        *((stream, name) for name in ("subjects", "storage", "retention", "discard")),
        *((stream, name) for name in ("max_msgs_per_subject", "max_age", "duplicate_window")),
        *((CONSUMER, name) for name in ("filter_subject", "ack_policy", "deliver_policy", "ack_wait", "max_deliver")),
        *((CONSUMER, name) for name in ("backoff", "max_ack_pending", "ack_wait against the store")),
    }
    found = {each["name"]: each for each in checks if each["verdict"] == "differs"}
    assert all(each["consequence"] for each in found.values())
    assert (found["max_age"]["found"], found["max_age"]["wanted"]) == ("1 h", "at least 30 d")
    assert (found["backoff"]["found"], found["backoff"]["wanted"]) == ("1 s, 5 s", "none")
    assert "at least 46 s" in found["ack_wait against the store"]["wanted"], "twice 3 s and 20 s"
    doctors = {line.split(maxsplit=1)[1] for line in _lines(healthy, "doctor") if line.startswith("  differs")}
    assert {line.strip() for line in _lines(healthy, "init") if line.startswith("    ")} == {
        line for line in doctors if not line.startswith("ack_wait against")
    }


def _lines(kit: Kit, verb: str) -> list[str]:
    return kit.archiver(verb, status=1).stdout.decode().splitlines()


def test_more_than_is_needed_is_no_difference_and_is_not_taken_away(healthy: Kit) -> None:
    async def be_generous(client: Client) -> None:
        jetstream = client.jetstream()
        stream = (await jetstream.stream_info(STREAM)).config
        await jetstream.update_stream(stream.evolve(max_age=365 * 86400, duplicate_window=600))
        consumer = (await jetstream.consumer_info(STREAM, "archiver")).config
        await jetstream.add_consumer(STREAM, consumer.evolve(max_ack_pending=-1))

    healthy.on_the_bus(be_generous)

    told(healthy, status=0)
    healthy.archiver("init", "--apply")
    kept = {each["name"]: each["found"] for each in told(healthy, status=0) if each["group"] == f"stream {STREAM}"}
    assert (kept["max_age"], kept["duplicate_window"]) == ("365 d", "10 min")


def test_what_is_missing_is_told_with_who_makes_it(healthy: Kit) -> None:
    healthy.on_the_bus(lambda client: client.jetstream().delete_stream(STREAM))

    checks = told(healthy, status=1)

    assert named(checks, "differs") == {(f"stream {STREAM}", "state"), (CONSUMER, "state")}
    assert all("archiver init" in each["consequence"] for each in checks if each["verdict"] == "differs")


def test_a_bucket_that_keeps_no_versions_any_more_is_named(healthy: Kit) -> None:
    set_versioning(healthy, "Suspended")

    [found] = [each for each in told(healthy, status=1) if each["verdict"] == "differs"]

    assert (found["name"], found["found"], found["wanted"]) == ("versioning", "Suspended", "Enabled")
    assert "is gone" in found["consequence"]


def test_rules_of_the_bucket_that_delete_the_archive_are_named(healthy: Kit) -> None:
    rule = {"ID": "tidy", "Status": "Enabled", "Filter": {"Prefix": healthy.prefix}, "Expiration": {"Days": 30}}
    client = s3(healthy)
    client.put_bucket_lifecycle_configuration(Bucket=healthy.store.bucket, LifecycleConfiguration={"Rules": [rule]})
    try:
        checks = told(healthy, status=1)
    finally:
        client.delete_bucket_lifecycle(Bucket=healthy.store.bucket)

    assert {name for _, name in named(checks, "differs")} == {
        "lifecycle of blobs/v1/sha256/",
        "lifecycle of refs/v1/",
    }
    assert {each["found"] for each in checks if each["name"].startswith("lifecycle")} == {"deleted after 30 d"}


def test_a_worker_that_may_not_ask_is_told_what_it_cannot_know(kit: Kit) -> None:
    checks = told(kit, status=1)

    assert ("bucket archive", "object lock") in named(checks, "unknown")
    assert ("bucket archive", "create-only writes") in named(checks, "ok"), "which only needs what a worker may"


@pytest.mark.parametrize(
    ("changes", "group"),
    [
        ({"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1"}, "bucket doctored"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "bucket doctored"),
        ({"ARCHIVER_BUCKET": "no-such-bucket"}, "bucket no-such-bucket"),
        ({"NATS_URL": "nats://127.0.0.1:1"}, "NATS"),
    ],
    ids=str,
)
def test_what_cannot_be_reached_is_told_and_so_is_the_rest(healthy: Kit, changes: dict[str, str], group: str) -> None:
    checks = told(healthy, status=4, **changes)

    assert [each for each, _ in named(checks, "failed")] == [group], "said once, and waited for once"
    others = {"bucket doctored", "NATS", "spool", "versions"} - {group}
    assert {each for each, _ in named(checks, "ok")} >= others - ({"bucket doctored"} if "bucket" in group else set())


def test_a_missing_bucket_is_not_made_by_looking(healthy: Kit) -> None:
    told(healthy, status=4, ARCHIVER_BUCKET="no-such-bucket")

    assert [each["Name"] for each in s3(healthy).list_buckets()["Buckets"]] == ["doctored"]


def test_a_server_without_jetstream_is_told(healthy: Kit, tmp_path: Path) -> None:
    class Core(NatsServer):
        def write_private(self, name: str, content: dict) -> Path:
            return super().write_private(name, {key: each for key, each in content.items() if key != "jetstream"})

    (tmp_path / "core").mkdir()
    with Core(tmp_path / "core") as nats:
        checks = told(healthy, status=4, NATS_URL=nats.url)

    assert named(checks, "failed") == {("NATS", "JetStream")}


@pytest.mark.parametrize("spool", ["/none/here", None], ids=str)
def test_a_spool_that_is_not_there_is_named(healthy: Kit, spool: str | None) -> None:
    checks = told(healthy, status=1, ARCHIVER_SPOOL=spool)

    assert named(checks, "differs") == {("spool", "directory")}


def test_a_spool_without_room_for_a_bundle_is_named(healthy: Kit) -> None:
    checks = told(healthy, status=1, ARCHIVER_MAX_BUNDLE_BYTES=str(2**60))

    assert named(checks, "differs") == {("spool", "free space")}


def test_where_bundles_come_over_nats_no_spool_is_looked_for(healthy: Kit) -> None:
    checks = told(healthy, status=0, ARCHIVER_SPOOL=None, ARCHIVER_SOURCES="object_store")

    assert not [each for each in checks if each["group"] == "spool"]
