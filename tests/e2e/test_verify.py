"""`archiver verify` on a real store: each damage is done behind our back, and found by the command."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest

from archiver.core.keys import blob_key, ref_key
from archiver.stores.parallel import AT_ONCE
from contracts import PreparedEvent
from tests.e2e.kit import Kit, frozen
from tests.faults.http_faults import Answer
from tests.faults.http_proxy import HttpProxy
from tests.support.builders import BUNDLE, event, payload_bytes

PLAIN = {"NATS_URL": None}
EVENTS = [PreparedEvent.from_checked(event(repo=repo)) for repo in ("alpha", "beta")]
BUNDLES = [BUNDLE, BUNDLE.replace(b"Coach", b"Other")]
BLOBS = [blob_key(sha256(each).hexdigest(), "md") for each in BUNDLES]
ORPHAN = blob_key(sha256(b"orphan").hexdigest(), "md")


@pytest.fixture
def archive(bare_kit: Kit) -> Kit:
    for this, bundle in zip(EVENTS, BUNDLES, strict=True):
        (bare_kit.home / "event.json").write_bytes(payload_bytes(this.payload))
        (bare_kit.home / "bundle").write_bytes(bundle)
        bare_kit.archiver("put", bare_kit.home / "bundle", "--event", bare_kit.home / "event.json", **PLAIN)
    return bare_kit


def remove(kit: Kit, key: str) -> None:
    client = kit.s3
    client.delete_object(Bucket=kit.store.bucket, Key=f"{kit.prefix}/{key}")
    client.close()


def change_event(kit: Kit) -> None:
    key = ref_key(EVENTS[0])
    record = json.loads(kit.objects(key)[key])
    kit.overwrite(key, json.dumps(record | {"event": record["event"] | {"cadence": "daily"}}).encode())


def move(kit: Kit) -> None:
    key = ref_key(EVENTS[0])
    kit.overwrite(key.replace("alpha", "gamma"), kit.objects(key)[key])
    remove(kit, key)


DAMAGES: dict[str, tuple[Callable[[Kit], object], str, str]] = {
    "a deleted blob": (lambda kit: remove(kit, BLOBS[0]), "blob/missing", BLOBS[0]),
    "a flipped byte": (lambda kit: kit.overwrite(BLOBS[0], BUNDLE.replace(b"C", b"c")), "blob/damaged", BLOBS[0]),
    "a truncated blob": (lambda kit: kit.overwrite(BLOBS[1], BUNDLES[1][:-1]), "blob/damaged", BLOBS[1]),
    "an orphan": (lambda kit: kit.overwrite(ORPHAN, b"orphan"), "blob/orphan", ORPHAN),
    "an event that does not match its key": (change_event, "reference/altered", ref_key(EVENTS[0])),
    "a reference under another key": (move, "reference/misplaced", ref_key(EVENTS[0]).replace("alpha", "gamma")),
    "a stray": (lambda kit: kit.overwrite("refs/v1/stray", b"x"), "reference/unreadable", "refs/v1/stray"),
}


@pytest.mark.parametrize(("damage", "name", "key"), DAMAGES.values(), ids=DAMAGES)
def test_each_damage_is_found_and_named_and_nothing_else_is(
    archive: Kit, damage: Callable[[Kit], object], name: str, key: str
) -> None:
    assert b"2 records, 2 blobs" in archive.archiver("verify", "--grace", "0s", **PLAIN).stdout

    damage(archive)
    told = archive.archiver("verify", "--grace", "0s", status=1, **PLAIN).stdout.decode()
    report = json.loads(archive.archiver("verify", "--grace", "0s", "--json", status=1, **PLAIN).stdout)

    assert f"{name}  {key}\n    found " in told
    assert "1 damaged" in told
    assert [(each["id"], each["key"], each["damage"]) for each in report["findings"]] == [(name, key, True)]
    assert (report["report"], report["version"], report["complete"]) == ("archiver.verify", "1", True)
    assert report["summary"]["damage"] == 1


def test_a_young_orphan_is_no_damage(archive: Kit) -> None:
    archive.overwrite(ORPHAN, b"orphan")

    said = archive.archiver("verify", **PLAIN).stdout.decode()

    assert f"blob/unreferenced-yet  {ORPHAN}" in said
    assert said.endswith("whole, 1 to note\n")


def test_what_the_spool_still_has_is_repaired_and_the_archive_is_whole(archive: Kit) -> None:
    before = archive.objects()
    for this, bundle in zip(EVENTS, BUNDLES, strict=True):
        archive.leave(this, bundle)
    remove(archive, BLOBS[0])
    archive.overwrite(BLOBS[1], b"damaged")

    said = archive.archiver("verify", "--repair", **PLAIN).stdout.decode()

    assert said.count("repaired  written again from spool") == 2
    assert archive.objects() == before
    assert archive.archiver("verify", **PLAIN).stdout.endswith(b"whole\n")


def test_what_nobody_has_any_more_stays_damaged_and_is_told(archive: Kit) -> None:
    remove(archive, BLOBS[0])

    said = archive.archiver("verify", "--repair", status=1, ARCHIVER_SPOOL=None, **PLAIN).stdout.decode()

    assert "repaired" not in said
    assert "restore a copy or an older version" in said


def test_a_sample_can_be_drawn_again(archive: Kit) -> None:
    for key in BLOBS:
        archive.overwrite(key, b"damaged")

    first = archive.archiver("verify", "--sample", "1", status=1, **PLAIN)
    seed = first.stderr.decode().split("--seed ")[1].split()[0]
    again = archive.archiver("verify", "--sample", "1", "--seed", seed, status=1, **PLAIN)

    assert first.stdout == again.stdout
    assert b"1 record, 1 blob" in first.stdout


NOTHING: list[tuple[list[str], int, str]] = [
    (["verify"], 3, "nothing is archived in bucket"),
    (["verify", "--json"], 3, "nothing is archived in bucket"),
    (["verify", "--seed", "1"], 2, "--seed is of use with --sample only"),
    (["verify", "--grace", "soon"], 2, "expected a number and a unit, such as 90s, 30m, 24h, 7d"),
]


@pytest.mark.parametrize(("words", "status", "message"), NOTHING, ids=str)
def test_what_cannot_be_verified_is_told(bare_kit: Kit, words: list[str], status: int, message: str) -> None:
    assert message in bare_kit.archiver(*words, status=status, **PLAIN).stderr.decode()


def test_a_store_that_does_not_answer_is_no_damage(archive: Kit) -> None:
    with frozen(archive.store):
        said = archive.archiver("verify", "--json", status=4, ARCHIVER_STORE_TIMEOUT_S="0.2", **PLAIN)

    assert "no answer" in said.stderr.decode()


def test_what_was_found_before_the_store_failed_is_reported(archive: Kit) -> None:
    for number in range(AT_ONCE + 4):
        archive.overwrite(f"conflicts/v1/{number:02}", b"no record")
    with HttpProxy(archive.store.port) as link:
        link.fault = Answer(403, method="GET", key="/blobs/")
        words = {"AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{link.port}", **PLAIN}
        told = archive.archiver("verify", status=4, **words)
        report = json.loads(archive.archiver("verify", "--json", status=4, **words).stdout)

    assert told.stdout.decode().count("conflict/unreadable  ") > 4
    assert told.stdout.decode().endswith(" damaged, and not all was seen\n")
    assert "403 AccessDenied" in told.stderr.decode()
    assert report["complete"] is False
    assert "403 AccessDenied" in report["stopped_by"]
    assert {each["id"] for each in report["findings"]} == {"conflict/unreadable"}


def test_a_stray_among_the_references_does_not_hide_the_others_from_the_list(archive: Kit) -> None:
    archive.overwrite("refs/v1/stray", b"x")

    said: Any = archive.archiver("ls", "--json", status=1, **PLAIN)

    assert [json.loads(line)["ref_key"] for line in said.stdout.splitlines()] == [ref_key(each) for each in EVENTS]
    assert "damaged: refs/v1/stray: " in said.stderr.decode()
