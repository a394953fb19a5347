"""A folder of a store does what every store does, and touches nothing beside it."""

from __future__ import annotations

import asyncio

import pytest

from archiver.stores.memory import MemoryStore
from archiver.stores.prefixed import PrefixedStore
from tests.support.store_calls import create, keys
from tests.support.store_suite import StoreSuite

BESIDE = ["a", "replay/a", "replays/v1/run-2/a", "replays/v1/run/a", "replays/v1/run0"]


class TestFolderStore(StoreSuite):
    @pytest.fixture
    def store(self) -> PrefixedStore:
        whole = MemoryStore()
        whole.objects.update(dict.fromkeys(BESIDE, b"beside it"))
        return PrefixedStore(whole, "replays/v1/run-/")


def test_what_is_in_a_folder_has_the_folder_before_its_key_and_nothing_else_is_seen() -> None:
    whole = MemoryStore()
    whole.objects.update(dict.fromkeys(BESIDE, b"beside it"))
    folder = PrefixedStore(whole, "replays/v1/run/")

    async def steps() -> list[str]:
        await create(folder, "b/c", b"x")
        await folder.delete("a")
        return await keys(folder, "")

    assert asyncio.run(steps()) == ["b/c"]
    assert sorted(whole.objects) == sorted({*BESIDE, "replays/v1/run/b/c"} - {"replays/v1/run/a"})
