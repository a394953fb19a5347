"""`archiver dead` as its users run it: dead letters listed, shown, dropped; redriving is `test_redrive.py`."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from nats.aio.client import Client

from archiver.core.announcement import FAILED
from archiver.dev_servers import NatsServer, S3Server
from contracts.toolkit import publish_confirmed
from tests.e2e.kit import BIN, SOON_S, Kit, kit_in
from tests.support.builders import event, payload_bytes
from tests.support.servers import require_binary

BROKEN = payload_bytes(event(cadence="fortnightly"))
HOSTILE = payload_bytes(event(repo="\x1b[2Jred\nalert\u202e"))
REASONS = ["contract_broken", "bundle_missing", "not_json"]


@pytest.fixture
def dead_kit(kit: Kit) -> Kit:
    """Three letters, numbered 1 to 3, with the reasons of `REASONS`."""
    return three_letters(kit)


@pytest.fixture(scope="module")
def read_only(s3_server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    """The same, made once for all tests that only read them."""
    require_binary(NatsServer.binary)
    with kit_in(tmp_path_factory.mktemp("letters"), s3_server) as kit:
        kit.init()
        yield three_letters(kit)


def three_letters(kit: Kit) -> Kit:
    kit.publish(BROKEN, message_id="of a faulty emitter")
    kit.publish(event(), bundle=None)
    kit.publish(b"\xff\x1b[31m")
    kit.archiver("run", "--until-idle", ARCHIVER_BUNDLE_DEADLINE_S="0", ARCHIVER_SLOTS="1")  # one after another
    assert [each["reason"] for each in kit.letters()] == REASONS
    return kit


def forge(kit: Kit, letter: bytes) -> None:
    """Publish to the dead-letter stream past every check, as whoever may publish there can."""
    kit.on_the_bus(lambda client: publish_confirmed(client, FAILED, letter, message_id=str(hash(letter))))


def dead(kit: Kit, *words: str, status: int = 0) -> str:
    return kit.archiver("dead", *words, status=status).stdout.decode()


def listed(kit: Kit, *words: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in dead(kit, "list", "--json", *words).splitlines()]


def test_the_list_says_what_happened_to_whose_event(read_only: Kit) -> None:
    rows = [line.split() for line in dead(read_only, "list").splitlines()]

    first, second, third = (row for row in rows if row and row[0] in {"1", "2", "3"})
    filed_at = listed(read_only)[0]["filed_at"]
    who = ["kaizen-agentic", "coach"]
    assert first == ["1", filed_at, "contract_broken", "kaizen.schedule.prepared", "KAIZEN_SCHEDULE#1", "1", *who]
    assert (second[2], second[4:]) == ("bundle_missing", ["KAIZEN_SCHEDULE#2", "1", *who])
    assert (third[2], third[4:]) == ("not_json", ["KAIZEN_SCHEDULE#3", "1"]), "nobody knows whose that was"


def test_the_list_is_narrowed_by_reason_and_time(read_only: Kit) -> None:
    whole = listed(read_only)

    assert [each["reason"] for each in whole] == REASONS
    assert [each["number"] for each in listed(read_only, "--reason", "bundle_missing")] == [2]
    assert listed(read_only, "--since", "2026-01-01") == whole
    assert listed(read_only, "--since", str(whole[1]["filed_at"])[:19] + "Z")[-1] == whole[-1]
    assert listed(read_only, "--since", "2999-01-01") == []
    assert "that matches" in read_only.archiver("dead", "list", "--reason", "none", status=3).stderr.decode()


def test_neither_list_nor_letter_shows_a_payload_unasked(read_only: Kit) -> None:
    for words in (["list"], ["list", "--json"], ["show", "1"], ["show", "1", "--json"]):
        said = dead(read_only, *words)
        assert "prepare_command" not in said, words
        assert "payload_b64" not in said, words

    assert "prepare_command" in dead(read_only, "show", "1", "--payload")
    assert "payload_b64" in json.loads(dead(read_only, "show", "1", "--payload", "--json"))


def test_a_letter_is_shown_in_full(read_only: Kit) -> None:
    shown = dict(line.split(maxsplit=1) for line in dead(read_only, "show", "1").splitlines() if line[0] != " ")
    record = json.loads(dead(read_only, "show", "1", "--json"))

    assert shown["msg_id"] == record["msg_id"] == "of a faulty emitter"
    assert "fortnightly" in record["detail"]
    assert shown["reason"] == "contract_broken"
    assert shown["payload"].startswith(f"{len(BROKEN)} bytes are kept; --payload shows them")


def test_a_payload_is_written_as_it_was(read_only: Kit, tmp_path: Path) -> None:
    target = tmp_path / "payload"

    assert dead(read_only, "show", "3", "-o", str(target)) == ""

    assert target.read_bytes() == b"\xff\x1b[31m"
    said = read_only.archiver("dead", "show", "1", "-o", target, status=2).stderr.decode()
    assert "exists" in said
    assert dead(read_only, "show", "1", "-o", str(target), "--force") == ""
    assert target.read_bytes() == BROKEN
    assert read_only.archiver("dead", "show", "1", "-o", "-").stdout == BROKEN
    said = read_only.archiver("dead", "show", "1", "-o", tmp_path / "none" / "here", status=2).stderr.decode()
    assert "cannot write" in said


def test_what_a_letter_says_does_not_reach_the_terminal_as_orders(kit: Kit) -> None:
    kit.publish(HOSTILE)
    kit.archiver("run", "--until-idle")

    for words in (["list"], ["show", "1"], ["show", "1", "--payload"]):
        said = dead(kit, *words)
        assert "\x1b" not in said, words
        assert "\u202e" not in said, words
    assert r"\x1b[2Jred\nalert\u202e" in dead(kit, "list")


def test_a_token_in_a_field_is_in_no_list_and_no_letter_shown_without_its_payload(kit: Kit) -> None:
    token = "ghp" + "_" + "a1B2" * 9
    kit.publish(payload_bytes(event(agent=token, repo=f"--token {token}")))
    ran = kit.archiver("run", "--until-idle")

    assert token.encode() not in ran.stdout + ran.stderr
    for words in (["list"], ["list", "--json"], ["show", "1"], ["show", "1", "--json"]):
        said = dead(kit, *words)
        assert token not in said, words
        assert "***" in said, words


@pytest.mark.parametrize(
    "letter",
    [
        b"no JSON",
        b'{"schema": "kaizen.archive.failed", "version": "2"}',
        b"[]",
        json.dumps({"schema": "kaizen.archive.failed", "version": "1", "reason": 7}).encode(),
    ],
    ids=repr,
)
def test_what_somebody_else_put_there_is_told_and_can_be_dropped(kit: Kit, letter: bytes) -> None:
    forge(kit, letter)

    assert "unreadable" in dead(kit, "list")
    assert "not a dead letter" in dead(kit, "show", "1")
    assert "not a dead letter" in kit.archiver("dead", "redrive", "--all", status=1).stderr.decode()
    kit.archiver("dead", "show", "1", "-o", "-", status=2)
    dead(kit, "drop", "1", "--yes")
    assert listed(kit) == []


def test_nothing_there_is_told(kit: Kit) -> None:
    for words in (["list"], ["redrive", "--all"]):
        assert "there is no dead letter" in kit.archiver("dead", *words, status=3).stderr.decode()
    for words in (["show", "7"], ["redrive", "7"], ["drop", "7", "--yes"]):
        assert "there is no dead letter 7" in kit.archiver("dead", *words, status=1).stderr.decode()
    assert dead(kit, "list", "--json") == ""


def test_without_stream_or_server_it_says_so(bare_kit: Kit) -> None:
    said = bare_kit.archiver("dead", "list", status=4).stderr.decode()
    assert "could not find stream 'KAIZEN_ARCHIVE_DLQ': not there" in said
    assert "archiver init" in said

    bare_kit.nats.stop()
    assert "cannot reach NATS" in bare_kit.archiver("dead", "list", status=4).stderr.decode()


@pytest.mark.parametrize("words", [[], ["1", "--all"], ["1", "--reason", "x"], ["0"]], ids=str)
def test_what_to_redrive_has_to_be_said(bare_kit: Kit, words: list[str]) -> None:
    assert bare_kit.archiver("dead", "redrive", *words, status=2).stderr


def test_dropping_needs_a_word_and_shows_what_goes(dead_kit: Kit) -> None:
    refused = dead_kit.command("/bin/bash", "-c", f"{BIN}/archiver dead drop 1 </dev/null", status=2).stderr.decode()
    assert "--yes" in refused
    assert len(listed(dead_kit)) == 3

    said = dead_kit.archiver("dead", "drop", "1", "9", "3", "1", "--yes", status=1)

    assert said.stdout.decode().count("contract_broken") == 1
    assert said.stdout.decode().endswith("dead letter 1: dropped\ndead letter 3: dropped\n")
    assert "there is no dead letter 9" in said.stderr.decode()
    assert [each["number"] for each in listed(dead_kit)] == [2]


@pytest.mark.parametrize(("answer", "status", "left"), [(b"n\n", 3, 1), (b"y\n", 0, 0)], ids=["no", "yes"])
def test_on_a_terminal_dropping_asks(kit: Kit, answer: bytes, status: int, left: int) -> None:
    kit.publish(BROKEN)
    kit.archiver("run", "--until-idle")
    ours, its = os.openpty()
    asked = subprocess.Popen(
        [BIN / "archiver", "dead", "drop", "1"],
        env=os.environ | kit.environment,
        stdin=its,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    os.write(ours, answer)
    out, err = asked.communicate(timeout=SOON_S)
    os.close(ours)
    os.close(its)

    assert asked.returncode == status, err
    assert b"contract_broken" in out
    assert b"Erase 1 for good?" in err
    assert len(listed(kit)) == left


def test_a_letter_that_is_gone_when_it_is_dropped_is_no_error(dead_kit: Kit) -> None:
    from archiver.bus.dead_letters import DeadLetters

    async def twice(client: Client) -> None:
        dead_letters = await DeadLetters.bind(client, stream="KAIZEN_SCHEDULE")
        await dead_letters.drop(1)
        await dead_letters.drop(1)

    dead_kit.on_the_bus(twice)

    assert [each["number"] for each in listed(dead_kit)] == [2, 3]
