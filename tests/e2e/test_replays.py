"""Replayed messages on real servers: what each value of ARCHIVER_REPLAYS makes of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256

from nats.aio.client import Client

from archiver.core.keys import blob_key, ref_key, replay_prefix
from contracts.toolkit import REPLAY, spool_name
from tests.e2e.kit import STREAM, Kit
from tests.support.builders import BUNDLE, event, prepared

RUN = "rehearsal-7"
APART = replay_prefix(RUN)
PLAIN = {"NATS_URL": None, "ARCHIVER_SPOOL": None}


def replay(kit: Kit, payload: Mapping[str, object] | bytes, number: int = 0, bundle: bytes | None = BUNDLE) -> None:
    kit.publish(payload, bundle, message_id=f"{RUN}:{number}", headers={REPLAY: RUN, "Kaizen-Replay-Origin": "here"})


def announced(kit: Kit) -> list[tuple[str | None, str]]:
    """Which run each follow-up event is of, and its message id."""

    async def steps(client: Client) -> list[tuple[str | None, str]]:
        jetstream = client.jetstream()
        last = (await jetstream.stream_info(STREAM)).state.last_seq
        found = [await jetstream.get_msg(STREAM, number) for number in range(1, last + 1)]
        headers = [each.headers or {} for each in found if each.subject == "kaizen.schedule.archived"]
        return [(each.get(REPLAY), each["Nats-Msg-Id"]) for each in headers]

    return kit.on_the_bus(steps)


def test_a_replay_is_archived_as_usual_and_its_announcement_names_the_run(kit: Kit) -> None:
    this = prepared()
    kit.publish(event())
    kit.archiver("run", "--until-idle")

    replay(kit, event())
    kit.archiver("run", "--until-idle")

    assert set(kit.objects()) == {ref_key(this), blob_key(sha256(BUNDLE).hexdigest(), "md")}
    assert list((kit.home / "spool").iterdir()) == []
    assert announced(kit) == [(None, f"archived:{this.key}"), (RUN, f"archived:{this.key}:{RUN}")]


def test_ignored_replays_are_acknowledged_and_counted_and_leave_no_trace(kit: Kit) -> None:
    replay(kit, event())
    replay(kit, b"no event at all", 1)
    kit.publish(event(repo="real"))

    said = kit.archiver("run", "--until-idle", ARCHIVER_REPLAYS="ignore")

    assert said.stdout == b"1 archived, 2 ignored\n"
    told = [json.loads(line) for line in said.stderr.splitlines() if b'"ignored"' in line]
    assert [(each["sequence"], each["replay"]) for each in told] == [(1, RUN), (2, RUN)]
    assert [path.name for path in (kit.home / "spool").iterdir()] == [spool_name(prepared())]
    assert kit.letters() == []
    assert {key.partition("/")[0] for key in kit.objects()} == {"blobs", "refs"}
    assert len(kit.objects("refs/")) == len(kit.follow_ups()) == 1
    assert kit.is_drained()


def test_separate_replays_are_an_archive_that_the_live_one_does_not_see(kit: Kit) -> None:
    separate = {"ARCHIVER_REPLAYS": "separate"}
    kit.publish(event())
    kit.archiver("run", "--until-idle", **separate)
    real = kit.objects()

    for number, repo in enumerate(("one", "two")):
        replay(kit, event(repo=repo), number)
    replay(kit, event(), 2)
    kit.archiver("run", "--until-idle", **separate)

    assert {key: body for key, body in kit.objects().items() if not key.startswith("replays/")} == real
    assert len(kit.objects(f"{APART}refs/")) == 3
    own = {"ARCHIVER_PREFIX": f"{kit.prefix}/{APART}", **PLAIN}
    for place, count in [(PLAIN, 1), (own, 3)]:
        assert kit.archiver("verify", **place).stdout.endswith(b"whole\n")
        assert len(kit.archiver("ls", "--json", **place).stdout.splitlines()) == count
        assert b"0 objects" in kit.archiver("gc", "--older-than", "0s", **place).stdout
    assert kit.archiver("get", ref_key(prepared(repo="one")), **own).stdout == BUNDLE
    for each in kit.follow_ups()[1:]:
        assert kit.objects(each["archive"]["ref_key"].removeprefix(f"{kit.prefix}/"))
        (kit.home / "said.json").write_text(json.dumps(each))
        kit.command("contracts", "check", kit.home / "said.json")
    assert len(list((kit.home / "spool").iterdir())) == 3, "they may be what the events themselves still need"


def test_a_replays_dead_letter_is_redriven_as_a_replay_even_after_the_stream_lost_it(
    kit: Kit,
) -> None:
    replay(kit, event(), bundle=None)
    kit.archiver("run", "--until-idle", ARCHIVER_BUNDLE_DEADLINE_S="0", ARCHIVER_REPLAYS="separate")
    assert [each["replay"] for each in kit.letters()] == [RUN]
    assert json.loads(kit.archiver("dead", "list", "--json").stdout)["replay"] == RUN
    assert f"replay          {RUN}\n" in kit.archiver("dead", "show", "1").stdout.decode()

    kit.on_the_bus(lambda client: client.jetstream().purge_stream(STREAM))
    kit.leave(prepared())
    kit.archiver("dead", "redrive", "--all")
    kit.archiver("run", "--until-idle", ARCHIVER_REPLAYS="separate")

    assert {key.removeprefix(APART).partition("/")[0] for key in kit.objects()} == {"blobs", "refs"}
    assert all(key.startswith(APART) for key in kit.objects())


def test_an_id_that_is_no_plain_word_chooses_no_key_of_its_own(kit: Kit) -> None:
    kit.publish(event(), headers={REPLAY: "../../../refs/v1"})

    kit.archiver("run", "--until-idle", ARCHIVER_REPLAYS="separate")

    run = sha256(b"../../../refs/v1").hexdigest()
    assert {key.partition(f"{run}/")[0] for key in kit.objects()} == {"replays/v1/"}
    assert len(kit.objects()) == 2
