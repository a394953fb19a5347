"""Records that this project wrote, read back after anybody may have changed them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contracts import BadInput
from contracts.cli.replay import _passes
from contracts.fixtures.recorder import PROVENANCE, Recording, keep
from contracts.model.records import COUNT, DIGEST, TEXT, InvalidRecord, RecordSchema, record_of
from contracts.model.strict_json import Limits
from contracts.replay.events.capture import parse_capture
from contracts.replay.plan.messages import PLAN, Outgoing, ReplayRun, header_line, read_messages, read_run
from contracts.replay.send.journal import Journal

SCHEMA = RecordSchema(
    record_of(name=TEXT, count=COUNT, digest=DIGEST, kind={"enum": ["a", "b"]}, optional={"note": TEXT}),
    Limits(payload_bytes=200, depth=2),
)
SOUND = {"name": "n", "count": 1, "digest": "ab" * 32, "kind": "a"}
RUN = ReplayRun("r-1", "staging", "nats://h:4222", None, 2, 0.0, "2026-06-17T09:00:12Z")
MESSAGE = Outgoing(0, 0.0, "kaizen.schedule.prepared", b"{}", "ab" * 32, "fixture")
JUNK = [b"", b"{", b"\xff", b"[]", b"null", b"5", b"[" * 5000, b'{"a": NaN}', b'{"a": "\\ud800"}', b"{}"]


def test_a_record_is_read_with_what_is_optional_and_what_a_later_version_added() -> None:
    assert SCHEMA.read(json.dumps(SOUND).encode()) == SOUND
    assert SCHEMA.read(json.dumps(SOUND | {"note": "x", "later": [1]}).encode())["note"] == "x"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": 7}, "/name: found the number 7, expected type string"),
        ({"name": None}, "/name: found null"),
        ({"count": "1"}, "/count: found '1', expected type integer"),
        ({"count": -1}, "/count: found the number -1, expected minimum 0"),
        ({"digest": "AB" * 32}, "/digest: found "),
        ({"kind": "c"}, "/kind: found 'c', expected enum a, b"),
        ({"note": []}, "/note: found an array"),
        ({"later": [[[]]]}, "[payload/depth]"),
        ({"later": "x" * 200}, "[boundary/size]"),
    ],
    ids=str,
)
def test_a_record_that_is_another_says_where_and_what_was_expected(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidRecord) as refused:
        SCHEMA.read(json.dumps(SOUND | changes).encode())

    assert said in str(refused.value)


def test_a_secret_in_a_record_is_not_shown() -> None:
    with pytest.raises(InvalidRecord, match="may hold a secret"):
        SCHEMA.read(json.dumps(SOUND | {"kind": "AKIAIOSFODNN7EXAMPLE"}).encode())


@pytest.mark.parametrize(
    "head",
    [
        *JUNK,
        *(
            json.dumps(json.loads(header_line(RUN)) | changes).encode()
            for changes in (
                {"schema": "kaizen.replay.plan/2"},
                {"run_id": ["r"]},
                {"url": 7},
                {"stream": 1},
                {"messages": "2"},
                {"messages": 10**12},
                {"lasts_s": "0"},
                {"seed": "x"},
            )
        ),
    ],
    ids=repr,
)
def test_a_plan_that_was_changed_is_bad_input(head: bytes, tmp_path: Any) -> None:
    (tmp_path / PLAN).write_bytes(head + b"\n")

    with pytest.raises(BadInput, match="is not a replay's plan of this version"):
        read_run(tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        *JUNK,
        *(
            json.dumps(json.loads(MESSAGE.to_line()) | changes).encode()
            for changes in (
                {"number": 1},
                {"number": "0"},
                {"due_s": "now"},
                {"due_s": -1},
                {"subject": None},
                {"payload": {}},
                {"event_key": "x"},
                {"bundle_from": 7},
            )
        ),
    ],
    ids=repr,
)
def test_a_message_of_a_plan_that_was_changed_is_bad_input(line: bytes, tmp_path: Any) -> None:
    (tmp_path / PLAN).write_bytes(header_line(RUN) + line + b"\n")

    assert read_run(tmp_path) == RUN
    with pytest.raises(BadInput, match="line 2, is not a message"):
        list(read_messages(tmp_path))


def test_a_plan_is_read_as_it_was_written_and_as_a_later_version_writes_it(tmp_path: Any) -> None:
    later = json.dumps(json.loads(MESSAGE.to_line()) | {"priority": 1}).encode()
    (tmp_path / PLAN).write_bytes(json.dumps(json.loads(header_line(RUN)) | {"new": {}}).encode() + b"\n" + later)

    assert read_run(tmp_path) == RUN
    assert list(read_messages(tmp_path)) == [MESSAGE]


@pytest.mark.parametrize(
    "line",
    [
        *JUNK[:-1],
        b'{"number": -1, "status": "acked"}',
        b'{"number": 0, "status": "acked", "detail": []}',
        b'{"number": 0, "status": "acked", "tries": "2"}',
        b'{"number": 0, "status": 7}',
        b'{"number": 9, "status": "acked"}',
        b'{"number": [0], "status": "acked"}',
        b'{"sending": "2"}',
        b'{"schema": "kaizen.replay.journal/1", "run_id": "r-1", "after_sequence": "9"}',
    ],
    ids=repr,
)
def test_a_journal_that_was_changed_is_bad_input(line: bytes, tmp_path: Any) -> None:
    journal = Journal(tmp_path, RUN)
    journal._path.write_bytes(line + b"\n")

    with pytest.raises(BadInput, match="line 1, is damaged"), journal:
        pass


@pytest.mark.parametrize("raw", [*JUNK, b'{"passes": "yes"}', b'{"passes": 1}'], ids=repr)
def test_a_report_that_was_changed_is_bad_input(raw: bytes, tmp_path: Any) -> None:
    (tmp_path / "report.json").write_bytes(raw)

    with pytest.raises(BadInput, match="is not a replay's report"):
        _passes(tmp_path / "report.json")


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": 7},
        {"at": 7},
        {"at": ["2026"]},
        {"at": "noon"},
        {"origin": None},
        {"headers": []},
        {"headers": {"a": 1}},
        {"event": []},
        {"scrubbed": 7},
        {"scrubbed": ["ab"]},
        {"scrubbed": [{"pointer": 1, "rule": "boundary/secret"}]},
        {"scrubbed": [{"pointer": "/a", "rule": ["x"]}]},
        {"schema": "kaizen.capture/2"},
    ],
    ids=str,
)
def test_a_capture_that_was_changed_is_bad_input(changes: dict[str, Any]) -> None:
    sound = {"schema": "kaizen.capture/1", "subject": "s", "at": None, "origin": "", "headers": {}, "event": {}}

    with pytest.raises(BadInput, match=r"is a capture of another version|is not a capture"):
        parse_capture(json.dumps(sound | changes).encode(), where="line 1")


@pytest.mark.parametrize("raw", [*JUNK[:7], b'{"events": 5}', b'{"events": [5]}', b"{}"], ids=repr)
def test_provenance_that_was_changed_is_bad_input(raw: bytes, tmp_path: Any) -> None:
    (tmp_path / PROVENANCE).write_bytes(raw)

    with pytest.raises(BadInput, match="cannot be read as provenance"):
        keep(Recording(), tmp_path)
