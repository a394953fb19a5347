"""A recording is what was seen, without what the boundary forbids, and says where it is from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import BadInput, check_payload, event_key
from contracts.corpus import cases
from contracts.mutations.checks import SECRETS
from contracts.record import PROVENANCE, Recording, keep, record
from contracts.scrub import scrub, scrub_named, scrub_text
from contracts.secrets import may_be_secret
from tests.contracts.builders import ARCHIVED, PREPARED, SPEC_EXAMPLE, event

NOON = datetime(2026, 6, 17, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Seen:
    raw: bytes
    where: str = "nats://bus:4222/kaizen.schedule.prepared"
    subject: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def _recorded(*seen: Seen) -> Recording:
    return record(seen, emitter_version="1.2.3", now=lambda: NOON)


def _raw(**changes: Any) -> bytes:
    return json.dumps(event(**changes)).encode()


def test_an_event_is_kept_byte_for_byte_with_its_provenance() -> None:
    raw = b" " + _raw()

    found = _recorded(Seen(raw, subject="kaizen.schedule.prepared", headers={"Nats-Msg-Id": "x"}))

    key = event_key(SPEC_EXAMPLE)
    assert found.files == {f"{key[:16]}.json": raw}
    assert list(found.entries.values()) == [
        {
            "file": f"{key[:16]}.json",
            "event_key": key,
            "from": "nats://bus:4222/kaizen.schedule.prepared",
            "subject": "kaizen.schedule.prepared",
            "headers": {"Nats-Msg-Id": "x"},
            "seen": 1,
            "scrubbed": [],
            "breaks": [],
            "emitter_version": "1.2.3",
            "recorded_at": "2026-06-17T12:00:00Z",
        }
    ]


def test_repeats_of_an_event_are_counted_and_kept_once_however_they_are_written() -> None:
    again = json.dumps(dict(reversed(SPEC_EXAMPLE.items()))).encode()

    found = _recorded(Seen(_raw()), Seen(again), Seen(_raw(cadence="daily")))

    assert [entry["seen"] for entry in found.entries.values()] == [2, 1]


def test_secrets_and_url_credentials_are_taken_out_and_noted() -> None:
    raw = _raw(
        session_close=[
            "kaizen-agentic metrics record coach --token hunter2hunter2",
            "git push https://w:pw4711@host/coach coach",
        ]
    )

    found = _recorded(Seen(raw))

    (kept,) = found.files.values()
    (entry,) = found.entries.values()
    assert b"hunter2" not in kept
    assert b"pw4711" not in kept
    assert entry["scrubbed"] == [
        {"pointer": "/session_close/0", "rule": "boundary/secret"},
        {"pointer": "/session_close/1", "rule": "boundary/url-credentials"},
    ]
    assert entry["breaks"] == []
    assert entry["event_key"] == event_key(json.loads(kept))


def test_where_from_and_headers_are_scrubbed_too() -> None:
    headers = {"X-Api-Key": "4711abcd4711", "Authorization": "Bearer abcdefgh12345678", "Plain": "yes"}

    found = _recorded(Seen(_raw(), where="nats://emitter:hunter2@bus:4222/x", headers=headers))

    (entry,) = found.entries.values()
    assert entry["from"] == "nats://bus:4222/x"
    assert "4711abcd4711" not in json.dumps(entry)
    assert "abcdefgh12345678" not in json.dumps(entry)
    assert entry["headers"]["Plain"] == "yes"


def test_an_event_that_breaks_the_contract_is_recorded_and_says_so() -> None:
    (entry,) = _recorded(Seen(_raw(cadence="hourly"))).entries.values()

    assert entry["breaks"] == ["cadence/enum"]


@pytest.mark.parametrize(
    ("raw", "why"), [(b"hello", "payload/syntax"), (b"[]", "payload/type"), (b"", "payload/syntax")]
)
def test_what_has_no_identity_is_left_out_and_named(raw: bytes, why: str) -> None:
    found = _recorded(Seen(raw, where="captured.jsonl:3"))

    assert found.files == {}
    assert found.left_out == [f"captured.jsonl:3: {why}"]


@pytest.mark.parametrize(
    ("text", "gone", "left"),
    [
        ("coach --token hunter2hunter2 --x 1", "hunter2", "coach --token <secret> --x 1"),
        ("env API_KEY=0123456789abcdef run", "0123", "env API_KEY=<secret> run"),
        ('a --password "hunter2 two" b', "two", 'a --password "<secret>" b'),
        ("password=ab,cd:ef;gh b", "gh", "password=<secret> b"),
        ("curl -H 'Authorization: Bearer abcdefgh12345678' x", "abcdefgh", "curl -H '<secret>' x"),
        ("a AKIAIOSFODNN7EXAMPLE b AKIAIOSFODNN7EXAMPLE", "AKIA", "a <secret> b <secret>"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIBOgIBAAJBAK", "MIIB", "<secret>"),
        ("https://a@b@host/x", "a@", "https://host/x"),
        ("git push https://w:pw@host/x", "pw", "git push https://host/x"),
    ],
)
def test_the_value_goes_and_its_name_stays(text: str, gone: str, left: str) -> None:
    clean, rules = scrub_text(text)

    assert clean == left
    assert gone not in clean
    assert rules


def test_a_name_alone_may_give_a_secret_away() -> None:
    assert scrub_named("X-Api-Key", "4711abcd") == ("<secret>", ["boundary/secret"])
    assert scrub({"inner": [{"token": "4711abcd"}]}) == (
        {"inner": [{"token": "<secret>"}]},
        [("/inner/0/token", "boundary/secret")],
    )


@given(
    st.lists(st.sampled_from([*SECRETS.values(), "https://u:p@h/x", "coach", '"', "'", "=", "\n", " ", ": "])).map(
        "".join
    )
)
def test_nothing_scrubbed_looks_like_a_secret(text: str) -> None:
    clean, rules = scrub_text(text)

    assert not may_be_secret(clean)
    assert (clean == text) == (not rules)


@pytest.mark.parametrize("contract", [PREPARED, ARCHIVED])
def test_what_is_no_secret_is_left_alone(contract: str) -> None:
    for case in cases(contract, "valid"):
        payload = json.loads(case.raw)

        assert scrub(payload) == (payload, []), case.name


def test_a_second_recording_adds_what_is_new(tmp_path: Path) -> None:
    assert keep(_recorded(Seen(_raw())), tmp_path) == 1
    assert keep(_recorded(Seen(_raw()), Seen(_raw(cadence="daily"))), tmp_path) == 1

    events = json.loads((tmp_path / PROVENANCE).read_bytes())["events"]
    assert len(events) == 2
    assert all(check_payload((tmp_path / each["file"]).read_bytes()).passes() for each in events)


def test_provenance_that_cannot_be_read_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / PROVENANCE).write_text("[]")

    with pytest.raises(BadInput, match="cannot be read as provenance"):
        keep(_recorded(Seen(_raw())), tmp_path)

    assert (tmp_path / PROVENANCE).read_text() == "[]"


@pytest.fixture
def at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)


@pytest.mark.usefixtures("at_home")
def test_the_verb_records_files_and_standard_input(tmp_path: Path, run_contracts: Any) -> None:
    (tmp_path / "one.json").write_bytes(_raw())
    lines = _raw(cadence="daily") + b"\n" + _raw(cadence="hourly") + b"\n"

    status, out, err = run_contracts(
        "fixtures",
        "record",
        tmp_path / "one.json",
        "-",
        "--into",
        tmp_path / "new",
        "--emitter-version",
        "1",
        stdin=lines,
    )

    assert status == 0, err
    assert "breaks cadence/enum" in out
    assert "3 new, 0 recorded before, 0 left out" in out
    assert len(list((tmp_path / "new").glob("*.json"))) == 4


@pytest.mark.usefixtures("at_home")
def test_something_left_out_and_nothing_at_all_are_no_pass(tmp_path: Path, run_contracts: Any) -> None:
    arguments = ("fixtures", "record", "-", "--into", tmp_path / "new", "--emitter-version", "1")

    status, _, err = run_contracts(*arguments, stdin=_raw() + b"\n[]\n")
    assert (status, "left out: <stdin>:2: payload/type" in err) == (1, True)

    status, _, err = run_contracts(*arguments, stdin=b"hello")
    assert (status, "there is no event to record" in err) == (3, True)


def test_recording_is_refused_in_ci(tmp_path: Path, run_contracts: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "1")

    status, _, err = run_contracts("fixtures", "record", "-", "--into", tmp_path / "new", "--emitter-version", "1")

    assert status == 2
    assert "refused, because CI is set" in err
    assert not (tmp_path / "new").exists()
