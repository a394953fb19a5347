"""`archiver init`: says what it found, and changes nothing unasked."""

from __future__ import annotations

from pathlib import Path

from nats.aio.client import Client
from nats.js.api import ConsumerConfig, DiscardPolicy, StreamConfig

from archiver.dev_servers import S3Server
from tests.e2e.kit import STREAM, Kit
from tests.support.builders import event

PARTS = [f"stream {STREAM}", "stream KAIZEN_ARCHIVE_DLQ", "consumer archiver"]


def told(kit: Kit, *words: str, status: int = 0, **changes: str | None) -> list[str]:
    return kit.archiver("init", *words, status=status, **changes).stdout.decode().splitlines()


def config_of_the_stream(kit: Kit) -> StreamConfig:
    async def steps(client: Client) -> StreamConfig:
        return (await client.jetstream().stream_info(STREAM)).config

    return kit.on_the_bus(steps)


def change_stream(kit: Kit, **changes: object) -> None:
    wanted = config_of_the_stream(kit).evolve(**changes)
    kit.on_the_bus(lambda client: client.jetstream().update_stream(wanted))


def test_it_creates_what_is_missing_and_finds_it_as_wanted_the_second_time(bare_kit: Kit) -> None:
    bucket = f"bucket {bare_kit.store.bucket}: there"

    assert told(bare_kit) == [bucket, *(f"{part}: created" for part in PARTS)]
    assert told(bare_kit) == [bucket, *(f"{part}: as wanted" for part in PARTS)]


def test_what_differs_is_told_with_its_consequence_and_changed_only_when_asked(kit: Kit) -> None:
    kit.publish(event())
    change_stream(kit, discard=DiscardPolicy.OLD, max_age=3600)
    found = config_of_the_stream(kit)

    said = kit.archiver("init", status=1)

    lines = said.stdout.decode().splitlines()
    assert f"stream {STREAM}: differs" in lines
    assert [line for line in lines if "discard: found old, wanted new: " in line and "never archived" in line]
    assert [line for line in lines if "max_age: found 1 h, wanted at least 30 d: " in line]
    assert "archiver init --apply changes it" in said.stderr.decode()
    assert config_of_the_stream(kit) == found

    assert f"stream {STREAM}: changed" in told(kit, "--apply")
    assert config_of_the_stream(kit).discard == DiscardPolicy.NEW
    assert told(kit)[1:] == [f"{part}: as wanted" for part in PARTS]
    assert kit.archiver("run", "--until-idle").stdout == b"1 archived\n", "nothing was lost by it"


def test_a_consumer_that_differs_is_told_and_changed_only_when_asked(kit: Kit) -> None:
    lines = told(kit, status=1, ARCHIVER_ACK_WAIT_S="90")

    assert "consumer archiver: differs" in lines
    assert [line for line in lines if "ack_wait: found 1 s, wanted 90 s: shorter than an upload takes" in line]
    assert kit.consumer().config.ack_wait == 1

    assert "consumer archiver: changed" in told(kit, "--apply", ARCHIVER_ACK_WAIT_S="90")
    assert kit.consumer().config.ack_wait == 90


def test_what_the_server_will_not_change_is_told_in_its_own_words(kit: Kit) -> None:
    async def recreate(client: Client) -> None:
        jetstream = client.jetstream()
        await jetstream.delete_consumer(STREAM, "archiver")
        await jetstream.add_consumer(STREAM, ConsumerConfig(durable_name="archiver", ack_policy="none"))

    kit.on_the_bus(recreate)

    said = kit.archiver("init", "--apply", status=4).stderr.decode()

    assert "could not set up streams and consumer" in said
    assert "ack policy" in said.lower()


def test_a_bucket_is_created_only_on_request(bare_kit: Kit) -> None:
    missing = {"ARCHIVER_BUCKET": "not-made-yet"}

    said = bare_kit.archiver("init", status=4, **missing).stderr.decode()

    assert "bucket 'not-made-yet' does not exist" in said
    assert "archiver init --create-bucket" in said
    # The identity of the tests may not make buckets, which is how a worker's should be.
    refused = bare_kit.archiver("init", "--create-bucket", status=4, **missing).stderr.decode()
    assert "make bucket 'not-made-yet'" in refused
    assert "AccessDenied" in refused


def test_an_identity_that_may_not_make_buckets_may_ask_for_one_that_is_there(bare_kit: Kit) -> None:
    assert f"bucket {bare_kit.store.bucket}: there" in told(bare_kit, "--create-bucket")


def test_a_bucket_is_made_for_an_identity_that_may(bare_kit: Kit, tmp_path: Path) -> None:
    with S3Server(tmp_path / "s3", bucket="", admin=True) as store:
        bare_kit.environment |= {
            "AWS_ENDPOINT_URL_S3": store.url,
            "AWS_ACCESS_KEY_ID": store.access_key,
            "AWS_SECRET_ACCESS_KEY": store.secret_key,
            "ARCHIVER_BUCKET": "made-on-request",
        }
        assert told(bare_kit, "--create-bucket")[:2] == ["bucket made-on-request: created", f"{PARTS[0]}: created"]
        assert "bucket made-on-request: there" in told(bare_kit)
