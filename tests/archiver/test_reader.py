"""The reader of an archive that other programs use, over a store in memory; `tests/e2e/test_api.py` has a real one."""

from __future__ import annotations

import asyncio
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Any

import pytest

import archiver
from archiver import ArchivedEvent, ArchiveReader, AsyncArchiveReader, DigestMismatch, NotArchived, RecordDamaged
from archiver.core.keys import blob_key, ref_key
from archiver.core.values import MAX_BUNDLE_BYTES
from archiver.reader import DamagedReference, _bucket_and_prefix, _loop_in_thread, open_archive
from archiver.stores.prefixed import PrefixedStore
from contracts import BadInput
from tests.support.builders import BUNDLE, House, message, prepared

EVENTS = [
    prepared(repo="alpha", agent="coach", occurred_at="2026-06-15T09:00:00Z"),
    prepared(repo="alpha", agent="reviewer", occurred_at="2026-06-16T23:30:00Z"),
    prepared(repo="beta", agent="coach", occurred_at="2026-06-17T01:30:00+02:00"),
    prepared(repo="gamma", agent="coach", occurred_at="2026-06-17T12:00:00Z"),
]
DIGEST = sha256(BUNDLE).hexdigest()
BLOB = blob_key(DIGEST, "md")


def archive() -> House:
    house = House()
    for each in EVENTS:
        house.bundles.leave(each)
        house.process(message(each.payload))
    return house


@contextmanager
def opened(house: House, max_bytes: int = MAX_BUNDLE_BYTES) -> Iterator[ArchiveReader]:
    with _loop_in_thread() as loop:
        yield ArchiveReader(AsyncArchiveReader(house.store, max_bytes), loop)


@pytest.mark.parametrize(
    ("chosen", "wanted"),
    [
        ({}, [0, 1, 2, 3]),
        ({"repo": "alpha"}, [0, 1]),
        ({"agent": "coach"}, [0, 2, 3]),
        ({"repo": "alpha", "agent": "coach"}, [0]),
        ({"repo": "nobody"}, []),
        ({"day": date(2026, 6, 16)}, [1, 2]),
        ({"day": date(2026, 6, 17), "agent": "coach"}, [3]),
        ({"day": date.max}, []),
        ({"day": date.min}, []),
        ({"since": datetime(2026, 6, 16, 23, 30, tzinfo=UTC)}, [1, 2, 3]),
        ({"until": datetime(2026, 6, 16, 23, 30, tzinfo=UTC)}, [0]),
        ({"since": datetime(2026, 6, 16, tzinfo=UTC), "until": datetime(2026, 6, 17, tzinfo=UTC)}, [1, 2]),
    ],
    ids=str,
)
def test_events_are_found_by_repo_agent_and_day(chosen: dict[str, Any], wanted: list[int]) -> None:
    house = archive()

    async def found() -> list[ArchivedEvent]:
        return [each async for each in AsyncArchiveReader(house.store, MAX_BUNDLE_BYTES).find(**chosen)]

    with opened(house) as reader:
        synchronous = list(reader.find(**chosen))

    assert [each.event for each in synchronous] == [EVENTS[index] for index in wanted]
    assert asyncio.run(found()) == synchronous


def test_an_archived_event_has_its_keys_its_digest_and_its_bundle() -> None:
    with opened(archive()) as reader:
        found = reader.get(EVENTS[0].key)

        assert found == reader.get(ref_key(EVENTS[0])) == next(iter(reader))
        assert (found.key, found.ref_key) == (EVENTS[0].key, ref_key(EVENTS[0]))
        assert (found.sha256, found.size_bytes) == (DIGEST, len(BUNDLE))
        assert found.archived_at.tzinfo is UTC
        for which in (found, found.key, found.ref_key, BLOB):
            assert reader.read(which) == BUNDLE
            with reader.open(which) as file:
                assert (file.read(3), file.read()) == (BUNDLE[:3], BUNDLE[3:])


def test_an_iteration_may_stop_early_and_two_may_go_on_at_once() -> None:
    with opened(archive()) as reader:
        one, two = reader.find(), reader.find()

        assert next(one) == next(two)
        assert next(one).event == EVENTS[1]
        assert [each.event for each in two] == EVENTS[1:]


def test_a_synchronous_reader_works_inside_a_running_event_loop() -> None:
    house = archive()

    async def notebook() -> bytes:
        with opened(house) as reader:
            return reader.read(EVENTS[0].key)

    assert asyncio.run(notebook()) == BUNDLE


def test_a_damaged_reference_is_passed_on_and_does_not_hide_the_others() -> None:
    house, damaged = archive(), list[tuple[str, str]]()
    key = ref_key(EVENTS[0])
    record = json.loads(house.store.objects[key])
    record["bundle"]["bytes"] = "12"
    house.store.objects[key] = json.dumps(record).encode()

    with opened(house) as reader:
        found = list(reader.find(on_damage=lambda *what: damaged.append(what)))
        with pytest.warns(DamagedReference, match=r"/bundle/bytes: found '12'"):
            assert [each.event for each in reader] == EVENTS[1:]
        with pytest.raises(RecordDamaged, match="archiver verify"):
            reader.read(EVENTS[0].key)

    assert [each.event for each in found] == EVENTS[1:]
    assert [each[0] for each in damaged] == [key]


def test_no_byte_of_a_damaged_or_missing_bundle_is_handed_out() -> None:
    house = archive()
    house.store.objects[BLOB] = BUNDLE.swapcase()

    with opened(house) as reader:
        with pytest.raises(DigestMismatch):
            reader.read(EVENTS[0].key)
        with pytest.raises(DigestMismatch), reader.open(BLOB):
            pass
        del house.store.objects[BLOB]
        with pytest.raises(NotArchived):
            reader.read(EVENTS[0].key)


def test_a_bundle_beyond_the_configured_size_is_not_read() -> None:
    with opened(archive(), len(BUNDLE) - 1) as reader, pytest.raises(DigestMismatch, match="holds more than"):
        reader.read(EVENTS[0].key)


@pytest.mark.parametrize(
    "name", ["", "secret", "../secret", "refs/v1/../../secret", f"blobs/v1/sha256/../../../{DIGEST}.md", "ab" * 32]
)
def test_nothing_outside_of_the_archive_is_asked_for(name: str) -> None:
    house = archive()
    inside = PrefixedStore(house.store, "live/")
    house.store.objects.update({f"live/{key}": body for key, body in house.store.objects.items()})
    house.store.objects.update({"secret": b"x", "live/secret": b"x", f"{DIGEST}.md": BUNDLE})
    house.journal.clear()

    async def steps() -> None:
        reader = AsyncArchiveReader(inside, MAX_BUNDLE_BYTES)
        with pytest.raises(NotArchived):
            await reader.read(name)
        assert [each.event async for each in reader] == EVENTS

    asyncio.run(steps())
    assert "read secret" not in house.journal


def test_times_without_an_offset_and_a_day_beside_times_are_refused() -> None:
    with opened(archive()) as reader:
        with pytest.raises(ValueError, match="has no offset"):
            reader.find(since=datetime(2026, 6, 17))  # noqa: DTZ001
        with pytest.raises(ValueError, match="day excludes"):
            reader.find(day=date(2026, 6, 17), until=datetime(2026, 6, 17, tzinfo=UTC))


def test_a_closed_archive_says_so() -> None:
    with opened(archive()) as reader:
        found = reader.find()
        next(found)

    with pytest.raises(RuntimeError, match="the archive is closed"):
        next(found)
    with pytest.raises(RuntimeError, match="the archive is closed"):
        reader.read(BLOB)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("s3://bucket", ("bucket", "")),
        ("s3://bucket/", ("bucket", "")),
        ("s3://bucket/live", ("bucket", "live")),
        ("s3://bucket/a/b/", ("bucket", "a/b")),
    ],
)
def test_a_url_names_bucket_and_prefix(url: str, found: tuple[str, str]) -> None:
    assert tuple(_bucket_and_prefix(url).values()) == found


@pytest.mark.parametrize(
    "url",
    [
        "",
        "bucket",
        "s3:",
        "s3://",
        "s3:///live",
        "http://bucket/live",
        "s3://key:secret@bucket/live",
        "s3://b/?x=1",
        "s3://b#c",
    ],
)
def test_what_is_no_url_of_an_archive_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(BadInput, match=r"s3://bucket/prefix") as refused:
        open_archive(url)

    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "said"), [("s3://UPPER/live", "ARCHIVER_BUCKET"), ("s3://bucket/../live", "ARCHIVER_PREFIX")]
)
def test_a_bucket_or_prefix_that_cannot_be_is_refused(url: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ARCHIVER_BUCKET", raising=False)
    with pytest.raises(BadInput, match=said):
        open_archive(url)


@pytest.mark.parametrize("name", sorted(archiver.__all__))
def test_each_public_name_is_listed_and_can_be_imported(name: str) -> None:
    assert name in dir(archiver)
    assert getattr(archiver, name).__name__ == name
    subprocess.run([sys.executable, "-W", "error", "-c", f"from archiver import {name}"], check=True)


def test_a_name_that_there_is_not_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no public name 'open_archiv'"):
        archiver.open_archiv  # noqa: B018
    assert importlib.import_module("archiver.settings").Settings is archiver.Settings
