"""`archiver verify --repair`, in memory: what is certain is mended and checked again, nothing is lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from archiver.core.damage import Damage
from archiver.core.errors import BundleRefused
from archiver.core.keys import BLOBS, REFERENCES, trash_key
from archiver.maintenance.repair import Repairer
from tests.archiver.maintenance.test_verify import (
    BLOB_KEYS,
    BUNDLES,
    EVENTS,
    EVERYTHING,
    ORPHAN,
    REFERENCE_KEYS,
    archive,
    found_in,
    moved,
    verification,
)
from tests.support.builders import House

COPY = trash_key("run", BLOB_KEYS[0])


def repaired(house: House) -> list[Damage]:
    repairer = Repairer(house.store, house.bundles)

    async def steps() -> list[Damage]:
        return [damage async for damage in verification(house, repairer=repairer).damage(EVERYTHING)]

    return asyncio.run(steps())


@pytest.mark.parametrize("wrong", [None, b"", BUNDLES[0][:-1]], ids=repr)
def test_a_blob_is_written_again_from_the_spool_and_read_back(wrong: bytes | None) -> None:
    house = archive()
    before = dict(house.store.objects)
    del house.store.objects[BLOB_KEYS[0]]
    if wrong is not None:
        house.store.objects[BLOB_KEYS[0]] = wrong
    metadata = dict(house.store.memory.metadata[BLOB_KEYS[0]])

    [damage] = repaired(house)

    assert damage.repaired == "written again from spool"
    assert not damage.is_damage
    assert house.store.objects == before
    assert house.store.memory.metadata[BLOB_KEYS[0]] == metadata
    assert found_in(house) == []


def test_a_blob_is_written_again_from_what_an_interrupted_gc_set_aside() -> None:
    house = archive()
    house.bundles.bundles.clear()
    moved(house, BLOB_KEYS[0], COPY)

    damages = {damage.id: damage for damage in repaired(house)}

    assert damages["blob/missing"].repaired == f"written again from {COPY}"
    assert house.store.objects[BLOB_KEYS[0]] == BUNDLES[0] == house.store.objects[COPY]


UNUSABLE: dict[str, Any] = {
    "the spool has it no more": lambda it: it.bundles.bundles.clear(),
    "the spool has another bundle": lambda it: it.bundles.leave(EVENTS[0], b"another"),
    "the spool's may not be read": lambda it: it.fail("open bundle", BundleRefused("x", "it is a symbolic link")),
    "the copy of gc is damaged": lambda it: (it.bundles.bundles.clear(), it.store.objects.update({COPY: b"damaged"})),
    "the store holds something else again": lambda it: setattr(it.store, "keeps", lambda _, data: data[:-1]),
}


@pytest.mark.parametrize("spoil", UNUSABLE.values(), ids=UNUSABLE)
def test_where_the_right_bytes_are_nowhere_the_damage_stays_and_is_told(spoil: Any) -> None:
    house = archive()
    house.store.objects[BLOB_KEYS[0]] = b"damaged"
    spoil(house)

    damages = [damage for damage in repaired(house) if damage.id != "gc/interrupted"]

    assert [(damage.id, damage.repaired, damage.is_damage) for damage in damages] == [("blob/damaged", "", True)]
    assert house.store.objects[BLOB_KEYS[0]] in (b"damaged", BUNDLES[0][:-1])


def test_a_misplaced_reference_is_copied_to_its_place_and_the_original_stays() -> None:
    house = archive()
    stray = f"{REFERENCES}stray.json"
    moved(house, REFERENCE_KEYS[0], stray)

    [damage] = repaired(house)

    assert damage.repaired == f"copied to {REFERENCE_KEYS[0]}"
    assert house.store.objects[REFERENCE_KEYS[0]] == house.store.objects[stray]
    assert [(damage.id, damage.is_damage) for damage in found_in(house)] == [("reference/duplicate", False)]


def test_a_misplaced_reference_never_replaces_another() -> None:
    house = archive()
    house.store.objects[REFERENCE_KEYS[1]] = house.store.objects[REFERENCE_KEYS[0]]
    before = dict(house.store.objects)
    damaged = dict(before) | {REFERENCE_KEYS[0]: b"damaged"}
    house.store.objects.clear()
    house.store.objects.update(damaged)

    damages = {damage.id: damage for damage in repaired(house)}

    assert damages["reference/misplaced"].repaired == ""
    assert house.store.objects == damaged


def test_a_reference_that_came_meanwhile_is_not_replaced() -> None:
    house = archive()
    before = dict(house.store.objects)

    assert asyncio.run(Repairer(house.store, None).copy_record(b"another", REFERENCE_KEYS[0])) is False
    assert house.store.objects == before


def test_without_repair_nothing_is_written_and_with_it_nothing_is_deleted() -> None:
    house = archive()
    stray = {ORPHAN: b"orphan", f"{BLOBS}stray": b"stray"}
    house.store.objects.update({BLOB_KEYS[0]: b"damaged"} | stray)
    before = dict(house.store.objects)

    found_in(house)
    assert house.store.objects == before
    repaired(house)
    assert house.store.objects == before | {BLOB_KEYS[0]: BUNDLES[0]}
    assert not [call for call in house.journal if call.startswith("delete")]
