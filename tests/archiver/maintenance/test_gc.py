"""`archiver gc`, in memory: only old garbage goes, and what is needed after all comes back."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.core.errors import StoreRefuses, StoreUnavailable
from archiver.core.keys import BLOBS, REFERENCES, blob_key, ref_key, replay_prefix, trash_key
from archiver.maintenance.gc import Collection, Garbage, RecordUnreadable
from archiver.stores.memory import MemoryStore
from tests.support.builders import BUNDLE, House, message, prepared

DAY = timedelta(hours=24)
GARBAGE = b"nothing refers to this"
ORPHAN = blob_key(sha256(GARBAGE).hexdigest(), "md")
BLOB = blob_key(sha256(BUNDLE).hexdigest(), "md")


def archive() -> House:
    """One archived event, and a day later an orphan as old, by a store that has the house's clock."""
    house = House()
    house.store.memory = MemoryStore(house.clock)
    house.process(message())
    lay(house, ORPHAN, GARBAGE)
    house.clock.forward(DAY.total_seconds())
    return house


def lay(house: House, key: str, body: bytes) -> None:
    """Put an object into the store as of now."""
    house.store.objects[key] = body
    house.store.memory.modified_at[key] = house.clock.now()


def collected(house: House, **changes: Any) -> list[Garbage]:
    collection = Collection(house.store, **{"run": "this", "older_than": DAY} | changes)

    async def steps() -> list[Garbage]:
        await collection.scan(await collection.store_time())
        return [each async for each in collection.delete()]

    return asyncio.run(steps())


def test_an_old_orphan_goes_and_everything_else_stays() -> None:
    house = archive()
    before = dict(house.store.objects)

    assert collected(house) == [Garbage("orphan", ORPHAN, len(GARBAGE))]

    del before[ORPHAN]
    assert house.store.objects == before


def test_to_look_deletes_and_writes_nothing() -> None:
    house = archive()
    before = dict(house.store.objects)

    collection = Collection(house.store, "this", DAY)
    asyncio.run(collection.scan(house.clock.now()))

    assert [*collection.leftovers()] == [Garbage("orphan", ORPHAN, len(GARBAGE))]
    assert house.store.objects == before
    assert not [call for call in house.journal if call.startswith(("delete", "create trash"))]


LEFTOVERS = [ORPHAN, "probe/v1/worker", trash_key("earlier", ORPHAN)]


@pytest.mark.parametrize("key", LEFTOVERS)
@pytest.mark.parametrize(("age", "stays"), [(DAY - timedelta(seconds=1), True), (DAY, False)])
def test_what_is_younger_than_the_limit_by_the_stores_clock_is_left_alone(
    key: str, age: timedelta, *, stays: bool
) -> None:
    house = archive()
    house.store.objects.pop(ORPHAN)
    lay(house, key, GARBAGE)
    house.clock.forward(age.total_seconds())

    collected(house)

    assert (key in house.store.objects) is stays


def test_what_replays_brought_is_neither_looked_at_nor_deleted() -> None:
    house = archive()
    apart = {f"{replay_prefix('run')}{key}": GARBAGE for key in (ORPHAN, ref_key(prepared()), "trash/v1/x/y")}
    house.store.objects.update(apart)
    house.clock.forward(DAY.total_seconds())

    assert [each.key for each in collected(house)] == [ORPHAN]
    assert apart.items() <= house.store.objects.items()


def test_what_a_conflict_alone_refers_to_stays() -> None:
    house = archive()
    house.bundles.leave(prepared(), b"another bundle")
    house.process(message(sequence=9))
    house.clock.forward(DAY.total_seconds())

    assert [each.key for each in collected(house)] == [ORPHAN]
    assert blob_key(sha256(b"another bundle").hexdigest(), "md") in house.store.objects


@pytest.mark.parametrize("damage", [{"sha256": "ab" * 32}, {"key": ORPHAN}], ids=str)
def test_what_either_half_of_a_damaged_record_refers_to_stays(damage: dict[str, Any]) -> None:
    house, key = archive(), ref_key(prepared())
    record = json.loads(house.store.objects[key])
    lay(house, key, json.dumps(record | {"bundle": record["bundle"] | damage}).encode())

    collected(house)

    assert BLOB in house.store.objects


def test_a_record_is_read_once() -> None:
    house = archive()
    house.journal.clear()

    collected(house)

    assert house.journal.count("read refs") == 1


@pytest.mark.parametrize("key", [f"{REFERENCES}stray", "conflicts/v1/stray", ref_key(prepared())])
def test_beside_a_record_that_cannot_be_read_nothing_is_deleted(key: str) -> None:
    house = archive()
    lay(house, key, b"{}")
    before = dict(house.store.objects)

    with pytest.raises(RecordUnreadable, match="any blob may be the one it refers to"):
        collected(house)

    assert house.store.objects == before


def test_an_object_among_the_blobs_that_is_none_is_no_garbage() -> None:
    house = archive()
    lay(house, f"{BLOBS}README.md", b"x")
    house.clock.forward(DAY.total_seconds())

    assert [each.key for each in collected(house)] == [ORPHAN]


def test_a_damaged_orphan_is_left_to_be_looked_at() -> None:
    house = archive()
    house.store.objects[ORPHAN] = b"damaged"

    [each] = collected(house)

    assert "it is damaged" in each.why
    assert house.store.objects[ORPHAN] == b"damaged"
    assert not [key for key in house.store.objects if key.startswith("trash/")]


def test_a_store_that_does_not_let_gc_delete_is_told_before_anything_is_moved() -> None:
    house = archive()
    house.fail("delete probe", StoreRefuses("delete it", "403 AccessDenied"))
    with pytest.raises(StoreRefuses):
        collected(house)

    assert house.store.objects[ORPHAN] == GARBAGE
    assert not [key for key in house.store.objects if key.startswith("trash/")]


def test_of_a_blob_that_may_or_may_not_be_deleted_the_copy_is_kept() -> None:
    house = archive()
    house.fail("delete blobs", StoreUnavailable("delete it", "no answer"))

    [each] = collected(house)

    assert "no answer" in each.why
    assert house.store.objects[trash_key("this", ORPHAN)] == GARBAGE
    assert house.journal.count("delete blobs") == 1, "never twice: the first could arrive late"


@given(st.integers(0, 20))
def test_a_run_that_ends_anywhere_is_finished_by_the_next(calls: int) -> None:
    house, left = archive(), calls

    async def until_it_ends(key: str) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise StoreRefuses("go on", "it is gone")
        await MemoryStore.delete(house.store.memory, key)

    house.store.memory.delete = until_it_ends  # type: ignore[method-assign]
    with suppress(StoreRefuses):
        collected(house, run="first")
    house.store.memory.delete = lambda key: MemoryStore.delete(house.store.memory, key)  # type: ignore[method-assign]
    house.clock.forward(DAY.total_seconds())
    collected(house, run="second")

    assert set(house.store.objects) == {BLOB, ref_key(prepared())}


def test_what_an_interrupted_run_set_aside_and_is_needed_is_put_back_at_once() -> None:
    house = archive()
    copy = trash_key("earlier", BLOB)
    lay(house, copy, house.store.objects.pop(BLOB))

    collected(house)
    assert house.store.objects[BLOB] == BUNDLE
    assert copy in house.store.objects, "the run may be under way and need it"

    house.clock.forward(DAY.total_seconds())
    collected(house)
    assert house.store.objects[BLOB] == BUNDLE
    assert copy not in house.store.objects
