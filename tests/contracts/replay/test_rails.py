"""Each rail of `contracts replay`, and an attempt to cross it: nothing arrives that should not."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from nats.js.api import StreamConfig

from contracts import Capture
from contracts.replay.plan.messages import REPLAY
from tests.contracts.conftest import RunContracts
from tests.contracts.replay.conftest import GOLDEN, STREAM, SUBJECT, Staging, configure
from tests.support.payloads import SPEC_EXAMPLE, event

SECRET = event(session_close=["kaizen-agentic metrics record coach --token hunter2hunter2"])
RIGHT = Capture(SUBJECT, SPEC_EXAMPLE, origin="KAIZEN_SCHEDULE #1")


def captures(*found: Capture) -> bytes:
    return b"".join(each.to_line() for each in found)


def test_without_execute_nothing_is_sent_and_nothing_is_written(
    rehearsal: Staging, run_contracts: RunContracts
) -> None:
    status, out, err = run_contracts("replay", "staging", "--from-file", "-", stdin=captures(RIGHT))

    assert (status, err) == (0, "")
    assert "dry run: nothing was sent" in out
    assert f"where     staging: {rehearsal.place}, stream {STREAM}" in out
    assert f"subject   staging.{SUBJECT}: 1" in out
    assert not rehearsal.messages()
    assert [path.name for path in Path.cwd().iterdir()] == ["contracts.toml"]


@pytest.mark.parametrize("target", ["production", "nats://127.0.0.1:4", "http://127.0.0.1/hook"])
@pytest.mark.usefixtures("rehearsal")
def test_a_target_that_the_configuration_does_not_allow_is_not_even_asked(
    target: str, run_contracts: RunContracts
) -> None:
    status, _, err = run_contracts("replay", target, "--execute")

    assert (status, "is no target in" in err) == (2, True)


@pytest.mark.parametrize("flags", [[], ["--invalid"], ["--invalid", "--execute", "--yes-this-is-live", "staging"]])
@pytest.mark.parametrize(
    ("forbidden", "rule"),
    [
        (Capture(SUBJECT, SECRET, origin="events.jsonl:2"), "boundary/secret"),
        (Capture(SUBJECT, event(repo="a", root="https://w:pw4711@host/x"), origin="b"), "boundary/url-credentials"),
        (Capture("kaizen.token=hunter2hunter2", SPEC_EXAMPLE, origin="c"), "boundary/secret"),
        (Capture(SUBJECT, event(session_close=["x" * 70_000]), origin="d"), "boundary/size"),
    ],
)
def test_what_the_boundary_forbids_stops_the_whole_replay_whatever_is_asked_for(
    forbidden: Capture, rule: str, flags: list[str], rehearsal: Staging, run_contracts: RunContracts
) -> None:
    lines = captures(RIGHT, forbidden, RIGHT)

    status, _, err = run_contracts("replay", "staging", "--from-file", "-", *flags, stdin=lines)

    assert status == 1
    assert f"1 event may not be sent, and nothing was:\n  1 for {rule}: {forbidden.origin}" in err
    assert "hunter2" not in err
    assert not rehearsal.messages()
    assert not list(Path.cwd().glob("replays/*")) + list(Path.cwd().glob("replays/.*"))


def test_an_origin_takes_no_secret_and_no_line_break_along(rehearsal: Staging, run_contracts: RunContracts) -> None:
    told = Capture(SUBJECT, SPEC_EXAMPLE, origin="nats://w:hunter2hunter2@bus\r\nNats-Rollup: all")

    assert run_contracts("replay", "staging", "--execute", "--from-file", "-", stdin=captures(told))[0] == 0

    (message,) = rehearsal.messages()
    assert "hunter2" not in str(message.headers)
    assert "Nats-Rollup" not in message.headers


def test_an_event_that_breaks_its_contract_is_refused_unless_it_is_asked_for(
    rehearsal: Staging, run_contracts: RunContracts
) -> None:
    lines = captures(RIGHT, *[Capture(SUBJECT, event(cadence="hourly"), origin=f"#{number}") for number in range(9)])

    status, _, err = run_contracts("replay", "staging", "--execute", "--from-file", "-", stdin=lines)
    assert (status, rehearsal.messages()) == (1, [])
    assert "9 for cadence/enum: #0, #1, #2, …" in err
    assert "--invalid" in err

    assert run_contracts("replay", "staging", "--execute", "--invalid", "--from-file", "-", stdin=lines)[0] == 0
    assert len(rehearsal.messages()) == 10


@pytest.mark.parametrize(
    ("line", "rule"), [(b"{not json\n", "payload/syntax"), (b"[1]\n", "payload/type"), (b"\xff\n", "payload/encoding")]
)
def test_what_is_no_event_is_refused_whatever_is_asked_for(
    line: bytes, rule: str, rehearsal: Staging, run_contracts: RunContracts
) -> None:
    lines = captures(RIGHT) + line

    status, _, err = run_contracts("replay", "staging", "--execute", "--invalid", "--from-file", "-", stdin=lines)

    assert (status, rehearsal.messages()) == (1, [])
    assert f"1 for {rule}: <stdin>:2" in err


@pytest.mark.parametrize("subject", ["$JS.API.STREAM.DELETE.STAGING_KAIZEN_SCHEDULE", "a b", "kaizen.>", ""])
def test_a_capture_cannot_choose_a_subject_that_is_none(
    subject: str, staging: Staging, run_contracts: RunContracts
) -> None:
    staging.make_stream()
    configure(Path.cwd(), staging.url, stream=None, more='prefix = ""\n')
    lines = captures(Capture(subject, SPEC_EXAMPLE, origin="x"))

    status, _, err = run_contracts(
        "replay", "staging", "--execute", "--yes-this-is-live", "staging", "--from-file", "-", stdin=lines
    )

    assert status == 1
    assert "not a subject to publish to" in err
    assert staging.messages() == []


def test_subjects_without_a_prefix_look_live(staging: Staging, run_contracts: RunContracts) -> None:
    staging.make_stream(STREAM, "kaizen.schedule.>")
    configure(Path.cwd(), staging.url, more='prefix = ""\n')

    for flags in ([], ["--execute"]):
        status, _, err = run_contracts("replay", "staging", *flags)
        assert status == 2
        assert "looks live, and nothing was sent:\n  its subjects have no prefix" in err
    assert not staging.messages()

    assert run_contracts("replay", "staging", "--execute", "--yes-this-is-live", "staging")[0] == 0
    assert len(staging.messages()) == GOLDEN


def test_a_stream_that_others_publish_to_looks_live(rehearsal: Staging, run_contracts: RunContracts) -> None:
    rehearsal.publish("staging.kaizen.schedule.metrics", b"{}")

    status, _, err = run_contracts("replay", "staging", "--execute")
    assert status == 2
    assert f"others publish to stream {STREAM}: #1 on staging.kaizen.schedule.metrics, 20" in err
    assert len(rehearsal.messages()) == 1

    assert run_contracts("replay", "staging", "--execute", "--yes-this-is-live", "production")[0] == 2
    assert len(rehearsal.messages()) == 1
    assert run_contracts("replay", "staging", "--execute", "--yes-this-is-live", "staging")[0] == 0
    assert len(rehearsal.messages()) == GOLDEN + 1


def test_one_other_message_among_many_replays_is_found(rehearsal: Staging, run_contracts: RunContracts) -> None:
    assert run_contracts("replay", "staging", "--execute", "--duplicate", "100%")[0] == 0
    rehearsal.publish(f"staging.{SUBJECT}", *[b"{}"] * 600, headers={REPLAY: "an earlier run"})
    assert run_contracts("replay", "staging")[0] == 0  # replays are no other publishers

    rehearsal.publish(f"staging.{SUBJECT}", b"{}", headers={"Nats-Msg-Id": "1"})

    assert run_contracts("replay", "staging")[0] == 2


def test_what_others_published_more_than_an_hour_ago_is_no_sign_of_life(
    rehearsal: Staging, run_contracts: RunContracts, monkeypatch: pytest.MonkeyPatch
) -> None:
    rehearsal.publish(f"staging.{SUBJECT}", b"{}")
    assert run_contracts("replay", "staging")[0] == 2

    monkeypatch.setattr(
        "contracts.replay.target.liveness._RECENT", timedelta(seconds=-5)
    )  # no message is as young as that

    assert run_contracts("replay", "staging")[0] == 0


@pytest.mark.usefixtures("staging")
def test_the_expected_stream_must_be_there(run_contracts: RunContracts) -> None:
    status, _, err = run_contracts("replay", "staging", "--execute")

    assert status == 4
    assert f"cannot reach stream {STREAM}" in err


@pytest.mark.parametrize("taker", ["STAGING_OTHER", None])
def test_the_expected_stream_must_take_the_subject(
    taker: str | None, staging: Staging, run_contracts: RunContracts
) -> None:
    staging.make_stream(STREAM, "something.else")
    if taker:
        staging.make_stream(taker, "staging.>")

    status, _, err = run_contracts("replay", "staging", "--execute")

    assert status == 2
    assert f"does not take staging.{SUBJECT}; " + (f"stream {taker} does" if taker else "no stream does") in err
    assert not staging.messages(taker or STREAM)


def test_core_nats_is_no_way_around_a_stream_that_looks_live(staging: Staging, run_contracts: RunContracts) -> None:
    staging.make_stream()
    configure(Path.cwd(), staging.url, stream=None)
    assert run_contracts("replay", "staging")[0] == 0

    staging.publish(f"staging.{SUBJECT}", b"{}")

    assert run_contracts("replay", "staging", "--execute")[0] == 2
    assert len(staging.messages()) == 1


def test_a_run_is_resumed_only_where_its_target_still_does_not_look_live(
    rehearsal: Staging, run_contracts: RunContracts
) -> None:
    assert run_contracts("replay", "staging", "--execute")[0] == 0
    (run,) = Path("replays").iterdir()
    assert run_contracts("replay", "--resume", run)[0] == 0
    assert len(rehearsal.messages()) == GOLDEN

    rehearsal.publish(f"staging.{SUBJECT}", b"{}")

    assert run_contracts("replay", "--resume", run)[0] == 2
    assert run_contracts("replay", "production", "--resume", run)[0] == 2
    assert run_contracts("replay", "--resume", run, "--rate", "5/s")[0] == 2
    Path("contracts.toml").write_text("", "utf-8")
    assert run_contracts("replay", "--resume", run, "--yes-this-is-live", "staging")[0] == 2


def test_credentials_are_in_no_plan_no_report_and_no_output(
    rehearsal: Staging, run_contracts: RunContracts, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, password = re.findall(r"//(.*):(.*)@", rehearsal.url)[0]
    configure(Path.cwd(), rehearsal.url.replace(password, "${STAGING_PASSWORD}"))
    assert run_contracts("replay", "staging", "--execute")[0] == 2  # the variable is not set
    monkeypatch.setenv("STAGING_PASSWORD", password)

    status, out, err = run_contracts("replay", "staging", "--execute")

    assert status == 0, err
    written = "".join(path.read_text("utf-8") for path in Path("replays").rglob("*") if path.is_file())
    everything = out + err + written + str([message.headers for message in rehearsal.messages()])
    assert password not in everything
    assert f"{user}:" not in everything
    assert f'"url": "{rehearsal.place}"' in everything


def test_a_mirror_is_no_target(rehearsal: Staging, run_contracts: RunContracts) -> None:
    mirror = StreamConfig.from_response({"name": "MIRROR", "mirror": {"name": STREAM}})
    rehearsal.ask(lambda client: client.jetstream().add_stream(mirror))
    configure(Path.cwd(), rehearsal.url, stream="MIRROR")

    status, _, err = run_contracts("replay", "staging", "--execute")

    assert status == 2
    assert f"stream {STREAM} does" in err
