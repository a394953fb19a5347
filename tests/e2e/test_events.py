"""`archiver events`: from one archive into another by way of a bus, as a rehearsal in staging does it."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from archiver.core.keys import blob_key, ref_key
from contracts import PreparedEvent
from contracts.toolkit import REPLAY, spool_name
from tests.e2e.kit import BIN, Kit
from tests.support.builders import BUNDLE, event

PLAIN = {"NATS_URL": None, "ARCHIVER_SPOOL": None}
LARGE = b"# A large one\n" * 200_000
BUNDLES = [BUNDLE, b'{"agent": "coach"}\n', LARGE, BUNDLE]
EVENTS = [
    event(repo="zeta", occurred_at="2026-06-15T09:00:00Z"),
    event(repo="beta", occurred_at="2026-06-16T10:00:00Z", bundle={"format": "json", "bytes": len(BUNDLES[1])}),
    event(repo="zeta", agent="scribe", occurred_at="2026-06-17T01:30:00+02:00", bundle={"bytes": len(LARGE)}),
    event(repo="alpha", occurred_at="2026-06-17T12:00:00Z"),
]
KEYS = [ref_key(PreparedEvent.from_checked(each)) for each in EVENTS]
NAMES = [spool_name(PreparedEvent.from_checked(each)) for each in EVENTS]


@pytest.fixture
def archive(kit: Kit) -> Kit:
    """Four events of four days and two kinds, half of them packed, archived last to first."""
    for number in (3, 2, 1, 0):
        kit.publish(EVENTS[number], BUNDLES[number])
    kit.archiver("run", "--until-idle", ARCHIVER_COMPRESSION="auto")
    assert any(key.endswith(".zst") for key in kit.objects("blobs/"))
    return kit


def captures(said: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.splitlines()]


def spooled(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_what_one_archive_holds_is_replayed_into_another_and_both_are_whole(archive: Kit, staging: Kit) -> None:
    spool = staging.home / "spool"
    said = archive.archiver("events", "--with-bundles", spool, **PLAIN)
    assert [each["origin"] for each in captures(said.stdout)] == KEYS
    assert spooled(spool) == dict(zip(NAMES, BUNDLES, strict=True))

    for number, each in enumerate(captures(said.stdout)):
        assert each["event"] == EVENTS[number]
        staging.publish(each["event"], None, message_id=f"run-1:{number}", headers={REPLAY: "run-1"})
    staging.archiver("run", "--until-idle")

    assert sorted(staging.objects("refs/")) == sorted(KEYS)
    assert sorted(each["archive"]["sha256"] for each in staging.follow_ups()) == sorted(
        sha256(each).hexdigest() for each in BUNDLES
    )
    assert spooled(spool) == {}
    for each in (archive, staging):
        assert each.archiver("verify", **PLAIN).stdout.endswith(b"whole\n")


def test_the_time_of_a_capture_is_when_the_stream_took_its_event(archive: Kit) -> None:
    found = captures(archive.archiver("events", **PLAIN).stdout)

    told = [json.loads(archive.objects()[key])["source"]["received_at"] for key in KEYS]
    assert [each["at"][:23] for each in found] == [at[:23] for at in told]
    assert [each["at"] for each in found] == sorted((each["at"] for each in found), reverse=True), "as published"
    assert {each["subject"] for each in found} == {"kaizen.schedule.prepared"}
    (archive.home / "events.jsonl").write_bytes(b"\n".join(json.dumps(each["event"]).encode() for each in found))
    archive.command("contracts", "check", "--jsonl", archive.home / "events.jsonl")


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        (["--since", "2026-06-16"], [1, 2, 3]),
        (["--until", "2026-06-17"], [0, 1, 2]),
        (["--repo", "zeta", "--agent", "scribe"], [2]),
    ],
    ids=str,
)
def test_only_what_is_asked_for_is_written_and_put_into_the_spool(
    archive: Kit, words: list[str], numbers: list[int]
) -> None:
    said = archive.archiver("events", *words, "--with-bundles", archive.home / "spool", **PLAIN)

    assert [each["origin"] for each in captures(said.stdout)] == [KEYS[number] for number in numbers]
    assert set(spooled(archive.home / "spool")) == {NAMES[number] for number in numbers}


def test_a_bundle_that_is_there_stays_and_anything_else_under_its_name_is_replaced(
    archive: Kit, tmp_path: Path
) -> None:
    spool = archive.home / "spool"
    secret = tmp_path / "secret"
    secret.write_bytes(b"not ours")
    (spool / NAMES[0]).write_bytes(BUNDLES[0])
    (spool / NAMES[1]).write_bytes(b"half of i")
    (spool / NAMES[3]).symlink_to(secret)
    there = (spool / NAMES[0]).stat()

    archive.archiver("events", "--with-bundles", spool, **PLAIN)

    assert spooled(spool) == dict(zip(NAMES, BUNDLES, strict=True))
    assert (spool / NAMES[0]).stat().st_ino == there.st_ino
    assert not (spool / NAMES[3]).is_symlink()
    assert secret.read_bytes() == b"not ours"


def test_an_event_whose_bundle_is_gone_or_damaged_is_left_out_and_named(archive: Kit) -> None:
    large = next(key for key in archive.objects("blobs/") if key.endswith(".zst"))
    archive.overwrite(large, archive.objects()[large][:-1])
    gone = blob_key(sha256(BUNDLES[1]).hexdigest(), "json")
    client = archive.s3
    client.delete_object(Bucket=archive.store.bucket, Key=f"{archive.prefix}/{gone}")
    client.close()

    said = archive.archiver("events", "--with-bundles", archive.home / "spool", status=1, **PLAIN)

    assert [each["origin"] for each in captures(said.stdout)] == [KEYS[0], KEYS[3]]
    assert set(spooled(archive.home / "spool")) == {NAMES[0], NAMES[3]}
    told = said.stderr.decode()
    for key, why in [(KEYS[1], f"'{gone}' is not in the archive"), (KEYS[2], f"{large} is damaged")]:
        assert f"skipped: {key}: {why}" in told
    assert "archiver verify --repair" in told
    assert "2 of 4 are not in the output" in told
    assert len(captures(archive.archiver("events", **PLAIN).stdout)) == 4, "without bundles nothing is wrong with them"


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--since", "2026-06-18"], 3, "no archived event in bucket"),
        (["--until", "noon"], 2, "expected a day such as 2026-06-17"),
        (["--with-bundles", "/nowhere/spool"], 2, "the spool directory /nowhere/spool does not exist"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_told_and_nothing_is_written(
    archive: Kit, words: list[str], status: int, message: str
) -> None:
    said = archive.archiver("events", *words, status=status, **PLAIN)

    assert message in said.stderr.decode()
    assert said.stdout == b""


def test_a_reader_that_has_gone_ends_it_without_a_complaint(archive: Kit) -> None:
    pipe = f"{BIN}/archiver events | true; echo ${{PIPESTATUS[0]}}"

    said = archive.command("/bin/bash", "-c", pipe, **PLAIN)

    assert (said.stdout, said.stderr) == (b"130\n", b"")
