"""`archiver ls`, `get` and `put`: the archive read, and written without a bus."""

from __future__ import annotations

import json
import os
import subprocess
from hashlib import sha256

import pytest

from archiver.core.keys import blob_key, ref_key
from contracts import PreparedEvent
from tests.e2e.kit import BIN, Kit
from tests.support.builders import BUNDLE, event, payload_bytes, prepared

BLOB = blob_key(sha256(BUNDLE).hexdigest(), "md")
EVENTS = [
    event(repo="alpha", agent="coach", occurred_at="2026-06-15T09:00:00Z"),
    event(repo="alpha", agent="reviewer", occurred_at="2026-06-16T23:30:00Z"),
    event(repo="alpha-two", agent="coach", occurred_at="2026-06-17T01:30:00+02:00"),
    event(repo="beta", agent="coach", occurred_at="2026-06-17T12:00:00Z"),
]
PLAIN = {"NATS_URL": None, "ARCHIVER_SPOOL": None}  # neither a bus nor a spool is needed


def put(kit: Kit, payload: dict, bundle: bytes = BUNDLE) -> PreparedEvent:
    """Archive a bundle by hand, and check what is said."""
    (kit.home / "event.json").write_bytes(payload_bytes(payload))
    (kit.home / "bundle").write_bytes(bundle)
    said = kit.archiver("put", kit.home / "bundle", "--event", kit.home / "event.json", **PLAIN)
    this = PreparedEvent.from_checked(payload)
    assert said.stdout.decode() == f"{ref_key(this)}\n"
    return this


def test_a_bundle_is_archived_without_a_bus_and_found_by_each_of_its_names(bare_kit: Kit) -> None:
    this = put(bare_kit, event())

    for name in (this.key, ref_key(this), BLOB):
        assert bare_kit.archiver("get", name, **PLAIN).stdout == BUNDLE
    target = bare_kit.home / "fetched.md"
    assert bare_kit.archiver("get", this.key, "-o", target, **PLAIN).stdout == b""
    assert target.read_bytes() == BUNDLE
    [reference] = bare_kit.objects("refs/").values()
    assert json.loads(reference)["source"]["stream"] == ""


def test_an_event_that_comes_by_the_bus_after_it_was_put_by_hand_is_announced(kit: Kit) -> None:
    put(kit, event())
    kit.publish(event())

    kit.archiver("run", "--until-idle")

    assert len(kit.objects("refs/")) == 1
    [said] = kit.follow_ups()
    (kit.home / "said.json").write_text(json.dumps(said))
    kit.command("contracts", "check", kit.home / "said.json")


def test_a_bundle_of_another_size_than_declared_is_put_with_a_warning(bare_kit: Kit) -> None:
    (bare_kit.home / "event.json").write_bytes(payload_bytes(event(bundle={"bytes": 9})))
    (bare_kit.home / "bundle").write_bytes(BUNDLE)

    said = bare_kit.archiver("put", bare_kit.home / "bundle", "--event", bare_kit.home / "event.json", **PLAIN)

    assert f"the event declares 9 bytes, the bundle has {len(BUNDLE)}" in said.stderr.decode()


def test_what_cannot_be_put_is_told_and_leaves_nothing(bare_kit: Kit) -> None:
    home = bare_kit.home
    for name, content in {
        "broken.json": payload_bytes(event(cadence="fortnightly")),
        "event.json": payload_bytes(event()),
        "bundle": BUNDLE,
    }.items():
        (home / name).write_bytes(content)

    for bundle, payload, status, message in [
        ("bundle", "broken.json", 1, "contract_broken"),
        ("bundle", "bundle", 1, "not_json"),
        ("bundle", "none.json", 2, "cannot read the event"),
        (".", "event.json", 2, "cannot read the bundle"),
    ]:
        said = bare_kit.archiver("put", home / bundle, "--event", home / payload, status=status, **PLAIN)
        assert message in said.stderr.decode()
    assert bare_kit.objects() == {}


def test_the_list_is_narrowed_by_repo_agent_and_time(kit: Kit) -> None:
    for payload in EVENTS:
        kit.publish(payload)
    kit.archiver("run", "--until-idle")

    for words, found in [
        ([], [0, 1, 2, 3]),
        (["--agent", "coach", "--since", "2026-06-17T00:30:00+01:00"], [2, 3]),
    ]:
        lines = kit.archiver("ls", "--json", *words, **PLAIN).stdout.splitlines()
        wanted = [ref_key(PreparedEvent.from_checked(EVENTS[index])) for index in found]  # repo by repo
        assert [json.loads(line)["ref_key"] for line in lines] == wanted, words
        assert [json.loads(line)["event"] for line in lines if json.loads(line)["event"] not in EVENTS] == []


def test_the_list_for_people_holds_keys_that_can_be_copied(bare_kit: Kit) -> None:
    this = put(bare_kit, event())

    [row] = [line for line in bare_kit.archiver("ls", **PLAIN).stdout.decode().splitlines() if "coach" in line]

    assert row.split() == [
        *("kaizen-agentic", "coach", "weekly", "2026-06-17T09:00:12Z", str(len(BUNDLE))),
        *(BLOB, ref_key(this)),
    ]


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["ls"], 3, "nothing is archived in bucket"),
        (["ls", "--since", "yesterday"], 2, "expected a day such as 2026-06-17"),
        (["get", "coach"], 1, "expected an event key (64 hex), a key under refs/v1/ or one under blobs/v1/"),
        (["get", prepared().key], 1, "is not in the archive"),
        (["get", ref_key(prepared())], 1, "is not in the archive"),
    ],
    ids=str,
)
def test_what_is_not_there_is_told(bare_kit: Kit, words: list[str], status: int, message: str) -> None:
    said = bare_kit.archiver(*words, status=status, **PLAIN)

    assert message in said.stderr.decode()
    assert said.stdout == b""


@pytest.mark.parametrize("damage", [BUNDLE[:-1], BUNDLE.replace(b"C", b"c")], ids=repr)
def test_a_damaged_bundle_is_not_handed_out(bare_kit: Kit, damage: bytes) -> None:
    this = put(bare_kit, event())
    bare_kit.overwrite(BLOB, damage)
    here = {path.name for path in bare_kit.home.iterdir()}

    said = bare_kit.archiver("get", this.key, status=1, **PLAIN)
    bare_kit.archiver("get", BLOB, "-o", bare_kit.home / "fetched.md", status=1, **PLAIN)

    assert said.stdout == b""
    assert f"{BLOB} is damaged" in said.stderr.decode()
    assert {path.name for path in bare_kit.home.iterdir()} == here, "not even a part of it"


def test_a_place_that_cannot_be_written_is_told_and_nothing_is_left(bare_kit: Kit) -> None:
    this = put(bare_kit, event())
    here = {path.name for path in bare_kit.home.iterdir()}

    for output in (bare_kit.home / "none" / "here.md", bare_kit.home / "nats", "."):
        said = bare_kit.archiver("get", this.key, "-o", output, status=2, **PLAIN)
        assert f"cannot write {output}: " in said.stderr.decode()
    full = f"ulimit -f 0; exec {BIN}/archiver get {this.key} -o {bare_kit.home}/here.md"
    assert "File too large" in bare_kit.command("/bin/bash", "-c", full, status=2, **PLAIN).stderr.decode()
    assert {path.name for path in bare_kit.home.iterdir()} == here


def test_what_the_output_names_is_not_destroyed(bare_kit: Kit) -> None:
    this = put(bare_kit, event())
    mine, link, pipe = (bare_kit.home / name for name in ("mine.md", "link.md", "pipe"))
    mine.write_bytes(b"mine")
    link.symlink_to("mine.md")
    os.mkfifo(pipe)

    for output in (mine, link):
        said = bare_kit.archiver("get", this.key, "-o", output, status=2, **PLAIN).stderr.decode()
        assert f"{output} exists" in said
        assert "--force" in said
    assert mine.read_bytes() == b"mine"
    bare_kit.archiver("get", this.key, "-o", link, "--force", **PLAIN)
    assert (mine.read_bytes(), link.is_symlink()) == (BUNDLE, True)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
        bare_kit.archiver("get", this.key, "-o", pipe, **PLAIN)
        assert reader.communicate()[0] == BUNDLE
    assert pipe.is_fifo()
    bare_kit.archiver("get", this.key, "-o", "/dev/null", **PLAIN)
    assert bare_kit.archiver("get", this.key, "-o", "-", **PLAIN).stdout == BUNDLE
