"""`archiver gc` on a real store: a dry run by default, and an identity of its own."""

from __future__ import annotations

from hashlib import sha256

import pytest

from archiver.core.keys import blob_key, trash_key
from tests.e2e.kit import Kit
from tests.support.builders import BUNDLE, event, payload_bytes

PLAIN = {"NATS_URL": None, "ARCHIVER_SPOOL": None}
ORPHAN = blob_key(sha256(b"orphan").hexdigest(), "md")
BLOB = blob_key(sha256(BUNDLE).hexdigest(), "md")


@pytest.fixture
def archive(bare_kit: Kit) -> Kit:
    """One archived event and one orphan."""
    (bare_kit.home / "event.json").write_bytes(payload_bytes(event()))
    (bare_kit.home / "bundle").write_bytes(BUNDLE)
    bare_kit.archiver("put", bare_kit.home / "bundle", "--event", bare_kit.home / "event.json", **PLAIN)
    bare_kit.overwrite(ORPHAN, b"orphan")
    return bare_kit


def test_a_dry_run_tells_what_would_go_and_deletes_nothing(archive: Kit) -> None:
    before = archive.objects()

    said = archive.archiver("gc", "--older-than", "0s", **PLAIN).stdout.decode()

    assert said.split() == [
        *("orphan", "6", ORPHAN),
        *("1", "object,", "6", "bytes", "would", "be", "deleted;", "archiver", "gc", "--execute", "does", "it"),
    ]
    assert archive.objects() == before


def test_what_nothing_refers_to_is_deleted_and_the_archive_is_whole(archive: Kit) -> None:
    before = archive.objects()
    archive.overwrite("probe/v1/left-behind.txt", b"x")

    said = archive.archiver("gc", "--older-than", "0s", "--execute", **PLAIN).stdout.decode()

    del before[ORPHAN]
    assert archive.objects() == before
    assert said.endswith("2 objects, 7 bytes deleted\n")
    assert archive.archiver("verify", **PLAIN).stdout.endswith(b"whole\n")
    assert archive.archiver("gc", "--older-than", "0s", **PLAIN).stdout == b"0 objects, 0 bytes would be deleted\n"


def test_what_is_young_stays(archive: Kit) -> None:
    before = archive.objects()

    assert archive.archiver("gc", "--execute", **PLAIN).stdout == b"0 objects, 0 bytes deleted\n"
    assert archive.objects() == before


def test_a_blob_that_an_interrupted_run_set_aside_comes_back(archive: Kit) -> None:
    before = archive.objects()
    archive.overwrite(trash_key("earlier", BLOB), BUNDLE)
    client = archive.s3
    client.delete_object(Bucket=archive.store.bucket, Key=f"{archive.prefix}/{BLOB}")
    client.close()

    archive.archiver("gc", "--execute", **PLAIN)

    assert archive.objects("blobs/") == {key: body for key, body in before.items() if key.startswith("blobs/")}


def test_beside_a_record_that_cannot_be_read_nothing_is_deleted(archive: Kit) -> None:
    archive.overwrite("refs/v1/stray", b"x")
    before = archive.objects()

    said = archive.archiver("gc", "--older-than", "0s", "--execute", status=1, **PLAIN)

    assert "nothing was deleted: refs/v1/stray cannot be read" in said.stderr.decode()
    assert archive.objects() == before


def test_gc_goes_by_its_own_credentials_where_it_has_some(archive: Kit) -> None:
    own = {
        "ARCHIVER_GC_ACCESS_KEY_ID": archive.store.access_key,
        "ARCHIVER_GC_SECRET_ACCESS_KEY": archive.store.secret_key,
    }
    of_the_worker = {"AWS_ACCESS_KEY_ID": "worker", "AWS_SECRET_ACCESS_KEY": "secret"}

    archive.archiver("gc", **PLAIN, **of_the_worker, **own)
    archive.archiver("gc", status=4, **PLAIN, **of_the_worker)
    said = archive.archiver("gc", status=2, **PLAIN, **own | {"ARCHIVER_GC_SECRET_ACCESS_KEY": None})

    assert "ARCHIVER_GC_ACCESS_KEY_ID and ARCHIVER_GC_SECRET_ACCESS_KEY go together" in said.stderr.decode()
    assert archive.store.secret_key not in archive.archiver("config", **own).stdout.decode()
