"""`contracts record` writes what it hears, finds or reads as captures, and says what it did not."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contracts import Capture
from contracts.replay.events.capture import parse_capture
from contracts.replay.events.nats_source import Listening, Slice, listen, read_slice
from contracts.toolkit import NatsAccess, Unreachable
from tests.contracts.conftest import RunContracts
from tests.contracts.replay.conftest import STREAM, SUBJECT, Staging
from tests.support.payloads import SPEC_EXAMPLE, event

INTO = Path("captured.jsonl")
TOPIC = f"staging.{SUBJECT}"


def raw(**changes: Any) -> bytes:
    return json.dumps(event(**changes)).encode()


def captured(path: Path = INTO) -> list[Capture]:
    return [parse_capture(line, where="") for line in path.read_bytes().splitlines()]


def agents(path: Path = INTO) -> list[str]:
    return [each.event["agent"] for each in captured(path)]


def numbered(count: int) -> list[bytes]:
    return [raw(repo=f"r{number}") for number in range(count)]


def repos(path: Path = INTO) -> list[str]:
    return [each.event["repo"] for each in captured(path)]


def test_a_stream_is_recorded_with_where_and_when_each_event_was(
    rehearsal: Staging, run_contracts: RunContracts
) -> None:
    rehearsal.publish(TOPIC, raw(), headers={"Nats-Msg-Id": "x", "X-Trace": "17"})

    status, out, err = run_contracts("record", rehearsal.url, "--stream", STREAM, "--into", INTO)

    assert (status, out) == (0, "")
    assert err == "1 event into captured.jsonl, 0 scrubbed, 0 skipped\n"
    (capture,) = captured()
    (message,) = rehearsal.messages()
    assert (capture.subject, capture.event, capture.origin) == (TOPIC, SPEC_EXAMPLE, f"{STREAM} #1")
    assert capture.headers == {"Nats-Msg-Id": "x", "X-Trace": "17"}
    assert capture.at is not None
    assert abs((capture.at - message.time).total_seconds()) < 1e-5


def test_repeats_are_kept_since_a_replay_is_to_repeat_them(rehearsal: Staging, run_contracts: RunContracts) -> None:
    rehearsal.publish(TOPIC, raw(), raw(), raw())

    assert run_contracts("record", rehearsal.url, "--stream", STREAM, "--into", INTO)[0] == 0

    assert len(captured()) == 3


def test_a_slice_of_a_stream_begins_and_ends_where_it_is_said(rehearsal: Staging, run_contracts: RunContracts) -> None:
    rehearsal.publish(TOPIC, *numbered(3))
    rehearsal.publish("staging.kaizen.schedule.archived", raw(repo="other"))
    rehearsal.publish(TOPIC, raw(repo="last"))
    times = [message.time for message in rehearsal.messages()]

    def record(*flags: str, subject: str = "") -> list[str]:
        INTO.unlink(missing_ok=True)
        assert run_contracts("record", f"{rehearsal.url}/{subject}", "--stream", STREAM, "--into", INTO, *flags)[0] == 0
        return repos()

    assert record() == ["r0", "r1", "r2", "other", "last"]
    assert record(subject=TOPIC) == ["r0", "r1", "r2", "last"]
    assert record(subject="staging.*.schedule.archived") == ["other"]
    assert record("--from-seq", "3") == ["r2", "other", "last"]
    assert record("--from-seq", "2", "--count", "2") == ["r1", "r2"]
    assert record("--since", times[3].isoformat()) == ["other", "last"]
    assert record("--until", times[1].isoformat()) == ["r0"]
    assert record("--since", "1h") == ["r0", "r1", "r2", "other", "last"]


def test_a_stream_of_many_batches_is_recorded_whole_and_in_order(
    rehearsal: Staging, run_contracts: RunContracts
) -> None:
    rehearsal.publish(TOPIC, *numbered(1_203))

    assert run_contracts("record", rehearsal.url, "--stream", STREAM, "--into", INTO)[0] == 0

    assert repos() == [f"r{number}" for number in range(1_203)]


def test_what_comes_while_a_stream_is_read_is_no_part_of_the_slice(rehearsal: Staging) -> None:
    rehearsal.publish(TOPIC, *numbered(700))
    found = read_slice(NatsAccess(rehearsal.url), Slice(STREAM), name="a test")
    next(found)
    rehearsal.publish(TOPIC, *numbered(5))

    assert len(list(found)) == 699


def test_a_stream_is_read_on_after_the_connection_was_lost(rehearsal: Staging) -> None:
    rehearsal.publish(TOPIC, *numbered(1_100))
    found = read_slice(NatsAccess(rehearsal.url), Slice(STREAM), name="a test")
    read = [next(found)]
    rehearsal.server.stop()
    rehearsal.server.start()

    read += found

    assert [each.event["repo"] for each in read if isinstance(each, Capture)] == [f"r{n}" for n in range(1_100)]


@pytest.fixture
def publishing_once_there_is_a_listener(staging: Staging) -> Callable[..., threading.Thread]:
    """Publish in a thread as soon as the server knows of a subscription to the subject."""

    def start(*payloads: bytes) -> threading.Thread:
        async def publish(client: Any) -> None:
            answer = None
            while answer is None:
                try:
                    await client.request(TOPIC, payloads[0], timeout=0.2)
                except TimeoutError:
                    answer = True  # heard, and not answered
                except Exception as error:
                    if "no responders" not in str(error):
                        raise
            for payload in payloads[1:]:
                await client.publish(TOPIC, payload)
            await client.flush()

        thread = threading.Thread(target=lambda: staging.ask(publish))
        thread.start()
        return thread

    return start


@pytest.mark.parametrize("end", [["--count", "3"], ["--until-idle", "1.5"], ["--count", "9", "--until-idle", "1.5"]])
def test_a_subject_is_listened_to_until_it_is_enough(
    end: list[str],
    staging: Staging,
    run_contracts: RunContracts,
    publishing_once_there_is_a_listener: Callable[..., threading.Thread],
) -> None:
    thread = publishing_once_there_is_a_listener(*numbered(3))

    status, _, err = run_contracts("record", f"{staging.url}/{TOPIC}", "--into", INTO, *end)

    thread.join()
    assert status == 0, err
    assert repos() == ["r0", "r1", "r2"]
    assert all(each.subject == TOPIC and each.at for each in captured())


def test_a_connection_that_was_lost_while_listening_is_no_complete_recording(
    staging: Staging, publishing_once_there_is_a_listener: Callable[..., threading.Thread]
) -> None:
    thread = publishing_once_there_is_a_listener(*numbered(1))
    found = listen(NatsAccess(staging.url), Listening(TOPIC, count=5), name="a test")
    next(found)
    thread.join()

    staging.server.stop()

    with pytest.raises(Unreachable, match="what came meanwhile is missing"):
        next(found)


def test_silence_is_no_recording_and_leaves_no_file(staging: Staging, run_contracts: RunContracts) -> None:
    status, _, err = run_contracts("record", f"{staging.url}/{TOPIC}", "--into", INTO, "--until-idle", "0.1")

    assert (status, INTO.exists()) == (3, False)
    assert "there is no event to record" in err


def test_secrets_are_taken_out_and_noted_on_the_line(rehearsal: Staging, run_contracts: RunContracts) -> None:
    close = "kaizen-agentic metrics record coach --token hunter2hunter2"
    rehearsal.publish(TOPIC, raw(session_close=[close]), headers={"Authorization": "Bearer hunter2hunter2"})

    status, _, err = run_contracts("record", rehearsal.url, "--stream", STREAM, "--into", INTO)

    assert status == 0
    assert "hunter2" not in err + INTO.read_text("utf-8")
    assert f"scrubbed: {STREAM} #1: /session_close/0 (boundary/secret)" in err
    (capture,) = captured()
    assert capture.scrubbed == (("/session_close/0", "boundary/secret"),)
    assert capture.event["session_close"] == ["kaizen-agentic metrics record coach --token <secret>"]


def test_what_is_no_event_or_never_may_be_kept_is_left_out_and_told(
    rehearsal: Staging, run_contracts: RunContracts
) -> None:
    rehearsal.publish(TOPIC, b"{", b"[]", b"\xff\xfe", raw(), raw(repo="a\nb"), raw(session_close=["x" * 70_000]))

    status, _, err = run_contracts("record", rehearsal.url, "--stream", STREAM, "--into", INTO)

    assert status == 1
    assert len(captured()) == 1
    assert [line for line in err.splitlines() if line.startswith("skipped")] == [
        f"skipped: {STREAM} #1: payload/syntax",
        f"skipped: {STREAM} #2: payload/type",
        f"skipped: {STREAM} #3: payload/encoding",
        f"skipped: {STREAM} #5: boundary/one-line",
        f"skipped: {STREAM} #6: boundary/size",
    ]


def test_an_event_that_breaks_its_contract_otherwise_is_recorded_as_it_came(
    rehearsal: Staging, run_contracts: RunContracts
) -> None:
    rehearsal.publish(TOPIC, raw(cadence="hourly"), b'{"event": "unheard.of"}')

    assert run_contracts("record", rehearsal.url, "--stream", STREAM, "--into", INTO)[0] == 0

    assert [each.event.get("cadence") for each in captured()] == ["hourly", None]


def test_files_and_pipes_are_recorded_too(run_contracts: RunContracts, tmp_path: Path) -> None:
    whole, into = tmp_path / "event.json", tmp_path / "captured.jsonl"
    whole.write_text(json.dumps(SPEC_EXAMPLE, indent=2), "utf-8")
    assert run_contracts("record", whole, "--into", into)[0] == 0

    status, out, _ = run_contracts("record", "-", "--into", "-", stdin=into.read_bytes() + raw(agent="b") + b"\n\n")

    assert status == 0
    assert [json.loads(line)["event"]["agent"] for line in out.splitlines()] == ["coach", "b"]
    assert [json.loads(line)["origin"] for line in out.splitlines()] == [str(whole), "<stdin>:2"]


def test_a_recording_overwrites_nothing(run_contracts: RunContracts, tmp_path: Path) -> None:
    for content in (b"", b"precious\n"):
        (tmp_path / "kept.jsonl").write_bytes(content)

        status, _, err = run_contracts("record", "-", "--into", tmp_path / "kept.jsonl", stdin=raw())

        assert (status, "exists" in err) == (2, True)
        assert (tmp_path / "kept.jsonl").read_bytes() == content


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nats://127.0.0.1:1/a.b"], "listening never ends by itself"),
        (["nats://127.0.0.1:1", "--count", "1"], "is not a subject"),
        (["nats://127.0.0.1:1/a..b", "--count", "1"], "is not a subject"),
        (["nats://127.0.0.1:1/a", "--since", "2h"], "need --stream: core NATS keeps nothing"),
        (["nats://127.0.0.1:1", "--stream", "S", "--until-idle", "1"], "a stream ends where it ends now"),
        (["nats://127.0.0.1:1", "--stream", "S", "--since", "2h", "--from-seq", "1"], "exclude each other"),
        (["a.jsonl", "--stream", "S"], "a file has no --stream"),
        (["missing.jsonl"], "cannot read missing.jsonl"),
        (["http://127.0.0.1:1/a"], "names no server"),
        (["nats://127.0.0.1:1/a", "--count", "1", "--until", "soon"], "how long ago"),
    ],
)
def test_what_cannot_be_recorded_says_why_and_leaves_no_file(
    arguments: list[str],
    complaint: str,
    run_contracts: RunContracts,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)

    status, _, err = run_contracts("record", *arguments, "--into", INTO)

    assert (status, complaint in err) == (2, True), err
    assert not INTO.exists()


@pytest.mark.parametrize(("stream", "complaint"), [("MISSING", "no such stream"), ("a.b", "not the name of a stream")])
def test_a_stream_that_cannot_be_read_is_named(
    stream: str, complaint: str, staging: Staging, run_contracts: RunContracts
) -> None:
    status, _, err = run_contracts("record", staging.url, "--stream", stream, "--into", INTO)

    assert (status in {2, 4}, complaint in err) == (True, True), err
