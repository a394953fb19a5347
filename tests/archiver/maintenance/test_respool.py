"""Bundles back into a spool: whole or not at all, and nothing else there is touched."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from archiver.core.errors import DigestMismatch, NotArchived, StoreUnavailable
from archiver.core.keys import ref_key
from archiver.core.reference import Reference
from archiver.maintenance.reading import Entry
from archiver.maintenance.respool import respool
from archiver.stores.memory import MemoryStore
from archiver.stores.retrying import RetryingStore
from contracts import BadInput
from contracts.toolkit import Spool, spool_name
from tests.support.builders import BUNDLE, House, message, prepared

NEVER_IN_IT = b" and what never was in it"
NAME = spool_name(prepared())


class FalteringStore(MemoryStore):
    """A store whose answers break off after some bytes, as often as `breaks` says."""

    def __init__(self) -> None:
        super().__init__()
        self.breaks: list[int] = []

    async def read(self, key: str) -> AsyncIterator[bytes]:
        if not self.breaks:
            async for chunk in super().read(key):
                yield chunk
            return
        yield (self.objects[key] + NEVER_IN_IT)[: self.breaks.pop()]
        raise StoreUnavailable(f"read {key}", "the connection was reset")


def archived() -> tuple[FalteringStore, Reference]:
    house = House()
    house.process(message())
    store = FalteringStore()
    store.objects.update(house.store.objects)
    return store, house.reference(ref_key(prepared()))


def of(reference: Reference, **changes: str | int) -> Reference:
    """Return the reference with other words about its bundle."""
    return replace(reference, bundle=replace(reference.bundle, **changes))  # type: ignore[arg-type]


def put(store: MemoryStore, reference: Reference, spool: Path) -> None:
    entry = Entry(ref_key(prepared()), reference, prepared())
    asyncio.run(respool(RetryingStore(store), entry, Spool(spool), max_bytes=1 << 20))


def there(spool: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in spool.iterdir()}


def test_an_answer_that_broke_off_leaves_nothing_of_itself_in_the_bundle(tmp_path: Path) -> None:
    store, reference = archived()
    store.breaks = [len(BUNDLE), 3]

    put(store, of(reference, bytes=1000), tmp_path)  # a wrong size does not make another bundle of it

    assert there(tmp_path) == {NAME: BUNDLE}


def test_a_store_that_is_away_for_longer_leaves_the_spool_as_it_was(tmp_path: Path) -> None:
    store, reference = archived()
    store.breaks = [3, 4, 5]
    (tmp_path / NAME).write_bytes(b"an older one")

    with pytest.raises(StoreUnavailable):
        put(store, reference, tmp_path)

    assert there(tmp_path) == {NAME: b"an older one"}


def test_an_answer_that_broke_off_after_other_bytes_leaves_the_spool_as_it_was(tmp_path: Path) -> None:
    store, reference = archived()
    store.breaks = [len(BUNDLE) + 9]
    (tmp_path / NAME).write_bytes(b"an older one")

    with pytest.raises(StoreUnavailable, match="when read again"):
        put(store, of(reference, bytes=1000), tmp_path)

    assert there(tmp_path) == {NAME: b"an older one"}


@pytest.mark.parametrize("damage", ["flipped", "cut", "gone"])
def test_what_is_not_certainly_the_bundle_is_not_put_there(tmp_path: Path, damage: str) -> None:
    store, reference = archived()
    key = reference.bundle.key
    if damage == "gone":
        del store.objects[key]
    else:
        store.objects[key] = BUNDLE.swapcase() if damage == "flipped" else BUNDLE[:-1]

    with pytest.raises(NotArchived if damage == "gone" else DigestMismatch):
        put(store, reference, tmp_path)

    assert there(tmp_path) == {}


def test_a_bundle_is_looked_for_by_its_digest_and_nowhere_else(tmp_path: Path) -> None:
    store, reference = archived()
    store.objects["elsewhere"] = b"not a bundle"

    put(store, of(reference, key="elsewhere"), tmp_path)

    assert there(tmp_path) == {NAME: BUNDLE}


def test_a_bundle_beyond_the_configured_size_is_not_unpacked(tmp_path: Path) -> None:
    store, reference = archived()
    entry = Entry(ref_key(prepared()), of(reference, bytes=2**53 - 1), prepared())

    with pytest.raises(DigestMismatch, match=f"it holds more than {len(BUNDLE) - 1} bytes"):
        asyncio.run(respool(store, entry, Spool(tmp_path), max_bytes=len(BUNDLE) - 1))


def test_a_name_that_cannot_be_taken_is_told_as_the_operators_matter(tmp_path: Path) -> None:
    store, reference = archived()
    (tmp_path / NAME).mkdir()

    with pytest.raises(BadInput, match="cannot write the bundle to the spool"):
        put(store, reference, tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == [NAME]
