"""Bundles in the NATS Object Store, on a real server, and on one that numbers its acknowledgements the new way."""

from __future__ import annotations

import errno
import os
import tracemalloc
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from nats.js.api import ObjectLink

from archiver.bundles import nats_object_store as object_store
from archiver.bundles.nats_object_store import BundleNotWhole
from archiver.core.errors import BundleMissing, BundleRefused, SourceUnavailable
from archiver.core.outcome import Cause
from contracts.toolkit import NatsServer
from tests.support.bucket import CHUNK, EVENT, MAX_BYTES, NAME, Bucket, FlaggedServer, Steps, on
from tests.support.builders import BUNDLE
from tests.support.servers import require_binary


@pytest.fixture(scope="module")
def flagged_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    require_binary(NatsServer.binary)
    with FlaggedServer(tmp_path_factory.mktemp("flagged")) as server:
        yield server


@pytest.fixture(params=["nats_server", "flagged_server"])
def any_server(request: pytest.FixtureRequest) -> NatsServer:
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("size", [0, 1, CHUNK, CHUNK + 1, 5 << 20])
def test_a_bundle_of_any_size_is_read_whole(any_server: NatsServer, size: int) -> None:
    data = os.urandom(size)

    async def steps(bucket: Bucket) -> None:
        await bucket.put(b"another bundle", "another.md")
        await bucket.put(data)

        assert await bucket.read() == data
        assert await bucket.read() == data, "the connection is as good as before"

    on(any_server, steps)


def test_chunks_may_be_as_large_as_the_server_takes_them(nats_server: NatsServer) -> None:
    data = os.urandom(3_000_000)

    async def steps(bucket: Bucket) -> None:
        await bucket.put(data, max_chunk_size=1_000_000)

        assert await bucket.read() == data

    on(nats_server, steps)


def test_a_large_bundle_needs_little_memory(nats_server: NatsServer) -> None:
    async def steps(bucket: Bucket) -> None:
        await bucket.put(bytes(32 << 20))
        tracemalloc.start()
        try:
            async with bucket.source().open(EVENT) as bundle:
                assert bundle.size_bytes == 32 << 20
                assert tracemalloc.get_traced_memory()[1] < 4 << 20
        finally:
            tracemalloc.stop()

    on(nats_server, steps)


async def nothing(_: Bucket) -> None:
    pass


async def deleted(bucket: Bucket) -> None:
    await bucket.put(BUNDLE)
    await (await bucket.jetstream.object_store(bucket.name)).delete(NAME)


@pytest.mark.parametrize("before", [nothing, deleted])
def test_a_bundle_that_is_not_there_is_missing(nats_server: NatsServer, before: Steps) -> None:
    async def steps(bucket: Bucket) -> None:
        await before(bucket)

        with pytest.raises(BundleMissing, match=f"^no bundle at object {bucket.name}/{NAME}$"):
            await bucket.read()

    on(nats_server, steps)


def test_a_bucket_that_is_not_there_blames_no_event_and_says_what_to_do(nats_server: NatsServer) -> None:
    async def steps(bucket: Bucket) -> None:
        await bucket.jetstream.delete_object_store(bucket.name)

        with pytest.raises(SourceUnavailable, match=rf"NATS has no bucket {bucket.name}\n  create it: archiver init"):
            await bucket.read()

    on(nats_server, steps)


def damage(**changes: Any) -> Steps:
    async def change(bucket: Bucket) -> None:
        await bucket.tell(await bucket.put(bytes(3 * CHUNK)) | changes)

    return change


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (damage(digest="SHA-256=" + "A" * 43 + "="), "its metadata says 'SHA-256=AAA.*and its digest is 'SHA-256=p"),
        (damage(digest=sha256(bytes(3 * CHUNK)).hexdigest()), "its digest is"),
        (damage(digest=""), "its metadata says '', and its digest is"),
        (damage(size=3 * CHUNK - 1), "its metadata says 393215 bytes, and its chunks have 393216"),
        (damage(size=3 * CHUNK + 1), "its metadata says 393217 bytes, and its chunks have 393216"),
        (damage(chunks=2), "its metadata says 393216 bytes, and its chunks have 262144"),
        (damage(chunks=4), "3 of its 4 chunks are there"),
        (damage(nuid="anothernuid"), "0 of its 3 chunks are there"),
    ],
)
def test_what_is_not_whole_is_never_returned_and_is_retried(nats_server: NatsServer, harm: Steps, why: str) -> None:
    async def steps(bucket: Bucket) -> None:
        await harm(bucket)

        with pytest.raises(BundleNotWhole, match=f"is not whole: .*{why}") as refused:
            await bucket.read()
        assert refused.value.cause is Cause.BUNDLE_CHANGED, "it is retried like a bundle that is being written"

    on(nats_server, steps)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_an_object_that_lacks_a_chunk_is_not_whole(nats_server: NatsServer, number: int) -> None:
    async def steps(bucket: Bucket) -> None:
        await bucket.put(bytes(3 * CHUNK))
        await bucket.lose_chunk(number)

        with pytest.raises(BundleNotWhole, match="2 of its 3 chunks are there"):
            await bucket.read()

    on(nats_server, steps)


GOOD = {"nuid": "n", "size": 5, "chunks": 1, "digest": "SHA-256="}


@pytest.mark.parametrize(
    ("meta", "why"),
    [
        (GOOD | {"size": MAX_BYTES + 1}, f"it has {MAX_BYTES + 1} bytes, more than {MAX_BYTES}"),
        (GOOD | {"options": {"link": {"bucket": "b", "name": "n"}}}, "it is a link to another object"),
        (GOOD | {"options": {"link": {"bucket": "b"}}}, "it is a link to another object"),
        *((GOOD | {"nuid": nuid}, "not that of an object") for nuid in ("", "*", ">", "a.b", "a b", "n" * 65, None, 7)),
        *((GOOD | {"size": size}, "not that of an object") for size in (-1, "5", 5.5, None)),
        *((GOOD | {"chunks": chunks}, "not that of an object") for chunks in (-1, 6, 10**18, "1")),
        (GOOD | {"digest": None}, "not that of an object"),
        *((raw, "not that of an object") for raw in (b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000)),
    ],
    ids=lambda value: str(value)[-60:],
)
def test_an_object_that_must_not_be_read_is_refused_before_any_of_it_is(
    nats_server: NatsServer, meta: Any, why: str
) -> None:
    async def steps(bucket: Bucket) -> None:
        await bucket.tell(meta)

        with pytest.raises(BundleRefused, match=why):
            await bucket.read()

    on(nats_server, steps)


def test_a_link_that_another_client_made_is_refused(nats_server: NatsServer) -> None:
    async def steps(bucket: Bucket) -> None:
        await bucket.put(b"", link=ObjectLink(bucket="secrets", name="key"))

        with pytest.raises(BundleRefused, match="it is a link"):
            await bucket.read()

    on(nats_server, steps)


def test_a_full_disk_blames_no_event(nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_store, "TemporaryFile", partial(Path("/dev/full").open, "r+b"))

    async def steps(bucket: Bucket) -> None:
        await bucket.put(bytes(2 << 20))

        with pytest.raises(SourceUnavailable, match=os.strerror(errno.ENOSPC)):
            await bucket.read()

    on(nats_server, steps)
