"""`ARCHIVER_COMPRESSION=auto`, as its users see it: smaller objects, the same bundles."""

from __future__ import annotations

import json
from hashlib import sha256

from archiver.core.keys import ZSTD, blob_key
from archiver.stores.compression import zstd
from tests.e2e.kit import Kit
from tests.support.builders import event

AUTO = {"ARCHIVER_COMPRESSION": "auto"}
MARKDOWN = b"".join(f"- run {number}: what has changed since the last one?\n".encode() for number in range(40_000))
BLOB = blob_key(sha256(MARKDOWN).hexdigest(), "md", ZSTD)


def test_a_large_bundle_is_stored_compressed_announced_and_handed_out_as_it_was(kit: Kit) -> None:
    this = kit.publish(event(bundle={"bytes": len(MARKDOWN)}), MARKDOWN)
    assert this is not None

    kit.archiver("run", "--until-idle", **AUTO)

    [(key, stored)] = kit.objects("blobs/").items()
    assert key == BLOB
    assert len(stored) < len(MARKDOWN) / 4
    head = kit.s3.head_object(Bucket=kit.store.bucket, Key=f"{kit.prefix}/{BLOB}")
    assert (head["ContentType"], head.get("ContentEncoding")) == ("application/zstd", None)
    [told] = kit.follow_ups()
    assert (told["archive"]["key"], told["archive"]["codec"]) == (f"{kit.prefix}/{BLOB}", "zstd")
    [listed] = kit.archiver("ls", "--json").stdout.splitlines()
    assert json.loads(listed)["bundle"]["stored_bytes"] == len(stored)
    for name in (this.key, BLOB):
        assert kit.archiver("get", name).stdout == MARKDOWN
    kit.archiver("verify")


def test_an_archive_may_hold_both_and_each_reader_copes(kit: Kit) -> None:
    for day, compression in enumerate(("off", "auto"), start=1):
        bundle = MARKDOWN + f"day {day}\n".encode()
        payload = event(bundle={"bytes": len(bundle)}, occurred_at=f"2026-06-0{day}T09:00:00Z")
        this = kit.publish(payload, bundle)
        assert this is not None
        kit.archiver("run", "--until-idle", ARCHIVER_COMPRESSION=compression)
        assert kit.archiver("get", this.key, ARCHIVER_COMPRESSION="off").stdout == bundle

    assert sorted(key.partition(".")[2] for key in kit.objects("blobs/")) == ["md", "md.zst"]
    kit.archiver("verify")


def test_a_small_blob_that_holds_more_than_its_reference_says_is_not_handed_out(kit: Kit) -> None:
    this = kit.publish(event(bundle={"bytes": len(MARKDOWN)}), MARKDOWN)
    assert this is not None
    kit.archiver("run", "--until-idle", **AUTO)

    kit.overwrite(BLOB, zstd.compress(bytes(256 << 20)))

    refused = kit.archiver("get", this.key, status=1)

    assert f"it holds more than {len(MARKDOWN)} bytes".encode() in refused.stderr
    assert refused.stdout == b""
    assert b"blob/damaged" in kit.archiver("verify", status=1).stdout
