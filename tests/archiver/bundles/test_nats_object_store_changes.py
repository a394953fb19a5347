"""An object that others change while it is read or released, and a bucket or a server that goes away meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nats.js import JetStreamContext

from archiver.bundles.nats_object_store import BundleNotWhole, ensure_object_store
from archiver.core.errors import BundleMissing, SourceUnavailable
from contracts.toolkit import NatsServer
from tests.e2e.kit import frozen
from tests.support.bucket import CHUNK, EVENT, NAME, Bucket, Steps, on
from tests.support.builders import BUNDLE
from tests.support.servers import require_binary

FIVE_CHUNKS = bytes(5 * CHUNK)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A server that a test may stop."""
    require_binary(NatsServer.binary)
    with NatsServer(tmp_path / "nats") as server:
        yield server


async def purge(bucket: Bucket) -> None:
    await bucket.jetstream.purge_stream(bucket.stream, subject=f"$O.{bucket.name}.C.>")


async def replace(bucket: Bucket) -> None:
    await bucket.put(b"rendered again")


async def delete(bucket: Bucket) -> None:
    await (await bucket.jetstream.object_store(bucket.name)).delete(NAME)


async def delete_bucket(bucket: Bucket) -> None:
    await bucket.jetstream.delete_object_store(bucket.name)


def before_third_chunk(monkeypatch: pytest.MonkeyPatch, bucket: Bucket, meanwhile: Steps) -> None:
    """Take other steps when two chunks have been read."""
    really_get, asked = JetStreamContext.get_msg, [0]

    async def get(self: JetStreamContext, *words: Any, **more: Any) -> Any:
        asked[0] += bool(more.get("next"))
        if asked[0] == 3:
            asked[0] += 1
            await meanwhile(bucket)
        return await really_get(self, *words, **more)

    monkeypatch.setattr(JetStreamContext, "get_msg", get)


@pytest.mark.parametrize(
    ("meanwhile", "error", "why"),
    [
        (purge, BundleNotWhole, "2 of its 5 chunks are there"),
        (replace, BundleNotWhole, "2 of its 5 chunks are there"),
        (delete, BundleNotWhole, "2 of its 5 chunks are there"),
        (delete_bucket, SourceUnavailable, "NATS has no bucket"),
    ],
)
def test_what_goes_while_it_is_read_is_never_handed_out(
    nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch, meanwhile: Steps, error: type[Exception], why: str
) -> None:
    async def steps(bucket: Bucket) -> None:
        await bucket.put(FIVE_CHUNKS)
        before_third_chunk(monkeypatch, bucket, meanwhile)

        with pytest.raises(error, match=why):
            await bucket.read()

    on(nats_server, steps)


@pytest.mark.parametrize("limits", [{"answer_s": 0.3}, {"whole_s": 0.3}], ids=str)
def test_a_server_that_stops_answering_in_the_middle_is_given_up_in_time(
    own_server: NatsServer, monkeypatch: pytest.MonkeyPatch, limits: dict[str, float]
) -> None:
    async def steps(bucket: Bucket) -> None:
        await bucket.put(FIVE_CHUNKS)
        freezing = frozen(own_server)

        async def freeze(_: Bucket) -> None:
            freezing.__enter__()

        before_third_chunk(monkeypatch, bucket, freeze)
        began = time.monotonic()
        try:
            with pytest.raises(SourceUnavailable, match=f"{bucket.name}.*no answer in time"):
                await bucket.read(**limits)
        finally:
            freezing.__exit__(None, None, None)

        assert time.monotonic() - began < 4
        assert await bucket.read() == FIVE_CHUNKS, "what is given up once may be asked for again"

    on(own_server, steps)


def test_a_server_that_has_gone_blames_no_event(own_server: NatsServer) -> None:
    async def steps(bucket: Bucket) -> None:
        await bucket.put(FIVE_CHUNKS)
        await asyncio.to_thread(own_server.stop)

        with pytest.raises(SourceUnavailable, match=f"could not read the object {bucket.name}"):
            await bucket.read(answer_s=0.3)

    on(own_server, steps)


async def released(bucket: Bucket, meanwhile: Steps) -> None:
    """Read the bundle, let others act, release it."""
    async with bucket.source().open(EVENT) as bundle:
        pass
    await meanwhile(bucket)
    await bundle.release()


async def nothing(_: Bucket) -> None:
    pass


def test_a_released_bundle_is_deleted_as_other_clients_delete_it_and_others_are_left(nats_server: NatsServer) -> None:
    async def steps(bucket: Bucket) -> None:
        await bucket.put(b"another bundle", "another.md")
        others = await bucket.messages()
        put = await bucket.put(FIVE_CHUNKS)

        await released(bucket, nothing)

        store = await bucket.jetstream.object_store(bucket.name)
        told = await store.get_info(NAME, show_deleted=True)
        assert (told.deleted, told.size, told.chunks, told.nuid) == (True, 0, 0, put["nuid"])
        assert [info.name for info in await store.list(ignore_deletes=True)] == ["another.md"]
        assert await bucket.messages() == others + 1, "the note that it is deleted; no chunk"
        with pytest.raises(BundleMissing):
            await bucket.read()
        await bucket.put(b"and put again")
        assert await bucket.read() == b"and put again"

    on(nats_server, steps)


async def purge_everything(bucket: Bucket) -> None:
    await bucket.jetstream.purge_stream(bucket.stream)


async def release_elsewhere(bucket: Bucket) -> None:
    await released(bucket, nothing)


@pytest.mark.parametrize("meanwhile", [delete, release_elsewhere, purge_everything])
def test_a_bundle_that_has_gone_already_is_released(nats_server: NatsServer, meanwhile: Steps) -> None:
    async def steps(bucket: Bucket) -> None:
        await bucket.put(FIVE_CHUNKS)

        await released(bucket, meanwhile)

        with pytest.raises(BundleMissing):
            await bucket.read()

    on(nats_server, steps)


async def replace_by_the_same(bucket: Bucket) -> None:
    await bucket.put(BUNDLE)


@pytest.mark.parametrize("meanwhile", [replace, replace_by_the_same])
def test_a_bundle_that_was_put_again_meanwhile_stays(nats_server: NatsServer, meanwhile: Steps) -> None:
    async def steps(bucket: Bucket) -> None:
        await bucket.put(BUNDLE)

        await released(bucket, meanwhile)

        assert await bucket.read() == (BUNDLE if meanwhile is replace_by_the_same else b"rendered again")

    on(nats_server, steps)


def test_a_bundle_that_cannot_be_released_says_why(nats_server: NatsServer) -> None:
    async def steps(bucket: Bucket) -> None:
        await bucket.put(BUNDLE)

        with pytest.raises(SourceUnavailable, match=f"could not delete the object {bucket.name}/{NAME}"):
            await released(bucket, delete_bucket)

    on(nats_server, steps)


def test_a_bucket_is_made_where_it_is_missing_and_otherwise_left_as_it_is(nats_server: NatsServer) -> None:
    async def steps(bucket: Bucket) -> None:
        made = await bucket.jetstream.stream_info(bucket.stream)
        assert made.config.max_age == 30 * 24 * 3600

        assert not await ensure_object_store(bucket.client, bucket.name)

        await delete_bucket(bucket)
        await bucket.jetstream.create_object_store(bucket.name, ttl=60)
        assert not await ensure_object_store(bucket.client, bucket.name)
        assert (await bucket.jetstream.stream_info(bucket.stream)).config.max_age == 60

    on(nats_server, steps)
