"""The main job through the real commands, on real servers: a prepared event in, a verified reference out."""

from __future__ import annotations

import base64
import json
import signal
from hashlib import sha256

from archiver.core.keys import blob_key, ref_key
from contracts.toolkit import spool_name
from tests.e2e.kit import CHECKOUT, Kit, Started, frozen, until
from tests.support.builders import BUNDLE, event, payload_bytes, prepared

DIGEST = sha256(BUNDLE).hexdigest()
PROGRAM = CHECKOUT / "fixtures" / "emitters" / "kaizen-agentic"


def emit(kit: Kit, agent: str, bundle_format: str) -> str:
    said = kit.command(
        *("contracts", "emit", agent, "--root", CHECKOUT, "--repo", "kaizen-event-kit", "--cadence", "weekly"),
        *("--format", bundle_format, "--program", PROGRAM, "--spool", kit.home / "spool"),
    )
    return said.stdout.decode().split()[1]


def test_what_an_emitter_left_is_archived_listed_and_fetched_back_byte_for_byte(bare_kit: Kit) -> None:
    kit = bare_kit
    kit.archiver("init")
    keys = {emit(kit, "coach", "markdown"): "md", emit(kit, "reviewer", "json"): "json"}

    spooled = {path.name: path.read_bytes() for path in (kit.home / "spool").iterdir()}

    said = kit.archiver("run", "--until-idle").stdout.decode()

    assert said == "2 archived\n"
    assert list((kit.home / "spool").iterdir()) == [], "what is archived is taken away"
    listed = [json.loads(line) for line in kit.archiver("ls", "--json").stdout.splitlines()]
    assert {each["event_sha256"] for each in listed} == set(keys)
    for each in listed:
        left = spooled[f"{each['event_sha256']}.{keys[each['event_sha256']]}"]
        assert kit.archiver("get", each["event_sha256"]).stdout == left
        assert each["bundle"]["sha256"] == sha256(left).hexdigest()
        assert each["event"]["bundle"]["bytes"] == each["bundle"]["bytes"] == len(left)
        assert each["source"]["msg_id"] == each["event_sha256"]
    assert {each["source_event"]["sha256"] for each in kit.follow_ups()} == set(keys)
    assert kit.is_drained()
    assert kit.letters() == []


def test_told_to_keep_them_a_worker_leaves_bundles_where_they_are(kit: Kit) -> None:
    this = kit.publish(event())

    kit.archiver("run", "--until-idle", "--keep")

    assert (kit.home / "spool" / spool_name(this)).read_bytes() == BUNDLE


def test_no_reference_tells_where_the_store_is_or_how_to_log_in(kit: Kit) -> None:
    kit.publish(event())

    kit.archiver("run", "--until-idle", ARCHIVER_STORE="boto3")  # either driver carries the data path

    assert list(kit.objects()) == [blob_key(DIGEST, "md"), ref_key(prepared())]
    [reference] = kit.objects("refs/").values()
    for private in (kit.store.url, str(kit.store.port), kit.store.access_key, kit.store.secret_key, kit.nats.url):
        assert private.encode() not in reference


def test_an_event_published_again_outside_the_window_has_one_reference(kit: Kit) -> None:
    kit.publish(event(), message_id="first")
    kit.archiver("run", "--until-idle")
    before = kit.objects()
    kit.publish(event(), message_id="long after")

    kit.archiver("run", "--until-idle")

    assert list(before) == [blob_key(DIGEST, "md"), ref_key(prepared())]
    assert kit.objects() == before
    assert len(kit.follow_ups()) == 1
    assert kit.is_drained()


def test_workers_that_share_the_consumer_archive_every_event_once(kit: Kit) -> None:
    bundles = [f"# Coach\n\nweek {week}\n".encode() for week in range(40)]
    for week, bundle in enumerate(bundles):
        kit.publish(event(occurred_at=f"2026-06-17T09:00:{week:02}Z", bundle={"bytes": len(bundle)}), bundle)

    workers = [kit.start("archiver", "run", "--until-idle", ARCHIVER_SLOTS="3") for _ in range(3)]

    assert [each.ended() for each in workers] == [0, 0, 0]
    assert sorted(kit.objects("blobs/").values()) == sorted(bundles)
    assert len(kit.objects("refs/")) == len(kit.follow_ups()) == 40
    assert kit.is_drained()


def test_a_bundle_that_comes_late_is_waited_for(kit: Kit) -> None:
    worker = kit.worker()
    this = kit.publish(event(), bundle=None)
    worker.wait_for("no bundle at")
    assert kit.objects() == {}

    kit.leave(this)

    until(lambda: kit.objects("refs/"), "a reference")
    until(kit.is_drained, "acknowledged")
    worker.signal(signal.SIGTERM)
    assert worker.ended() == 0
    assert worker.out.read_text() == "1 archived, 1 retried\n"
    assert kit.objects("blobs/") == {blob_key(DIGEST, "md"): BUNDLE}


def test_a_bundle_that_never_comes_is_dead_lettered_after_its_deadline(kit: Kit) -> None:
    kit.publish(event(), bundle=None)

    kit.archiver("run", "--until-idle", ARCHIVER_BUNDLE_DEADLINE_S="0")

    [letter] = kit.letters()
    assert letter["reason"] == "bundle_missing"
    assert base64.b64decode(letter["payload_b64"]) == payload_bytes(event())


def test_a_broken_event_becomes_one_dead_letter_and_the_others_go_on(kit: Kit) -> None:
    broken = payload_bytes(event(cadence="fortnightly"))
    kit.publish(broken, message_id="from a faulty emitter")
    kit.publish(b"\xff\x00 no JSON")
    kit.publish(event())

    said = kit.archiver("run", "--until-idle").stdout.decode()

    assert said == "1 archived, 2 dead-lettered\n"
    first, second = sorted(kit.letters(), key=lambda letter: letter["sequence"])
    assert (first["reason"], second["reason"]) == ("contract_broken", "not_json")
    assert "fortnightly" in first["detail"]
    assert first["subject"] == "kaizen.schedule.prepared"
    assert (first["stream"], first["sequence"], first["deliveries"]) == ("KAIZEN_SCHEDULE", 1, 1)
    assert first["msg_id"] == "from a faulty emitter"
    assert base64.b64decode(first["payload_b64"]) == broken
    assert first["payload_sha256"] == sha256(broken).hexdigest()
    assert kit.is_drained()


def test_a_spool_that_is_not_mounted_is_told_and_its_events_wait(kit: Kit) -> None:
    spool = kit.home / "spool"
    kit.publish(event())
    spool.rename(kit.home / "unmounted")
    worker = kit.worker()

    said = worker.wait_for("is the volume mounted")

    assert "Traceback" not in said
    assert str(spool) in said
    worker.signal(signal.SIGTERM)
    assert worker.ended() == 0
    assert kit.letters() == []
    assert not kit.is_drained()


def stop_at_work(kit: Kit, worker: Started) -> None:
    """Tell a worker to stop while it has one message in hand; the store is frozen meanwhile."""
    kit.publish(event())
    until(lambda: kit.consumer().num_ack_pending, "taken")
    worker.signal(signal.SIGTERM)
    worker.wait_for("finishing messages in hand")


def test_told_to_stop_a_worker_finishes_what_is_in_hand(kit: Kit) -> None:
    worker = kit.worker()
    with frozen(kit.store):
        stop_at_work(kit, worker)

    assert worker.ended() == 0
    assert worker.out.read_text() == "1 archived\n"
    assert len(kit.objects("refs/")) == 1
    assert kit.is_drained()


def test_what_is_not_finished_within_the_grace_period_is_handed_back_at_once(bare_kit: Kit) -> None:
    kit = bare_kit
    kit.environment["ARCHIVER_ACK_WAIT_S"] = "300"  # so that only handing back brings it in time
    kit.init()
    worker = kit.worker(ARCHIVER_GRACE_S="0.1")
    with frozen(kit.store):
        kit.publish(event())
        until(lambda: kit.consumer().num_ack_pending, "taken")
        worker.signal(signal.SIGTERM)
        assert worker.ended() == 0
    assert worker.out.read_text() == "1 returned\n"

    assert kit.archiver("run", "--until-idle").stdout.decode() == "1 archived\n"
    assert len(kit.objects("refs/")) == 1


def test_told_twice_to_stop_a_worker_ends_at_once_and_nothing_is_lost(kit: Kit) -> None:
    worker = kit.worker()
    with frozen(kit.store):
        stop_at_work(kit, worker)
        worker.signal(signal.SIGTERM)
        assert worker.ended() == 130

    kit.archiver("run", "--until-idle")
    assert len(kit.objects("refs/")) == 1
    assert kit.is_drained()
