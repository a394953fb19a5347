"""From `contracts emit --object-store` to the archive: no directory that emitter and archiver share."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from nats.js import JetStreamContext

from archiver.bundles.nats_object_store import ensure_object_store
from archiver.dev_servers import S3Server
from contracts import PreparedEvent
from contracts.toolkit import NatsServer, spool_name
from tests.e2e.kit import Kit
from tests.support.bucket import FlaggedServer
from tests.support.emitter import STAND_IN, write_checkout
from tests.support.servers import require_binary

BUCKET = "KAIZEN_BUNDLES"


@pytest.fixture(params=[NatsServer, FlaggedServer], ids=["usual", "js_ack_fc_v2"])
def kit(request: pytest.FixtureRequest, s3_server: S3Server, tmp_path: Path) -> Iterator[Kit]:
    """The usual kit, also with acknowledgement subjects that nats-py's own Object Store does not understand."""
    require_binary(NatsServer.binary)
    with request.param(tmp_path / "nats") as nats:
        kit = Kit.make(nats, s3_server, tmp_path)
        kit.init()
        try:
            yield kit
        finally:
            kit.close()


@pytest.fixture
def emitter(kit: Kit, tmp_path: Path) -> Kit:
    """A kit with a bucket, a checkout, and an emitter's own spool."""
    kit.on_the_bus(lambda client: ensure_object_store(client, BUCKET))
    write_checkout(tmp_path / "checkout")
    (tmp_path / "outbox").mkdir()
    return kit


def emit(kit: Kit, *more: str | Path) -> None:
    words = ["coach", "--root", kit.home / "checkout", "--repo", "kaizen-agentic", "--cadence", "weekly"]
    kit.command("contracts", "emit", *words, "--program", STAND_IN, *more)


def in_the_bucket(kit: Kit) -> list[str]:
    """List the objects that are not deleted, without a consumer, which the flag would break."""

    async def names(jetstream: JetStreamContext) -> list[str]:
        state = (await jetstream.stream_info(f"OBJ_{BUCKET}", subjects_filter=f"$O.{BUCKET}.M.>")).state
        found = [await jetstream.get_last_msg(f"OBJ_{BUCKET}", subject) for subject in state.subjects or ()]
        told = [json.loads(each.data or b"") for each in found]
        return [each["name"] for each in told if not each["deleted"]]

    return kit.on_the_bus(lambda client: names(client.jetstream()))


@pytest.mark.parametrize("how", [[], ["--keep"]], ids=["released", "kept"])
def test_a_bundle_in_the_object_store_is_archived_and_then_released(emitter: Kit, how: list[str]) -> None:
    emit(emitter, "--spool", emitter.home / "outbox", "--object-store", BUCKET)
    (name,) = in_the_bucket(emitter)

    emitter.archiver("run", "--until-idle", *how, ARCHIVER_SOURCES="object_store", ARCHIVER_SPOOL=None)

    (reference,) = (json.loads(raw) for raw in emitter.objects("refs").values())
    (blob,) = emitter.objects("blobs").values()
    (follow_up,) = emitter.follow_ups()
    event = PreparedEvent.from_checked(reference["event"])
    assert name == spool_name(event)
    assert len(blob) == event.bundle.bytes
    assert reference["bundle"]["obtained_from"] == follow_up["archive"]["obtained_from"] == "object_store"
    assert in_the_bucket(emitter) == ([name] if how else [])
    assert emitter.letters() == []
    assert emitter.is_drained()


def test_one_archiver_serves_emitters_of_both_kinds(emitter: Kit) -> None:
    emit(emitter, "--spool", emitter.home / "outbox", "--object-store", BUCKET)
    emit(emitter, "--spool", emitter.home / "spool")

    emitter.archiver("run", "--until-idle", ARCHIVER_SOURCES="spool,object_store")

    references = [json.loads(raw) for raw in emitter.objects("refs").values()]
    assert sorted(each["bundle"]["obtained_from"] for each in references) == ["object_store", "spool"]
    assert in_the_bucket(emitter) == []
    assert list((emitter.home / "spool").iterdir()) == []
