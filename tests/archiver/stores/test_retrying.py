"""A store behind retries: three attempts, none after a refusal, and a stream that goes on where it broke."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.core.errors import BusUnavailable, KeyMissing, ObjectUnusable, StoreRefuses, StoreUnavailable
from archiver.ports import BlobStore
from archiver.stores.memory import MemoryStore
from archiver.stores.retrying import RetryingAnnouncer, RetryingStore, retry
from tests.support.builders import RecordingAnnouncer, RecordingStore
from tests.support.store_calls import create, read, replace
from tests.support.store_suite import StoreSuite

KEY = "blobs/v1/a.md"
FAILED = StoreUnavailable("do it", "503 SlowDown")
UNUSABLE = ObjectUnusable("read it", "more than 1 MiB, which is not one of ours")
REFUSED = StoreRefuses("do it", "403 AccessDenied")

# What is called -> the call, and how often it is made while it fails.
CALLS: dict[str, tuple[Callable[[BlobStore], Awaitable[object]], int]] = {
    "create blobs": (lambda store: create(store, KEY, b"x"), 3),
    "replace blobs": (lambda store: replace(store, KEY, b"x"), 3),
    "read blobs": (lambda store: read(store, KEY), 3),
    "look for blobs": (lambda store: store.holds(KEY), 3),
    "check": (lambda store: store.check(), 1),
    "delete blobs": (lambda store: store.delete(KEY), 1),
}


def type_of(error: Exception) -> str:
    return type(error).__name__


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archiver.stores.retrying._LONGEST_WAITS_S", (0, 0))


class TestRetryingStore(StoreSuite):
    @pytest.fixture
    def store(self) -> RetryingStore:
        return RetryingStore(MemoryStore())


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(
    "error", [FAILED, REFUSED, ObjectUnusable("do it", "not ours"), ValueError("a defect")], ids=repr
)
def test_what_may_pass_is_tried_three_times_and_what_will_not_once(name: str, error: Exception) -> None:
    store, (call, most) = RecordingStore(fails={name: error}), CALLS[name]

    with pytest.raises(type(error)) as caught:
        asyncio.run(call(RetryingStore(store)))  # type: ignore[arg-type] # a coroutine

    assert caught.value is error
    assert store.journal == [name] * (most if error is FAILED else 1)


def test_what_works_the_second_time_has_worked() -> None:
    failures = [BusUnavailable("publish", "connection closed")]

    async def lost_once() -> str:
        if failures:
            raise failures.pop()
        return "done"

    assert asyncio.run(retry(lost_once)) == "done"


def test_an_announcement_is_published_three_times_before_it_counts_as_lost() -> None:
    announcer = RecordingAnnouncer(fails={"announce a": BusUnavailable("publish", "no answer")})

    with pytest.raises(BusUnavailable):
        asyncio.run(RetryingAnnouncer(announcer).announce("a", b"{}", message_id="1"))

    assert announcer.journal == ["announce a"] * 3


class Breaking(MemoryStore):
    """Sends chunks of `sizes` bytes, and breaks off after as many bytes as `breaks` says, the last of them first."""

    def __init__(self, sizes: list[int], breaks: list[int]) -> None:
        super().__init__()
        self.sizes, self.breaks, self.reads, self.open = sizes, breaks, 0, 0

    async def read(self, key: str) -> AsyncIterator[bytes]:
        self.reads += 1
        self.open += 1
        try:
            data, size = self.objects[key], self.sizes[self.reads % len(self.sizes)]
            end = self.breaks.pop() if self.breaks else None
            for start in range(0, len(data if end is None else data[:end]), size):
                yield data[start : start + size][: None if end is None else end - start]
            if end is not None:
                raise FAILED
        finally:
            self.open -= 1


@given(
    st.binary(max_size=40),
    st.lists(st.integers(1, 12), min_size=1, max_size=3),
    st.lists(st.integers(0, 40), max_size=4),
)
def test_a_read_that_breaks_off_anywhere_goes_on_there(data: bytes, sizes: list[int], breaks: list[int]) -> None:
    store = Breaking(sizes, list(breaks))
    store.objects[KEY] = data

    try:
        found = asyncio.run(read(RetryingStore(store), KEY))
    except StoreUnavailable:
        assert len(breaks) >= 3
    else:
        assert found == data
        assert len(breaks) <= 2
    assert (store.reads, store.open) == (min(3, len(breaks) + 1), 0)


@pytest.mark.parametrize("then", [b"abcdeX-and more", b"abc", b"abcde"], ids=["other bytes", "fewer", "one fewer"])
def test_an_object_that_changed_between_two_attempts_is_not_pieced_together(then: bytes) -> None:
    store = Breaking([4], [6])
    store.objects[KEY] = b"abcdef-and more"

    async def steps() -> None:
        chunks = RetryingStore(store).read(KEY)
        assert [await anext(chunks), await anext(chunks)] == [b"abcd", b"ef"]
        store.objects[KEY] = then
        await anext(chunks)

    with pytest.raises(StoreUnavailable, match="again"):
        asyncio.run(steps())


def test_an_object_that_is_gone_when_it_is_read_again_is_missing() -> None:
    class Gone(MemoryStore):
        async def read(self, key: str) -> AsyncIterator[bytes]:
            if key not in self.objects:
                raise KeyMissing(key)
            yield self.objects.pop(key)
            raise FAILED

    store = Gone()
    store.objects[KEY] = b"abc"

    with pytest.raises(KeyMissing):
        asyncio.run(read(RetryingStore(store), KEY))


def test_a_reader_that_stops_early_leaves_no_read_open() -> None:
    store = Breaking([4], [])
    store.objects[KEY] = b"abcdef-and more"

    async def steps() -> int:
        chunks = RetryingStore(store).read(KEY)
        await anext(chunks)
        await chunks.aclose()  # type: ignore[attr-defined] # a generator
        return store.open

    assert asyncio.run(steps()) == 0
