"""`archiver dead redrive`: whatever is repeated or broken off, the event is archived once and never lost."""

from __future__ import annotations

import json
import re

import pytest
from nats.aio.client import Client
from nats.js.api import RawStreamMsg

from archiver.bus.dead_letters import DeadLetters
from archiver.core.announcement import FAILED
from archiver.core.errors import BusUnavailable
from archiver.core.subjects import DEAD_LETTER_STREAM
from contracts.toolkit import publish_confirmed
from tests.e2e.kit import STREAM, Kit, until
from tests.support.builders import BUNDLE, PREPARED, event, payload_bytes, prepared

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
            await dead_letters.redrive(await dead_letters.one(1))

    kit.on_the_bus(steps)


def archived_once(kit: Kit) -> None:
    kit.archiver("run", "--until-idle")
    assert len(kit.objects("refs/")) == len(kit.follow_ups()) == 1
    assert kit.objects("conflicts/") == {}
    assert messages(kit, DEAD_LETTER_STREAM) == 0
    assert kit.is_drained()


def test_within_the_window_where_the_original_id_would_be_swallowed_the_event_is_archived(dead_kit: Kit) -> None:
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
        "Nats-Msg-Id": f"redrive:{STREAM}:1",
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
def test_a_confirmation_as_a_repeat_of_something_else_costs_no_letter(dead_kit: Kit, repeat: bytes | None) -> None:
    assert not confirmed_as_repeat(dead_kit, f"redrive:{STREAM}:1", repeat or payload_bytes(event()))
    if repeat is None:
        dead_kit.on_the_bus(lambda client: client.jetstream().delete_msg(STREAM, 2))

    _, err = redrive(dead_kit, status=1)

    assert "dead letter 1 stays where it is: the stream takes it for a repeat of #2" in err
    assert "duplicate window" in err
    assert messages(dead_kit, DEAD_LETTER_STREAM) == 1


def test_an_event_too_large_for_its_letter_is_taken_from_its_stream(kit: Kit) -> None:
    kit.publish(OVERSIZED)
    kit.archiver("run", "--until-idle")

    redrive(kit)

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

    assert re.findall(r"dead letter (\d):", out) == ["1", "3"]
    assert "dead letter 2 stays" in err


def test_only_letters_with_the_reason_are_redriven(dead_kit: Kit) -> None:
    assert redrive(dead_kit, "--all", "--reason", "not_json", status=3)[0] == ""

    assert "dead letter 1:" in redrive(dead_kit, "--all", "--reason", "bundle_missing")[0]


def test_without_the_stream_of_the_events_the_letter_stays(dead_kit: Kit) -> None:
    dead_kit.on_the_bus(lambda client: client.jetstream().delete_stream(STREAM))

    redrive(dead_kit, status=4)

    assert messages(dead_kit, DEAD_LETTER_STREAM) == 1
