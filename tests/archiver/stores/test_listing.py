"""Listing an archive: page by page, folders at once, and a failed page is asked for again where it was."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.core.errors import StoreRefuses, StoreUnavailable
from archiver.core.values import Folder, Listed
from archiver.stores.listing import in_any_order, whole
from archiver.stores.memory import MemoryStore
from archiver.stores.parallel import AT_ONCE
from archiver.stores.retrying import RetryingStore

PAGE = 10
REFERENCES = [
    f"refs/v1/repo={repo}/agent={agent}/date=2026-06-{day:02}/{number}.json"
    for repo in ("alpha", "alpha-two")
    for agent in ("coach", "reviewer")
    for day in (1, 2)
    for number in range(12)
]
BLOBS = [f"blobs/v1/sha256/{number:02x}/{number}.md" for number in range(3 * AT_ONCE)]
STRAYS = ["README", "refs/stray", "refs/v1/stray", "refs/v1/repo=alpha/x", "blobs/v1/sha256/x", "other/a/b/c/d/e/f"]

Lister = Callable[..., AsyncIterator[Listed]]


class Pages(MemoryStore):
    """Notes which keys come over the wire, and fails at every page that `fails` names, counted from 1."""

    def __init__(
        self, keys: list[str], fails: Collection[int] = (), error: type[StoreUnavailable] = StoreUnavailable
    ) -> None:
        super().__init__()
        self.objects = dict.fromkeys(keys, b"")
        self.sent: list[str] = []
        self.pages, self.open, self.most_open = 0, 0, 0
        self._fails, self._error = fails, error

    async def list(self, prefix: str, after: str = "") -> AsyncIterator[Listed]:
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            page: list[Listed] = []
            async for listed in super().list(prefix, after):
                page.append(listed)
                if len(page) == PAGE:
                    await self._turn()
                    for each in page:
                        self.sent.append(each.key)
                        yield each
                    page.clear()
            await self._turn()
            for each in page:
                self.sent.append(each.key)
                yield each
        finally:
            self.open -= 1

    async def folder(self, prefix: str) -> Folder:
        await self._turn()
        return await super().folder(prefix)

    async def _turn(self) -> None:
        await asyncio.sleep(0)
        self.pages += 1
        if self.pages in self._fails:
            raise self._error("list", "503 SlowDown")


@pytest.fixture(autouse=True, scope="module")
def _no_waits() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("archiver.stores.retrying._LONGEST_WAITS_S", (0, 0))
        yield


def listed_by(lister: Lister, store: Pages, *where: str) -> list[str]:
    async def steps() -> list[str]:
        return [each.key async for each in lister(RetryingStore(store), *where)]

    return asyncio.run(steps())


@pytest.mark.parametrize(
    ("lister", "where"),
    [
        (RetryingStore.list, [""]),
        (RetryingStore.list, ["refs/"]),
        (in_any_order, ["refs/"]),
        (in_any_order, ["refs/v1/"]),
        (in_any_order, ["blobs/v1/sha256/"]),
        (in_any_order, ["other/"]),
        (in_any_order, ["none/"]),
        (whole, []),
    ],
)
def test_everything_is_listed_once_strays_too(lister: Lister, where: list[str]) -> None:
    everything = [*REFERENCES, *BLOBS, *STRAYS]

    found = listed_by(lister, Pages(everything), *where)

    assert sorted(found) == sorted(key for key in everything if key.startswith("".join(where)))


def test_the_references_of_each_folder_come_in_order_and_blobs_come_before_them() -> None:
    found = listed_by(whole, Pages([*REFERENCES, *BLOBS]))

    assert listed_by(RetryingStore.list, Pages(REFERENCES), "refs/") == sorted(REFERENCES)
    assert {*found[: len(BLOBS)]} == {*BLOBS}


@given(st.sets(st.integers(1, 30), max_size=6), st.sampled_from([RetryingStore.list, in_any_order]))
def test_a_failed_page_is_asked_for_again_and_nothing_before_it(fails: set[int], lister: Lister) -> None:
    thrice = any({page, page + 1, page + 2} <= fails for page in fails)
    store = Pages(REFERENCES, fails)
    try:
        found = listed_by(lister, store, "refs/v1/")
    except StoreUnavailable:
        assert thrice if lister is RetryingStore.list else len(fails) >= 3
        return

    assert sorted(found) == sorted(REFERENCES)
    assert sorted(store.sent) == sorted(REFERENCES), "each key comes over the wire once"


@pytest.mark.parametrize(("error", "tries"), [(StoreUnavailable, 3), (StoreRefuses, 1)])
def test_a_store_that_goes_on_failing_ends_the_listing(error: type[StoreUnavailable], tries: int) -> None:
    store = Pages(REFERENCES, range(3, 99), error)

    with pytest.raises(error, match="503 SlowDown"):
        listed_by(RetryingStore.list, store, "refs/v1/")

    assert store.sent == sorted(REFERENCES)[: 2 * PAGE]
    assert store.pages == 2 + tries


def test_many_folders_are_listed_at_once_but_not_all() -> None:
    store = Pages(BLOBS)
    listed_by(in_any_order, store, "blobs/v1/sha256/")

    assert store.most_open == AT_ONCE


def test_who_stops_early_leaves_no_listing_running() -> None:
    store = Pages(BLOBS)

    async def steps() -> None:
        async with aclosing(in_any_order(store, "blobs/v1/sha256/")) as everything:
            await anext(everything)
        await asyncio.sleep(0)

    asyncio.run(steps())

    assert store.open == 0
    assert len(store.sent) < len(BLOBS)


def test_a_folder_of_many_pages_is_not_held() -> None:
    keys = [f"refs/v1/repo=a/agent=b/date=2026-06-01/{number:05}" for number in range(20_000)]
    store = Pages(keys)

    async def steps() -> int:
        most = taken = 0
        async for _ in in_any_order(store, "refs/v1/"):
            taken += 1
            most = max(most, len(store.sent) - taken)
        return most

    assert asyncio.run(steps()) <= 1000
