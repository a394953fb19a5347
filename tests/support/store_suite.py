"""What every BlobStore must do. A subclass provides the fixture `store`."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING

import pytest

from archiver.core.errors import KeyMissing, KeyTaken, StoreUnavailable
from tests.support.listing_suite import ListingSuite
from tests.support.store_calls import create, digest_of_body, keys, read, replace

if TYPE_CHECKING:
    from archiver.ports import BlobStore

MIB = 1024 * 1024
REFERENCE_KEY = f"refs/v1/repo=kaizen%2Eagentic/agent=coach/date=2026-06-17/{'ab' * 32}.json"
HARD_KEYS = [
    REFERENCE_KEY,
    "refs/v1/repo=a%20b/%C3%BC.json",
    "refs/v1/repo=100%25/x",
    "refs/v1/repo=a+b&c/x'y",
    "refs/v1/repo=a!(b)~*/x",
]


class BasicSuite(ListingSuite):
    """What also a store does that ignores If-None-Match and checksums, as `archiver run` takes it."""

    def test_a_bucket_that_is_there_passes_the_check(self, store: BlobStore) -> None:
        asyncio.run(store.check())

    def test_what_was_created_is_read_back(self, store: BlobStore) -> None:
        async def steps() -> bytes:
            await create(store, REFERENCE_KEY, b"# Coach\n")
            return await read(store, REFERENCE_KEY)

        assert asyncio.run(steps()) == b"# Coach\n"

    @pytest.mark.parametrize("body", [b"", b"# Coach\n"], ids=["empty", "not empty"])
    def test_what_was_created_is_found_and_nothing_else(self, store: BlobStore, body: bytes) -> None:
        async def steps() -> tuple[bool, bool]:
            await create(store, "blobs/a.md", body)
            return await store.holds("blobs/a.md"), await store.holds("blobs/a")

        assert asyncio.run(steps()) == (True, False)

    def test_a_file_is_stored_whole_wherever_it_was_left_standing(self, store: BlobStore) -> None:
        body = io.BytesIO(bytes(range(256)) * 8192)
        body.seek(1000)

        async def steps() -> bytes:
            await create(store, "blobs/a.md", body)
            return await read(store, "blobs/a.md")

        assert asyncio.run(steps()) == body.getvalue()

    def test_a_replacement_replaces(self, store: BlobStore) -> None:
        async def steps() -> bytes:
            await create(store, "blobs/a.md", b"damaged")
            await replace(store, "blobs/a.md", b"whole")
            await replace(store, "blobs/a.md", b"whole")
            return await read(store, "blobs/a.md")

        assert asyncio.run(steps()) == b"whole"

    def test_an_empty_object_is_an_object(self, store: BlobStore) -> None:
        async def steps() -> tuple[list[bytes], list[tuple[str, int]]]:
            await create(store, "blobs/empty.md", b"")
            chunks = [chunk async for chunk in store.read("blobs/empty.md")]
            return chunks, [(listed.key, listed.size_bytes) async for listed in store.list("blobs/")]

        assert asyncio.run(steps()) == ([], [("blobs/empty.md", 0)])

    def test_a_key_without_an_object_is_told_before_the_first_chunk(self, store: BlobStore) -> None:
        with pytest.raises(KeyMissing, match=r"blobs/none\.md"):
            asyncio.run(read(store, "blobs/none.md"))

    def test_a_large_object_comes_back_in_chunks_of_at_most_one_mib(self, store: BlobStore) -> None:
        body = bytes(range(256)) * (5 * MIB // 256) + b"the odd end"

        async def steps() -> list[bytes]:
            await create(store, "blobs/large.md", body)
            return [chunk async for chunk in store.read("blobs/large.md")]

        chunks = asyncio.run(steps())

        assert max(map(len, chunks)) <= MIB
        assert b"".join(chunks) == body

    def test_a_reader_may_stop_early_and_the_store_goes_on(self, store: BlobStore) -> None:
        async def steps() -> bytes:
            await create(store, "blobs/large.md", b"x" * (3 * MIB))
            chunks = store.read("blobs/large.md")
            await anext(chunks)
            await chunks.aclose()  # type: ignore[attr-defined] # every implementation is a generator
            return await read(store, "blobs/large.md")

        assert len(asyncio.run(steps())) == 3 * MIB

    def test_keys_are_stored_literally(self, store: BlobStore) -> None:
        async def steps() -> tuple[list[str], list[bytes]]:
            for key in HARD_KEYS:
                await create(store, key, key.encode())
            return await keys(store, "refs/"), [await read(store, key) for key in HARD_KEYS]

        listed, bodies = asyncio.run(steps())

        assert sorted(listed) == sorted(HARD_KEYS)
        assert bodies == [key.encode() for key in HARD_KEYS]

    def test_what_was_deleted_is_gone_and_may_be_created_again(self, store: BlobStore) -> None:
        async def steps() -> bytes:
            for key in HARD_KEYS:
                await create(store, key, b"first")
            await store.delete(HARD_KEYS[1])
            with pytest.raises(KeyMissing):
                await read(store, HARD_KEYS[1])
            assert sorted(await keys(store, "refs/")) == sorted({*HARD_KEYS} - {HARD_KEYS[1]})
            await create(store, HARD_KEYS[1], b"second")
            return await read(store, HARD_KEYS[1])

        assert asyncio.run(steps()) == b"second"

    def test_deleting_what_is_not_there_does_nothing(self, store: BlobStore) -> None:
        async def steps() -> list[str]:
            await create(store, "blobs/a.md", b"x")
            await store.delete("blobs/a")
            await store.delete("blobs/none.md")
            await store.delete("none/at/all")
            return await keys(store, "")

        assert asyncio.run(steps()) == ["blobs/a.md"]


class StoreSuite(BasicSuite):
    def test_an_upload_that_finds_the_key_in_use_is_told_so_and_changes_nothing(self, store: BlobStore) -> None:
        async def steps() -> bytes:
            await create(store, "blobs/a.md", b"first")
            with pytest.raises(KeyTaken, match=r"blobs/a\.md"):
                await create(store, "blobs/a.md", b"second")
            return await read(store, "blobs/a.md")

        assert asyncio.run(steps()) == b"first"

    def test_of_many_uploads_at_once_exactly_one_wins_and_the_rest_lose_the_race(self, store: BlobStore) -> None:
        bodies = [f"writer {number}".encode() for number in range(32)]

        async def steps() -> tuple[list[object], bytes]:
            attempts = (create(store, "blobs/a.md", body) for body in bodies)
            outcomes = await asyncio.gather(*attempts, return_exceptions=True)
            return list(outcomes), await read(store, "blobs/a.md")

        outcomes, stored = asyncio.run(steps())

        winners = [number for number, outcome in enumerate(outcomes) if not isinstance(outcome, Exception)]
        losers = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        assert len(winners) == 1, outcomes
        assert stored == bodies[winners[0]]
        # A store may also say that it cannot tell yet (409); then the same call is made again.
        assert {type(loser) for loser in losers} <= {KeyTaken, StoreUnavailable}
        assert any(isinstance(loser, KeyTaken) for loser in losers)

    @pytest.mark.parametrize("write", [create, replace])
    @pytest.mark.parametrize("kind", [bytes, io.BytesIO])
    def test_a_body_that_is_not_what_was_hashed_is_refused_and_not_stored(
        self, store: BlobStore, write: object, kind: type
    ) -> None:
        async def steps() -> None:
            with pytest.raises(StoreUnavailable, match="BadDigest"):
                await write(store, "blobs/a.md", kind(b"found"), sha256=digest_of_body(b"expected"))  # type: ignore[operator]
            with pytest.raises(KeyMissing):
                await read(store, "blobs/a.md")

        asyncio.run(steps())
