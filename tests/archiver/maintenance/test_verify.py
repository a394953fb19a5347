"""What `archiver verify` finds, in memory: each damage by its name and key, and nothing where nothing is wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.core.damage import KINDS, Damage
from archiver.core.errors import StoreRefuses
from archiver.core.keys import BLOBS, REFERENCES, blob_key, conflict_key, ref_key, replay_prefix, trash_key
from archiver.maintenance.verify import Selection, Verification
from archiver.stores.parallel import AT_ONCE
from contracts import PreparedEvent, event_key
from tests.support.builders import BUNDLE, House, message, prepared

EVENTS = [prepared(repo="alpha", occurred_at="2026-06-15T09:00:00Z"), prepared(repo="beta")]
BUNDLES = [BUNDLE, b"# Another\n"]
REFERENCE_KEYS = [ref_key(each) for each in EVENTS]
BLOB_KEYS = [blob_key(sha256(each).hexdigest(), "md") for each in BUNDLES]
EVERYTHING = Selection()
ORPHAN = blob_key(sha256(b"orphan").hexdigest(), "md")


def archive(*pairs: tuple[PreparedEvent, bytes]) -> House:
    """Archive events with their bundles, through the pipeline."""
    house = House()
    for event, bundle in pairs or zip(EVENTS, BUNDLES, strict=True):
        house.bundles.leave(event, bundle)
        house.process(message(event.payload))
    return house


def verification(house: House, **changes: Any) -> Verification:
    return Verification(
        house.store,
        **{"now": house.clock.now(), "grace": timedelta(hours=24), **changes},  # type: ignore[arg-type]
    )


def found_in(house: House, selection: Selection = EVERYTHING, **changes: Any) -> list[Damage]:
    async def steps() -> list[Damage]:
        return [damage async for damage in verification(house, **changes).damage(selection)]

    return asyncio.run(steps())


def named(damages: list[Damage]) -> list[tuple[str, str]]:
    return sorted((damage.id, damage.key) for damage in damages)


def rewritten(house: House, key: str, change: Callable[[dict[str, Any]], object]) -> None:
    record = json.loads(house.store.objects[key])
    change(record)
    house.store.objects[key] = json.dumps(record).encode()


@given(
    st.lists(
        st.tuples(st.sampled_from(["alpha", "beta", "."]), st.integers(1, 28), st.binary(max_size=40), st.booleans()),
        max_size=8,
    )
)
def test_an_archive_made_by_the_pipeline_alone_is_whole(runs: list[tuple[str, int, bytes, bool]]) -> None:
    house = House()
    for repo, day, bundle, is_json in runs:
        style = {"format": "json" if is_json else "markdown", "bytes": len(bundle)}
        event = prepared(repo=repo, occurred_at=f"2026-06-{day:02}T09:00:00Z", bundle=style)
        house.bundles.leave(event, bundle)
        house.process(message(event.payload))

    assert found_in(house) == []


@given(st.integers(0, 1), st.data())
def test_any_change_to_the_bytes_of_any_blob_is_found_and_named(index: int, data: st.DataObject) -> None:
    house, key, right = archive(), BLOB_KEYS[index], BUNDLES[index]
    wrong = data.draw(
        st.one_of(
            st.integers(0, len(right) - 1).map(lambda at: right[:at]),
            st.tuples(st.integers(0, len(right) - 1), st.integers(1, 255)).map(
                lambda flip: right[: flip[0]] + bytes([right[flip[0]] ^ flip[1]]) + right[flip[0] + 1 :]
            ),
            st.binary(min_size=1).map(lambda more: right + more),
        )
    )
    house.store.objects[key] = wrong

    [damage] = found_in(house)

    assert (damage.id, damage.key, damage.record) == ("blob/damaged", key, REFERENCE_KEYS[index])
    assert damage.found == f"{len(wrong)} bytes, SHA-256 {sha256(wrong).hexdigest()}"
    assert damage.expected == f"{len(right)} bytes, SHA-256 {sha256(right).hexdigest()}"


def moved(house: House, old: str, new: str) -> None:
    house.store.objects[new] = house.store.objects.pop(old)


def swapped(house: House) -> None:
    one, other = REFERENCE_KEYS
    house.store.objects[one], house.store.objects[other] = house.store.objects[other], house.store.objects[one]


ALTERED = event_key(EVENTS[0].payload | {"cadence": "daily"})
DAMAGES: dict[str, tuple[Callable[[House], object], list[tuple[str, str]]]] = {
    "a deleted blob": (lambda it: it.store.objects.pop(BLOB_KEYS[0]), [("blob/missing", BLOB_KEYS[0])]),
    "an orphan": (lambda it: it.store.objects.update({ORPHAN: b"orphan"}), [("blob/orphan", ORPHAN)]),
    "a deleted reference": (lambda it: it.store.objects.pop(REFERENCE_KEYS[0]), [("blob/orphan", BLOB_KEYS[0])]),
    "a blob with no digest for a name": (
        lambda it: it.store.objects.update({f"{BLOBS}ab/cd.md": b"x"}),
        [("blob/misnamed", f"{BLOBS}ab/cd.md")],
    ),
    "a blob in another digest's folder": (
        lambda it: it.store.objects.update({f"{BLOBS}zz/{ORPHAN.rpartition('/')[2]}": b"x"}),
        [("blob/misnamed", f"{BLOBS}zz/{ORPHAN.rpartition('/')[2]}")],
    ),
    "a reference that is no JSON": (
        lambda it: it.store.objects.update({REFERENCE_KEYS[0]: b"{"}),
        [("blob/orphan", BLOB_KEYS[0]), ("reference/unreadable", REFERENCE_KEYS[0])],
    ),
    "an object of any size among the references": (
        lambda it: it.store.objects.update({f"{REFERENCES}stray": b" " * (5 << 20)}),
        [("reference/unreadable", f"{REFERENCES}stray")],
    ),
    "an event changed within its contract": (
        lambda it: rewritten(it, REFERENCE_KEYS[0], lambda record: record["event"].update(cadence="daily")),
        [("reference/altered", REFERENCE_KEYS[0])],
    ),
    "an event changed against its contract": (
        lambda it: rewritten(it, REFERENCE_KEYS[0], lambda record: record["event"].update(cadence="hourly")),
        [("reference/invalid-event", REFERENCE_KEYS[0])],
    ),
    "no event at all": (
        lambda it: rewritten(it, REFERENCE_KEYS[0], lambda record: record.update(event=[])),
        [("blob/orphan", BLOB_KEYS[0]), ("reference/unreadable", REFERENCE_KEYS[0])],
    ),
    "another event under an event's key": (
        lambda it: rewritten(
            it,
            REFERENCE_KEYS[0],
            lambda record: record.update(event_sha256=ALTERED, event=record["event"] | {"cadence": "daily"}),
        ),
        [("reference/misplaced", REFERENCE_KEYS[0])],
    ),
    "a reference on another day": (
        lambda it: moved(it, REFERENCE_KEYS[0], REFERENCE_KEYS[0].replace("06-15", "06-16")),
        [("reference/misplaced", REFERENCE_KEYS[0].replace("06-15", "06-16"))],
    ),
    "two references in each other's place": (
        swapped,
        [("reference/misplaced", REFERENCE_KEYS[0]), ("reference/misplaced", REFERENCE_KEYS[1])],
    ),
    "a second copy of a reference": (
        lambda it: it.store.objects.update({f"{REFERENCES}copy.json": it.store.objects[REFERENCE_KEYS[0]]}),
        [("reference/duplicate", f"{REFERENCES}copy.json")],
    ),
    "a reference to another digest than its bundle's": (
        lambda it: rewritten(it, REFERENCE_KEYS[0], lambda record: record["bundle"].update(sha256="ab" * 32)),
        [("reference/wrong-bundle", REFERENCE_KEYS[0])],
    ),
    "a reference to another key than its bundle's": (
        lambda it: rewritten(it, REFERENCE_KEYS[0], lambda record: record["bundle"].update(key=ORPHAN)),
        [("reference/wrong-bundle", REFERENCE_KEYS[0])],
    ),
    "a reference to a bundle that is no text": (
        lambda it: rewritten(it, REFERENCE_KEYS[0], lambda record: record["bundle"].update(sha256=7, key=7)),
        [("blob/orphan", BLOB_KEYS[0]), ("reference/unreadable", REFERENCE_KEYS[0])],
    ),
    "a reference with another size": (
        lambda it: rewritten(it, REFERENCE_KEYS[0], lambda record: record["bundle"].update(bytes=7)),
        [("reference/wrong-bundle", REFERENCE_KEYS[0])],
    ),
    "what an interrupted gc left": (
        lambda it: it.store.objects.update({trash_key("run", ORPHAN): b"orphan"}),
        [("gc/interrupted", trash_key("run", ORPHAN))],
    ),
    "what a probe left": (lambda it: it.store.objects.update({"probe/v1/a": b""}), []),
    "a replay that was archived apart": (
        lambda it: it.store.objects.update({f"{replay_prefix('run')}{key}": b"" for key in (BLOB_KEYS[0], "x")}),
        [],
    ),
    "another archive below this one": (
        lambda it: it.store.objects.update(
            {
                f"staging/{BLOB_KEYS[0]}": b"x",
                f"staging/{REFERENCE_KEYS[0]}": b"x",
                "staging/replays/v1/run/refs/v1/x": b"x",
                "staging/probe/v1/x": b"x",
                "a/b/conflicts/v1/x": b"x",
            }
        ),
        [("object/other-archive", "a/b/"), ("object/other-archive", "staging/")],
    ),
    "another archive beside objects of somebody else": (
        lambda it: it.store.objects.update({"staging/README": b"", "staging/trash/v1/x": b"", "refs/v2/x": b""}),
        [("object/other-archive", "staging/"), ("object/unknown", "refs/v2/x"), ("object/unknown", "staging/README")],
    ),
    "an object of somebody else": (lambda it: it.store.objects.update(README=b""), [("object/unknown", "README")]),
}


@pytest.mark.parametrize(("damage", "damages"), DAMAGES.values(), ids=DAMAGES)
def test_each_damage_is_named_with_its_key_and_nothing_else_is(
    damage: Callable[[House], object], damages: list[tuple[str, str]]
) -> None:
    house = archive()
    damage(house)
    house.store.memory.modified_at.clear()

    found = found_in(house, now=house.clock.now() + timedelta(days=365 * 100))

    assert named(found) == damages
    assert [damage.is_damage for damage in found] == [KINDS[damage.id].is_damage for damage in found]
    assert all(damage.found and damage.expected and damage.next for damage in found)


def test_a_blob_that_a_conflict_alone_refers_to_is_no_orphan_and_is_checked() -> None:
    house = archive((EVENTS[0], BUNDLES[0]), (EVENTS[0], BUNDLES[1]))
    conflict = conflict_key(EVENTS[0].key, sha256(BUNDLES[1]).hexdigest())
    assert conflict in house.store.objects
    assert found_in(house) == []

    house.store.objects[BLOB_KEYS[1]] = b""
    [damage] = found_in(house)

    assert (damage.id, damage.key, damage.record) == ("blob/damaged", BLOB_KEYS[1], conflict)


def test_a_missing_blob_of_many_references_is_told_once_and_read_once() -> None:
    house = archive(*((prepared(repo=f"repo-{number}"), BUNDLE) for number in range(40)))
    del house.store.objects[BLOB_KEYS[0]]
    house.journal.clear()

    assert named(found_in(house)) == [("blob/missing", BLOB_KEYS[0])]
    assert house.journal.count("read blobs") == 1


@pytest.mark.parametrize(("age_s", "name"), [(3599, "blob/unreferenced-yet"), (3600, "blob/orphan")])
def test_a_young_blob_without_a_reference_is_told_apart(age_s: int, name: str) -> None:
    house = archive()
    house.store.objects[ORPHAN] = b"orphan"
    house.store.memory.modified_at[ORPHAN] = house.clock.now() - timedelta(seconds=age_s)

    assert named(found_in(house, grace=timedelta(hours=1))) == [(name, ORPHAN)]


def test_what_is_deleted_between_listing_and_reading_is_passed_over() -> None:
    house = archive()

    read = house.store.read

    def gone(key: str) -> AsyncIterator[bytes]:  # the first that is read; by then everything was listed
        house.store.objects.clear()
        return read(key)

    house.store.read = gone  # type: ignore[method-assign]

    assert {damage.id for damage in found_in(house)} == {"blob/unreferenced-yet"}


def test_a_store_that_fails_ends_it_and_what_was_found_stands() -> None:
    house = archive()
    strays = [f"conflicts/v1/{number:02}" for number in range(AT_ONCE + 4)]  # read before the references
    house.store.objects.update(dict.fromkeys(strays, b"no record"))
    house.fail("read blobs", StoreRefuses("read it", "403 AccessDenied"))
    found: list[Damage] = []

    async def steps() -> None:
        stream = verification(house).damage(EVERYTHING)
        while True:
            found.append(await anext(stream))

    with pytest.raises(StoreRefuses):
        asyncio.run(steps())

    assert len(found) > 4
    assert {(damage.id, damage.key in strays) for damage in found} == {("conflict/unreadable", True)}
