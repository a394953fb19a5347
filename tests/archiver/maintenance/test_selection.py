"""`archiver verify --sample` and `--since`, in memory: only the chosen references, and the blobs that they refer to."""

from __future__ import annotations

import pytest

from archiver.core.keys import BLOBS
from archiver.core.values import Folder
from archiver.maintenance.verify import Selection
from contracts import parse_rfc3339
from tests.archiver.maintenance.test_verify import BLOB_KEYS, ORPHAN, archive, found_in, named
from tests.support.builders import House, prepared


def without_blobs(count: int) -> House:
    """Archive events with a bundle each, and lose the bundles: each reference that is looked at is a finding."""
    events = [prepared(repo=f"repo-{number}") for number in range(count)]
    house = archive(*((event, event.repo.encode()) for event in events))
    for key in [key for key in house.store.objects if key.startswith(BLOBS)]:
        del house.store.objects[key]
    return house


def test_a_sample_is_drawn_again_by_its_seed_and_says_nothing_of_orphans() -> None:
    house = without_blobs(30)
    house.store.objects[ORPHAN] = b"orphan"

    first, again, other = (named(found_in(house, Selection(sample=5, seed=seed))) for seed in (1, 1, 2))

    assert first == again
    assert first != other
    assert {name for name, _ in first} == {"blob/missing"}
    assert len(first) == len(other) == 5
    assert len(found_in(house, Selection(sample=100))) == 30


def test_a_sample_does_not_depend_on_the_order_of_the_listing(monkeypatch: pytest.MonkeyPatch) -> None:
    house, chosen = without_blobs(30), Selection(sample=5, seed=1)
    first = named(found_in(house, chosen))
    folder = house.store.folder

    async def backwards(prefix: str) -> Folder:
        found = await folder(prefix)
        return Folder(found.objects, [*reversed(found.folders)])

    monkeypatch.setattr(house.store, "folder", backwards)

    assert named(found_in(house, chosen)) == first


def test_each_reference_comes_into_a_sample_as_often_as_any_other() -> None:
    house = without_blobs(10)

    drawn = [damage.key for seed in range(100) for damage in found_in(house, Selection(sample=3, seed=seed))]

    assert all(15 <= drawn.count(key) <= 45 for key in set(drawn))
    assert len(set(drawn)) == 10


@pytest.mark.parametrize(
    ("since", "count"),
    [
        ("2026-06-15T09:00:00Z", 2),
        ("2026-06-15T09:00:01Z", 1),
        ("2026-06-17T11:00:00+02:00", 1),
        ("2026-07-01T00:00:00Z", 0),
    ],
)
def test_since_looks_at_later_events_and_their_blobs_only(since: str, count: int) -> None:
    house = archive()
    house.store.objects.update(dict.fromkeys(BLOB_KEYS, b"damaged"))
    house.store.objects[ORPHAN] = b"orphan"

    found = found_in(house, Selection(since=parse_rfc3339(since)))

    assert named(found) == sorted(("blob/damaged", key) for key in BLOB_KEYS[2 - count :])
