"""Reading the archive: the right references in order, and no byte of a bundle whose digest is wrong."""

from __future__ import annotations

import asyncio
import io
import json
import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from hashlib import sha256

import pytest

from archiver.core.errors import DigestMismatch, NotArchived, RecordDamaged
from archiver.core.keys import REFERENCES, blob_key, ref_key
from archiver.core.values import MAX_BUNDLE_BYTES
from archiver.maintenance.history import Span, history
from archiver.maintenance.reading import Entry, Stray, checked_bundle, copy_out, references, resolve
from archiver.ports import Bundle
from archiver.stores.parallel import AT_ONCE
from contracts import PreparedEvent, parse_rfc3339
from tests.support.builders import BUNDLE, House, event, message, payload_bytes, prepared

DIGEST = sha256(BUNDLE).hexdigest()
BLOB = blob_key(DIGEST, "md")
EVENTS = [
    prepared(repo="alpha", agent="coach", occurred_at="2026-06-15T09:00:00Z"),
    prepared(repo="alpha", agent="reviewer", occurred_at="2026-06-16T23:30:00Z"),
    prepared(repo="alpha-two", agent="coach", occurred_at="2026-06-17T01:30:00+02:00"),
    prepared(repo="beta", agent="coach", occurred_at="2026-06-17T12:00:00Z"),
]


def archive_of(*events: PreparedEvent) -> House:
    house = House()
    for this in events:
        house.bundles.leave(this)
        house.process(message(this.payload))
    house.journal.clear()
    return house


def fetched(house: House, blob: str = BLOB, digest: str = DIGEST, limit_bytes: int = 1 << 30) -> bytes:
    async def steps() -> bytes:
        target = io.BytesIO()
        async with checked_bundle(house.store, blob, digest, limit_bytes) as bundle:
            copy_out(bundle, target)
        return target.getvalue()

    return asyncio.run(steps())


@pytest.mark.parametrize(
    ("repo", "agent", "since", "found"),
    [
        (None, None, None, [0, 1, 2, 3]),
        ("alpha", None, None, [0, 1]),
        (None, "coach", None, [0, 2, 3]),
        ("alpha", "reviewer", None, [1]),
        ("alph", None, None, []),
        ("alpha", "coac", None, []),
        (None, None, "2026-06-17T00:00:00Z", [3]),
        (None, None, "2026-06-16T23:30:00Z", [1, 2, 3]),
        (None, None, "2026-06-17T00:30:00+01:00", [1, 2, 3]),
        (None, None, "2026-06-16T23:30:00.000001Z", [3]),
        (None, "coach", "2026-06-16T00:00:00Z", [2, 3]),
        (None, None, "2026-06-17T12:00:00.000001Z", []),
    ],
)
def test_the_list_is_narrowed_by_repo_agent_and_time(
    repo: str | None, agent: str | None, since: str | None, found: list[int]
) -> None:
    house = archive_of(*EVENTS)
    instant = parse_rfc3339(since) if since else None

    async def steps() -> list[str]:
        return [entry.key async for entry in references(house.store, repo=repo, agent=agent, since=instant)]

    assert asyncio.run(steps()) == sorted(ref_key(EVENTS[index]) for index in found)


def test_a_list_of_one_day_does_not_read_the_references_of_earlier_ones() -> None:
    house = archive_of(*EVENTS)

    async def steps() -> None:
        async for _ in references(house.store, since=parse_rfc3339("2026-06-17T00:00:00Z")):
            pass

    asyncio.run(steps())

    assert house.journal == ["read refs"]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"{}", "not a kaizen.archive.ref record"),
        (b" " * (5 << 20), "more than"),
        (b'"event": []', "/event: found an array without entries"),
        (b'"event": {"bundle": {}, "occurred_at": "noon"}', "its event breaks the contract"),
        (b'"event": ' + payload_bytes(event(repo=7)), "its event breaks the contract: "),
    ],
    ids=lambda value: repr(value[:24]),
)
def test_an_object_that_is_no_reference_is_named_and_the_others_are_listed(body: bytes, why: str) -> None:
    house, stray = archive_of(EVENTS[0]), f"{REFERENCES}repo=alpha/agent=coach/date=2026-06-15/stray.json"
    if body.startswith(b'"event"'):  # a record all the same
        record = json.loads(house.store.objects[ref_key(EVENTS[0])])
        body = json.dumps(record | json.loads(b"{" + body + b"}")).encode()
    house.store.objects[stray] = body

    async def steps() -> list[Entry | Stray]:
        return [entry async for entry in references(house.store)]

    entry, other = asyncio.run(steps())

    assert entry.key == ref_key(EVENTS[0])
    assert isinstance(other, Stray)
    assert other.key == stray
    assert why in other.why


def test_an_event_a_reference_and_a_blob_each_name_the_bundle() -> None:
    house = archive_of(*EVENTS)

    for name, size in ((EVENTS[2].key, len(BUNDLE)), (ref_key(EVENTS[2]), len(BUNDLE)), (BLOB, MAX_BUNDLE_BYTES)):
        assert asyncio.run(resolve(house.store, name)) == (BLOB, DIGEST, size)


def test_a_list_of_one_repo_or_agent_asks_the_store_for_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    house, asked = archive_of(*EVENTS), list[str]()
    listed = house.store.list
    monkeypatch.setattr(house.store, "list", lambda prefix, after="": asked.append(prefix) or listed(prefix, after))

    async def steps(**chosen: str) -> None:
        async for _ in references(house.store, **chosen):  # type: ignore[arg-type]
            pass

    asyncio.run(steps(repo="alpha"))
    asyncio.run(steps(repo="alpha", agent="coach"))
    assert asked == [f"{REFERENCES}repo=alpha/", f"{REFERENCES}repo=alpha/agent=coach/"]
    assert house.journal == ["read refs"] * 3

    house.journal.clear()
    asyncio.run(steps(agent="reviewer"))
    assert house.journal == ["read refs"]


def test_a_list_is_given_out_while_it_is_read() -> None:
    house = archive_of(*(prepared(repo=f"repo-{number:02}") for number in range(3 * AT_ONCE)))

    async def steps() -> Entry | Stray:
        async with aclosing(references(house.store)) as entries:  # type: ignore[type-var]
            return await anext(entries)

    assert asyncio.run(steps()).key.startswith(f"{REFERENCES}repo=repo-00/")
    assert house.journal.count("read refs") <= AT_ONCE


def test_a_blob_is_found_without_asking_the_store_for_a_reference() -> None:
    house = archive_of()

    assert asyncio.run(resolve(house.store, BLOB)) == (BLOB, DIGEST, MAX_BUNDLE_BYTES)
    assert house.journal == []


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("coach", "expected an event key"),
        ("", "expected an event key"),
        (EVENTS[0].key[:-1], "expected an event key"),
        (EVENTS[0].key.upper(), "expected an event key"),
        ("../../etc/passwd", "expected an event key"),
        ("blobs/v1/sha256/ab/cd.md", "expected an event key"),
        ("ab" * 32, "archiver ls"),
        (ref_key(EVENTS[0]).replace(EVENTS[0].key, "ab" * 32), "archiver ls"),
        (ref_key(EVENTS[0]) + "x", "expected an event key"),
        (f"{REFERENCES}../../other/{EVENTS[0].key}.json", "expected an event key"),
        (f"{REFERENCES}repo=../agent=../date=2026-06-17/{EVENTS[0].key}.json", "expected an event key"),
        (f"blobs/v1/sha256/../../{DIGEST}.md", "expected an event key"),
        (f"blobs/v1/sha256/00/{DIGEST}.md", "expected an event key"),
    ],
)
def test_a_name_that_nothing_answers_to_is_told_with_what_a_name_looks_like(name: str, hint: str) -> None:
    with pytest.raises(NotArchived, match=hint):
        asyncio.run(resolve(archive_of(EVENTS[0]).store, name))


DAMAGE = {
    "a size as text": (lambda record: record["bundle"].update(bytes="12"), "/bundle/bytes: found '12'"),
    "a list as key": (lambda record: record["bundle"].update(key=["a"]), "/bundle/key: found an array of 1"),
    "a bundle elsewhere": (
        lambda record: record["bundle"].update(key="backups/customers.sql"),
        f"it names the bundle backups/customers.sql, expected {BLOB}",
    ),
    "another bundle": (
        lambda record: record["bundle"].update(key=blob_key("ab" * 32, "md")),
        f"expected {BLOB}, by the digest in it",
    ),
    "another event": (
        lambda record: record.update(event=event(repo="other"), event_sha256=prepared(repo="other").key),
        f"the event in it belongs under {ref_key(prepared(repo='other'))}",
    ),
    "another identity": (lambda record: record.update(event_sha256="ab" * 32), f"event_sha256 is {'ab' * 32}"),
    "10^18 bytes": (lambda record: record["bundle"].update(bytes=10**18), "/bundle/bytes: 1000000000000000000"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_reference_is_one_finding_of_every_reader(damage: str) -> None:
    house, (change, why) = archive_of(EVENTS[0], EVENTS[2]), DAMAGE[damage]
    key = ref_key(EVENTS[0])
    record = json.loads(house.store.objects[key])
    change(record)
    house.store.objects[key] = json.dumps(record).encode()
    house.store.objects["backups/customers.sql"] = b"not a bundle"

    async def steps(found: AsyncIterator[Entry | Stray]) -> list[Entry | Stray]:
        return [each async for each in found]

    for found in (references(house.store), history(house.store, Span())):
        bad, good = sorted(asyncio.run(steps(found)), key=lambda each: each.key != key)
        assert isinstance(bad, Stray)
        assert (bad.key, why in bad.why) == (key, True)
        assert isinstance(good, Entry)
        assert good.event == EVENTS[2]
    for name in (key, EVENTS[0].key):
        with pytest.raises(RecordDamaged, match=re.escape(why)) as refused:
            asyncio.run(resolve(house.store, name))
        assert (refused.value.key, refused.value.exit_code) == (key, 1)


def test_what_bears_an_events_name_elsewhere_does_not_hide_the_event() -> None:
    house = archive_of(EVENTS[0])
    house.store.objects[f"{REFERENCES}repo=a/agent=a/date=2026-01-01/{EVENTS[0].key}.json"] = b"{}"
    house.store.objects[f"{REFERENCES}{EVENTS[0].key}.json"] = house.store.objects[ref_key(EVENTS[0])]

    assert asyncio.run(resolve(house.store, EVENTS[0].key))[0] == BLOB


def test_a_blob_is_unpacked_up_to_the_configured_size_whatever_its_reference_says() -> None:
    house = archive_of(EVENTS[0])
    record = json.loads(house.store.objects[ref_key(EVENTS[0])])
    record["bundle"]["bytes"] = 2**53 - 1
    house.store.objects[ref_key(EVENTS[0])] = json.dumps(record).encode()

    assert asyncio.run(resolve(house.store, EVENTS[0].key, 1000)) == (BLOB, DIGEST, 1000)


@pytest.mark.parametrize("bundle", [b"", BUNDLE, b"x" * (9 << 20)], ids=["empty", "small", "nine MiB"])
def test_a_bundle_is_handed_out_whole(bundle: bytes) -> None:
    house, digest = archive_of(), sha256(bundle).hexdigest()
    key = blob_key(digest, "md")
    asyncio.run(house.archive.store_bundle(prepared(), Bundle(io.BytesIO(bundle), len(bundle), "spool")))

    assert fetched(house, key, digest) == bundle


@pytest.mark.parametrize("damage", [b"", BUNDLE[:-1], BUNDLE + b"\n", BUNDLE.replace(b"C", b"c")], ids=repr)
def test_a_damaged_bundle_is_not_handed_out(damage: bytes) -> None:
    house = archive_of(EVENTS[0])
    house.store.objects[BLOB] = damage

    with pytest.raises(DigestMismatch, match=rf"{BLOB} is damaged.*expected {DIGEST}"):
        fetched(house)


def test_a_reference_whose_blob_is_gone_says_so() -> None:
    house = archive_of(EVENTS[0])
    del house.store.objects[BLOB]

    with pytest.raises(NotArchived, match="its blob is missing from the bucket; restore it from a copy"):
        fetched(house)
