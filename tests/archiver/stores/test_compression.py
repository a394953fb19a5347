"""Compressed blobs: smaller where that is worth it, the same bundle to every reader, and no way to fill a disk."""

from __future__ import annotations

import asyncio
import io
import random
import sys
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from archiver.core.errors import DigestMismatch
from archiver.core.keys import IDENTITY, ZSTD, blob_key, ref_key, trash_key
from archiver.maintenance.reading import checked_bundle, resolve
from archiver.maintenance.repair import Repairer
from archiver.maintenance.verify import Selection, Verification
from archiver.stores.compression import NotUnpackable, Unpacker, packed
from archiver.worker.archive import read_back
from contracts import check, load_contract
from tests.archiver.maintenance.test_gc import DAY, collected
from tests.support.builders import House, event, message, payload_bytes, prepared

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MARKDOWN = b"".join(f"- run {number}: what has changed since the last one?\n".encode() for number in range(400))
NOISE = random.Random(5).randbytes(20_000)
DIGEST = sha256(MARKDOWN).hexdigest()
BLOB = blob_key(DIGEST, "md", ZSTD)
NAME = ref_key(prepared(bundle={"bytes": len(MARKDOWN)}))
FRAME = zstd.compress(MARKDOWN, options={zstd.CompressionParameter.checksum_flag: 1})
BOMB = zstd.compress(bytes(64 << 20))


def house_of(bundle: bytes = MARKDOWN) -> House:
    """An archive with compression on, and the event of one bundle in it."""
    this = House()
    this.pipeline = replace(this.pipeline, archive=replace(this.archive, compress=True))
    payload = event(bundle={"bytes": len(bundle)})
    this.bundles.leave(prepared(bundle={"bytes": len(bundle)}), bundle)
    this.process(message(payload))
    return this


def damages(house: House, repairer: Repairer | None = None) -> list[tuple[str, str]]:
    async def steps() -> list[tuple[str, str]]:
        seen = Verification(house.store, house.clock.now(), timedelta(hours=1), repairer)
        return [(damage.id, damage.repaired) async for damage in seen.damage(Selection())]

    return asyncio.run(steps())


def fetched(house: House, name: str) -> bytes:
    async def steps() -> bytes:
        key, digest, size = await resolve(house.store, name)
        async with checked_bundle(house.store, key, digest, len(MARKDOWN) if size is None else size) as file:
            return file.read()

    return asyncio.run(steps())


@pytest.mark.parametrize("size", [0, 1, 8192, (3 << 20) + 7])
@pytest.mark.parametrize("in_memory", [True, False])
def test_what_is_packed_unpacks_to_the_same_whatever_its_size(tmp_path: Path, size: int, in_memory: bool) -> None:  # noqa: FBT001
    bundle = (MARKDOWN * (size // len(MARKDOWN) + 1))[:size]
    path = tmp_path / "bundle.md"
    path.write_bytes(bundle)

    async def steps() -> bytes:
        with io.BytesIO(bundle) if in_memory else path.open("rb") as plain:
            async with packed(plain, size, sha256(bundle).hexdigest(), ZSTD) as blob:
                blob.file.seek(0)
                frame = blob.file.read()
                assert (blob.size_bytes, blob.sha256) == (len(frame), sha256(frame).hexdigest())
                return frame

    frame = asyncio.run(steps())

    assert zstd.decompress(frame) == bundle
    assert zstd.get_frame_info(frame).decompressed_size == size
    assert frame[4] & 4, "a frame has a checksum"


@pytest.mark.parametrize(
    ("bundle", "codec"), [(MARKDOWN, ZSTD), (NOISE, IDENTITY), (b"", IDENTITY), (b"short", IDENTITY)]
)
def test_a_bundle_is_compressed_where_that_saves_a_tenth(bundle: bytes, codec: str) -> None:
    house = house_of(bundle)

    key = blob_key(sha256(bundle).hexdigest(), "md", codec)
    assert [each for each in house.store.objects if each.startswith("blobs/")] == [key]
    stored = house.reference(ref_key(prepared(bundle={"bytes": len(bundle)}))).bundle
    assert (stored.key, stored.codec, stored.bytes) == (key, codec, len(bundle))
    assert stored.stored_bytes == len(house.store.objects[key])
    assert stored.sha256 == sha256(bundle).hexdigest()
    assert damages(house) == []


def test_the_store_and_the_follow_up_event_are_told_the_codec() -> None:
    house = house_of()

    assert house.store.memory.metadata[BLOB] == {
        "content-sha256": DIGEST,
        "content-length": str(len(MARKDOWN)),
        "codec": "zstd",
        "content-type": "application/zstd",
    }
    [(_, told, _)] = house.announcer.said
    assert (told["archive"]["key"], told["archive"]["codec"], told["archive"]["bytes"]) == (BLOB, "zstd", len(MARKDOWN))
    contract = load_contract("kaizen.schedule.archived@1")
    assert not check(payload_bytes(told), source="", contract=contract).violations


def test_every_name_of_a_compressed_bundle_leads_to_the_bundle_as_it_was() -> None:
    house = house_of()
    this = prepared(bundle={"bytes": len(MARKDOWN)})

    for name in (this.key, NAME, BLOB):
        assert fetched(house, name) == MARKDOWN


def test_the_same_bundle_again_is_found_whatever_frame_is_there() -> None:
    house = house_of()
    other = zstd.compress(MARKDOWN, 19)
    house.store.objects[BLOB] = other
    later = {"occurred_at": "2026-06-18T09:00:12Z", "bundle": {"bytes": len(MARKDOWN)}}
    house.bundles.leave(prepared(**later), MARKDOWN)

    house.process(message(event(**later)))

    assert house.store.objects[BLOB] == other
    assert house.reference(ref_key(prepared(**later))).bundle.stored_bytes == len(other)
    assert damages(house) == []


DAMAGED = {
    "cut short": FRAME[:-5],
    "without its checksum": FRAME[:-4],
    "a bit is another": FRAME[:100] + bytes([FRAME[100] ^ 1]) + FRAME[101:],
    "not compressed": MARKDOWN,
    "another bundle": zstd.compress(MARKDOWN[1:]),
    "more behind it": FRAME + b"more",
    "a second frame behind it": FRAME + FRAME,
    "empty": b"",
    "a bomb": BOMB,
}


@pytest.mark.parametrize("body", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_frame_is_told_by_every_reader_and_mended_from_the_spool(body: bytes) -> None:
    house = house_of()
    house.store.objects[BLOB] = body

    with pytest.raises(DigestMismatch, match="is damaged"):
        fetched(house, NAME)
    assert [each for each, _ in damages(house)] == ["blob/damaged"]
    assert damages(house, Repairer(house.store, house.bundles)) == [("blob/damaged", "written again from spool")]

    assert fetched(house, NAME) == MARKDOWN
    assert damages(house) == []


@pytest.mark.parametrize("body", DAMAGED.values(), ids=DAMAGED)
def test_a_worker_that_reads_back_a_damaged_frame_writes_it_again(body: bytes) -> None:
    house = house_of()
    house.store.objects[BLOB] = body
    del house.store.objects[NAME]

    house.process(message(event(bundle={"bytes": len(MARKDOWN)})))

    assert zstd.decompress(house.store.objects[BLOB]) == MARKDOWN
    assert damages(house) == []


def test_a_small_blob_that_unpacks_too_large_is_stopped_before_it_fills_the_disk() -> None:
    unpacker = Unpacker(BLOB, limit_bytes=1 << 20)

    with pytest.raises(NotUnpackable, match="more than 1048576 bytes"):
        for _ in unpacker.feed(BOMB):
            pass
    assert unpacker.size_bytes <= 2 << 20


def test_a_frame_that_asks_for_a_huge_window_is_refused() -> None:
    compressor = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
    greedy = compressor.compress(b"x") + compressor.flush()

    with pytest.raises(NotUnpackable, match="no zstd frame"):
        list(Unpacker(BLOB).feed(greedy))


def test_gc_sets_a_compressed_orphan_aside_as_it_is_and_deletes_it() -> None:
    house = house_of()
    frame = house.store.objects[BLOB]
    del house.store.objects[NAME]
    house.store.memory.modified_at[BLOB] = house.clock.now() - 2 * DAY
    kept = []

    def keep(call: str, data: bytes) -> bytes:
        kept.extend([data] if call == "create trash" else [])
        return data

    house.store.keeps = keep

    assert [(each.what, each.key, each.why) for each in collected(house)] == [("orphan", BLOB, "")]

    assert kept == [frame]
    assert BLOB not in house.store.objects


def test_what_an_interrupted_gc_set_aside_is_put_back_as_it_is() -> None:
    house = house_of()
    frame = house.store.objects.pop(BLOB)
    house.bundles.bundles.clear()
    house.store.objects[trash_key("run", BLOB)] = frame

    found = dict(damages(house, Repairer(house.store, house.bundles)))

    assert found["blob/missing"].startswith("written again from trash/")
    assert house.store.objects[BLOB] == frame


def test_reading_back_tells_what_is_stored_and_what_it_holds() -> None:
    house = house_of()

    found = asyncio.run(read_back(house.store, BLOB))

    assert (found.digest, found.size_bytes, found.stored_bytes) == (
        DIGEST,
        len(MARKDOWN),
        len(house.store.objects[BLOB]),
    )
