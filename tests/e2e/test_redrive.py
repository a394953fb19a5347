"""`archiver dead redrive`: whatever is repeated or broken off, the event is archived once and never lost."""

from __future__ import annotations

import base64
import json
import re
from hashlib import sha256

import pytest
from nats.aio.client import Client
from nats.js.api import RawStreamMsg

from archiver.bus.dead_letters import DeadLetters
from archiver.bus.jetstream import JetStreamAnnouncer, JetStreamInbox
from archiver.core.announcement import FAILED
from archiver.core.errors import BusUnavailable
from archiver.core.subjects import DEAD_LETTER_STREAM
from contracts import event_key
from contracts.toolkit import publish_confirmed, spool_name
from tests.e2e.kit import STREAM, Kit, until
from tests.support.builders import BUNDLE, PREPARED, MemoryDelivery, MemoryInbox, event, payload_bytes, prepared
from tests.support.worker import DEAD, always, consumer

OVERSIZED = b'{"padding": "%s"}' % (b"x" * (300 * 1024))  # more than a letter keeps


@pytest.fixture
def dead_kit(kit: Kit) -> Kit:
    """One letter: event #1, whose bundle came too late and is there now."""
    kit.publish(event(), bundle=None)
    kit.archiver("run", "--until-idle", ARCHIVER_BUNDLE_DEADLINE_S="0")
    kit.leave(prepared(), BUNDLE)
    return kit


def redrive(kit: Kit, *words: str, status: int = 0) -> tuple[str, str]:
    said = kit.archiver("dead", "redrive", *(words or ("--all",)), status=status)
    return said.stdout.decode(), said.stderr.decode()


def message(kit: Kit, sequence: int) -> RawStreamMsg:
    return kit.on_the_bus(lambda client: client.jetstream().get_msg(STREAM, sequence))


def messages(kit: Kit, stream: str) -> int:
    async def steps(client: Client) -> int:
        return (await client.jetstream().stream_info(stream)).state.messages

    return kit.on_the_bus(steps)


def confirmed_as_repeat(kit: Kit, message_id: str, payload: bytes = b"", subject: str = PREPARED) -> bool:
    async def steps(client: Client) -> bool:
        return (await publish_confirmed(client, subject, payload, message_id=message_id)).duplicate

    return kit.on_the_bus(steps)


def broken_off_before_the_letter_goes(kit: Kit) -> None:
    """Redrive letter 1 as far as the confirmation, as a process would that is killed there."""

    class Killed(DeadLetters):
        async def drop(self, number: int) -> None:
            raise BusUnavailable(f"drop {number}", "killed")

    async def steps(client: Client) -> None:
        dead_letters = await Killed.bind(client, stream=STREAM)
        with pytest.raises(BusUnavailable, match="killed"):
            await dead_letters.redrive(await dead_letters.one(1), lambda _: "")

    kit.on_the_bus(steps)


def redrive_id(payload: bytes, sequence: int = 1) -> str:
    return f"redrive:{STREAM}:{sequence}:{sha256(payload).hexdigest()[:16]}"


def archived_once(kit: Kit) -> None:
    kit.archiver("run", "--until-idle")
    assert len(kit.objects("refs/")) == len(kit.follow_ups()) == 1
    assert kit.objects("conflicts/") == {}
    assert messages(kit, DEAD_LETTER_STREAM) == 0
    assert kit.is_drained()


def test_a_redrive_within_the_duplicate_window_is_archived(dead_kit: Kit) -> None:
    assert confirmed_as_repeat(dead_kit, prepared().key), "or this test shows nothing"

    out, _ = redrive(dead_kit, "1")

    assert re.fullmatch(r"dead letter 1: published again as #\d+\n", out)
    archived_once(dead_kit)
    assert "there is no dead letter 1" in redrive(dead_kit, "1", status=1)[1]


def test_the_bytes_and_the_headers_go_out_as_they_were_but_for_the_message_id(kit: Kit) -> None:
    async def emit(client: Client) -> None:
        headers = {"Nats-Msg-Id": "first", "Nats-Expected-Last-Sequence": "0", "Kaizen-Bundle-Source": "spool"}
        await client.jetstream().publish(PREPARED, b" " + payload_bytes(event()), headers=headers)

    kit.on_the_bus(emit)
    kit.archiver("run", "--until-idle", ARCHIVER_BUNDLE_DEADLINE_S="0")

    redrive(kit)

    again = message(kit, 2)
    assert again.data == b" " + payload_bytes(event())
    assert again.headers == {
        "Kaizen-Bundle-Source": "spool",
        "Kaizen-Original-Msg-Id": "first",
        "Nats-Expected-Stream": STREAM,
        "Nats-Msg-Id": redrive_id(b" " + payload_bytes(event())),
    }


def test_broken_off_and_repeated_within_the_window_it_is_stored_once(dead_kit: Kit) -> None:
    broken_off_before_the_letter_goes(dead_kit)
    before = messages(dead_kit, STREAM)

    redrive(dead_kit)

    assert messages(dead_kit, STREAM) == before == 2
    archived_once(dead_kit)


def test_broken_off_and_repeated_outside_the_window_it_is_archived_once(dead_kit: Kit) -> None:
    dead_kit.shorten_window()
    broken_off_before_the_letter_goes(dead_kit)

    # An id that came after those of the redrive leaves the window after them.
    confirmed_as_repeat(dead_kit, "witness", subject="kaizen.schedule.other")
    until(lambda: not confirmed_as_repeat(dead_kit, "witness", subject="kaizen.schedule.other"), "past the window")
    before = messages(dead_kit, STREAM)

    redrive(dead_kit)

    assert messages(dead_kit, STREAM) == before + 1, "stored twice"
    archived_once(dead_kit)


def test_an_event_that_dies_again_is_a_new_letter_that_can_be_redriven_again(dead_kit: Kit) -> None:
    (dead_kit.home / "spool").rename(dead_kit.home / "aside")
    (dead_kit.home / "spool").mkdir()
    redrive(dead_kit)
    dead_kit.archiver("run", "--until-idle", ARCHIVER_BUNDLE_DEADLINE_S="0")
    dead_kit.leave(prepared(), BUNDLE)

    assert redrive(dead_kit)[0] == "dead letter 2: published again as #3\n"

    archived_once(dead_kit)


@pytest.mark.parametrize("repeat", [b"something else", None], ids=["another message", "gone"])
def test_a_confirmation_as_a_repeat_of_something_else_is_not_believed(dead_kit: Kit, repeat: bytes | None) -> None:
    assert not confirmed_as_repeat(dead_kit, redrive_id(payload_bytes(event())), repeat or payload_bytes(event()))
    if repeat is None:
        dead_kit.on_the_bus(lambda client: client.jetstream().delete_msg(STREAM, 2))

    out, _ = redrive(dead_kit)

    assert out == "dead letter 1: published again as #3\n"
    assert message(dead_kit, 3).data == payload_bytes(event())


def test_an_event_too_large_for_its_letter_is_taken_from_its_stream(kit: Kit) -> None:
    kit.publish(OVERSIZED)
    kit.archiver("run", "--until-idle")

    redrive(kit, "--all", "--force")

    assert message(kit, 2).data == OVERSIZED


def test_a_letter_that_keeps_only_a_part_is_not_redriven_once_the_original_is_gone(kit: Kit) -> None:
    kit.publish(OVERSIZED)
    kit.archiver("run", "--until-idle")
    kit.on_the_bus(lambda client: client.jetstream().delete_msg(STREAM, 1))

    _, err = redrive(kit, status=1)

    assert f"it keeps {256 * 1024} of {len(OVERSIZED)} bytes" in err
    assert "no longer holds the original, #1" in err
    assert messages(kit, STREAM) == 0
    assert messages(kit, DEAD_LETTER_STREAM) == 1


def test_a_letter_outlives_its_stream_and_what_lies_there_now_under_its_number(dead_kit: Kit) -> None:
    dead_kit.on_the_bus(lambda client: client.jetstream().delete_stream(STREAM))
    dead_kit.init()
    dead_kit.publish(event(repo="another"))

    redrive(dead_kit)

    assert message(dead_kit, 2).data == payload_bytes(event())


@pytest.mark.parametrize(
    "changes",
    [{"subject": "kaizen.metrics.recorded"}, {"stream": "OTHER"}, {"stream": "a b\r\nNats-Rollup: all"}],
    ids=str,
)
def test_a_forged_letter_makes_the_operator_publish_nothing_elsewhere(dead_kit: Kit, changes: dict[str, str]) -> None:
    [letter] = dead_kit.letters()
    forged = json.dumps(letter | changes).encode()
    dead_kit.on_the_bus(lambda client: publish_confirmed(client, FAILED, forged, message_id="forged"))
    before = messages(dead_kit, STREAM)

    _, err = redrive(dead_kit, "2", status=1)

    assert "dead letter 2 stays where it is: it is about" in err
    assert messages(dead_kit, STREAM) == before


def test_one_that_cannot_be_redriven_does_not_keep_the_others(dead_kit: Kit) -> None:
    dead_kit.on_the_bus(lambda client: publish_confirmed(client, FAILED, b"junk", message_id="junk"))
    dead_kit.publish(payload_bytes(event(cadence="fortnightly")))
    dead_kit.archiver("run", "--until-idle")

    out, err = redrive(dead_kit, status=1)

    assert re.findall(r"dead letter (\d):", out) == ["1"]
    assert "dead letter 2 stays" in err
    assert "dead letter 3 stays where it is: it can never be archived: contract_broken: " in err


def test_only_letters_with_the_reason_are_redriven(dead_kit: Kit) -> None:
    assert redrive(dead_kit, "--all", "--reason", "not_json", status=3)[0] == ""

    assert "dead letter 1:" in redrive(dead_kit, "--all", "--reason", "bundle_missing")[0]


def test_without_the_stream_of_the_events_the_letter_stays(dead_kit: Kit) -> None:
    dead_kit.on_the_bus(lambda client: client.jetstream().delete_stream(STREAM))

    redrive(dead_kit, status=4)

    assert messages(dead_kit, DEAD_LETTER_STREAM) == 1


BROKEN = payload_bytes(event(cadence="fortnightly"))


@pytest.fixture
def broken_kit(kit: Kit) -> Kit:
    """One dead letter: event #1, which breaks the contract; its bundle is in the spool."""
    kit.publish(BROKEN)
    (kit.home / "spool" / f"{event_key(json.loads(BROKEN))}.md").write_bytes(BUNDLE)
    kit.archiver("run", "--until-idle")
    return kit


def test_what_can_never_be_archived_is_redriven_only_by_force(broken_kit: Kit) -> None:
    out, err = redrive(broken_kit, "1", status=1)

    assert out == ""
    assert "it can never be archived: contract_broken: " in err
    assert "archiver dead redrive 1 --with FILE" in err
    assert messages(broken_kit, STREAM) == messages(broken_kit, DEAD_LETTER_STREAM) == 1
    assert redrive(broken_kit, "1", "--force")[0] == "dead letter 1: published again as #2\n"


def test_a_corrected_copy_is_archived_with_its_bundle_and_the_original_stays(broken_kit: Kit) -> None:
    corrected = broken_kit.home / "corrected.json"
    corrected.write_bytes(payload_bytes(event()))

    out, err = redrive(broken_kit, "1", "--with", str(corrected))

    assert "dead letter 1: corrected copy published as #2\n" in out
    assert err == ""
    again = message(broken_kit, 2)
    assert again.headers is not None
    assert again.headers["Kaizen-Corrected-From"] == f"{STREAM}#1 sha256:{sha256(BROKEN).hexdigest()}"
    broken_kit.archiver("run", "--until-idle")
    [reference] = map(json.loads, broken_kit.objects("refs/").values())
    assert reference["event"]["cadence"] == event()["cadence"]
    assert messages(broken_kit, DEAD_LETTER_STREAM) == 1, "the original is kept"


@pytest.mark.parametrize("copy", [BROKEN, b"{", b""], ids=["broken as before", "no JSON", "empty"])
def test_a_copy_that_breaks_the_contract_is_not_published(broken_kit: Kit, copy: bytes) -> None:
    corrected = broken_kit.home / "corrected.json"
    corrected.write_bytes(copy)

    _, err = redrive(broken_kit, "1", "--with", str(corrected), status=1)

    assert "not published: the corrected copy can never be archived: " in err
    assert messages(broken_kit, STREAM) == 1


def test_a_copy_whose_bundle_is_nowhere_says_where_it_is_expected(broken_kit: Kit) -> None:
    (corrected := broken_kit.home / "corrected.json").write_bytes(payload_bytes(event()))
    for bundle in (broken_kit.home / "spool").iterdir():
        bundle.unlink()

    _, err = redrive(broken_kit, "1", "--with", str(corrected))

    assert f"its bundle is expected as {broken_kit.home / 'spool' / spool_name(prepared())}" in err


@pytest.mark.parametrize("words", [["--all"], ["1", "2"], []], ids=str)
def test_a_corrected_copy_is_of_one_dead_letter(kit: Kit, words: list[str]) -> None:
    (corrected := kit.home / "corrected.json").write_bytes(b"{}")

    kit.archiver("dead", "redrive", *words, "--with", corrected, status=2)


def test_a_stream_that_was_made_anew_swallows_no_dead_letter(kit: Kit) -> None:
    first, second = b"not JSON", b"not JSON either"
    kit.publish(first)
    kit.archiver("run", "--until-idle")
    kit.on_the_bus(lambda client: client.jetstream().delete_stream(STREAM))
    kit.init()
    kit.publish(second)  # as #1 again, and within the duplicate window of the dead-letter stream

    kit.archiver("run", "--until-idle")

    assert [base64.b64decode(each["payload_b64"]) for each in kit.letters()] == [first, second]


def test_a_dropped_dead_letter_is_rewritten_before_its_event_is_terminated(kit: Kit) -> None:
    kit.publish(b"not JSON")

    async def steps(client: Client) -> None:
        inbox = await JetStreamInbox.bind(client, stream=STREAM, consumer="archiver")
        [fetched] = await inbox.fetch(1, 1.0)
        delivery = MemoryDelivery(message=fetched.message)
        made = consumer(MemoryInbox(), always(DEAD), dead_letters=JetStreamAnnouncer(client))
        await made._bury(delivery, DEAD)
        await made._bury(delivery, DEAD)  # as after a TERM that was lost
        assert (await client.jetstream().stream_info(DEAD_LETTER_STREAM)).state.messages == 1
        await client.jetstream().delete_msg(DEAD_LETTER_STREAM, 1)

        await made._bury(delivery, DEAD)

        assert (await client.jetstream().stream_info(DEAD_LETTER_STREAM)).state.messages == 1

    kit.on_the_bus(steps)
