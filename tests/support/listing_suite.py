"""What every ObjectStore must list, and in which order; a part of `StoreSuite`."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.support.store_calls import create, keys, replace

if TYPE_CHECKING:
    from archiver.ports import BlobStore


def wait_until_after(moment: datetime) -> None:
    while datetime.now(UTC) <= moment:
        time.sleep(0.01)


class ListingSuite:
    def test_a_listing_follows_the_bytes_of_the_keys_where_no_folder_begins_like_another(
        self, store: BlobStore
    ) -> None:
        ordered = ["repo=a/date=1/9", "repo=a/date=1/A", "repo=a/date=1/a", "repo=a/date=2/0", "repo=b/date=1/0"]

        async def steps() -> list[str]:
            for key in reversed(ordered):
                await create(store, key, b"x")
            return await keys(store, "")

        assert asyncio.run(steps()) == ordered

    def test_a_listing_goes_on_after_any_of_its_keys(self, store: BlobStore) -> None:
        made = ["repo=a%2Eb/1", "repo=a-b/1", "repo=a.b/1", "repo=a/1/x", "repo=a/1/y", "repo=a/2/x", "repo=ab/1", "x"]

        async def steps() -> tuple[list[list[str]], list[list[str]]]:
            for key in made:
                await create(store, key, b"x")
            whole = await keys(store, "")
            assert sorted(whole) == sorted(made)
            rests = [[listed.key async for listed in store.list("", key)] for key in whole]
            return rests, [whole[index + 1 :] for index in range(len(whole))]

        rests, wanted = asyncio.run(steps())

        assert rests == wanted

    def test_a_listing_of_many_pages_is_whole_and_each_key_comes_once(self, store: BlobStore) -> None:
        made = [f"refs/{folder}/{number:03}" for folder in ("a", "b", "c") for number in range(350)]

        async def steps() -> tuple[list[str], list[str]]:
            for start in range(0, len(made), 50):
                await asyncio.gather(*(create(store, key, b"x") for key in made[start : start + 50]))
            found = await store.folder("refs/a/")
            return await keys(store, "refs/"), [listed.key for listed in found.objects]

        listed, of_one_folder = asyncio.run(steps())

        assert listed == made
        assert sorted(of_one_folder) == made[:350]

    @pytest.mark.parametrize(
        ("prefix", "objects", "folders"),
        [
            ("", ["x"], ["refs/"]),
            ("refs/", ["refs/x"], ["refs/a%2E/", "refs/a-b/", "refs/a/", "refs/b/"]),
            ("refs/a/", ["refs/a/1", "refs/a/2"], []),
            ("none/", [], []),
        ],
    )
    def test_a_folder_holds_objects_and_folders(
        self, store: BlobStore, prefix: str, objects: list[str], folders: list[str]
    ) -> None:
        async def steps() -> tuple[list[str], list[str]]:
            for key in ("x", "refs/x", "refs/a/1", "refs/a/2", "refs/a-b/1", "refs/a%2E/1", "refs/b/c/d/1"):
                await create(store, key, b"x")
            found = await store.folder(prefix)
            return sorted(listed.key for listed in found.objects), [*found.folders]

        assert asyncio.run(steps()) == (objects, folders)

    def test_a_listing_tells_when_each_object_was_written_last(self, store: BlobStore) -> None:
        async def steps() -> list[datetime]:
            began = datetime.now(UTC).replace(microsecond=0)  # S3 tells whole seconds
            await create(store, "blobs/a.md", b"first")
            [first] = [listed.modified_at async for listed in store.list("blobs/")]
            await asyncio.to_thread(wait_until_after, first + timedelta(seconds=1))
            await replace(store, "blobs/a.md", b"second")
            [second] = [listed.modified_at async for listed in store.list("blobs/")]
            return [began, first, second, datetime.now(UTC)]

        times = asyncio.run(steps())

        assert times == sorted(times)
        assert times[1] < times[2]
        assert {time.utcoffset() for time in times} == {timedelta(0)}

    @pytest.mark.parametrize(
        ("prefix", "found"),
        [
            ("", ["refs/agent=a/1", "refs/agent=ab/1", "refs/agent=b/1"]),
            ("refs/", ["refs/agent=a/1", "refs/agent=ab/1", "refs/agent=b/1"]),
            ("refs/agent=a", ["refs/agent=a/1", "refs/agent=ab/1"]),
            ("refs/agent=a/", ["refs/agent=a/1"]),
            ("refs/agent=a/1", ["refs/agent=a/1"]),
            ("refs/agent=c", []),
            ("none/", []),
        ],
    )
    def test_a_prefix_is_of_characters_not_of_segments(self, store: BlobStore, prefix: str, found: list[str]) -> None:
        async def steps() -> list[str]:
            for key in ("refs/agent=a/1", "refs/agent=ab/1", "refs/agent=b/1"):
                await create(store, key, b"x")
            return await keys(store, prefix)

        assert asyncio.run(steps()) == found
