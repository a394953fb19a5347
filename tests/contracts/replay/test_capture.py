"""A capture says on one line all that is needed to send an event again, and is read back as it was written."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import BadInput, Capture, check, event_key
from contracts.fixtures.generate import payloads
from contracts.replay.events.capture import parse_capture
from contracts.rules.registry import load_contract
from contracts.toolkit import MalformedPayload
from tests.support.payloads import PREPARED, SPEC_EXAMPLE, event

NOON = datetime(2026, 6, 17, 12, tzinfo=UTC)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
LINE = json.loads(Capture("kaizen.schedule.prepared", SPEC_EXAMPLE, NOON, "KAIZEN_SCHEDULE #17").to_line())


@given(
    st.builds(
        Capture,
        subject=TEXTS,
        event=payloads(load_contract(PREPARED)),
        at=st.none() | st.datetimes(timezones=st.just(UTC)),
        origin=TEXTS.filter(bool),
        headers=st.dictionaries(TEXTS, TEXTS, max_size=3),
        scrubbed=st.lists(st.tuples(TEXTS, TEXTS), max_size=2).map(tuple),
    )
)
def test_a_capture_is_one_line_and_is_read_back_as_it_was(capture: Capture) -> None:
    line = capture.to_line()

    assert line.count(b"\n") == 1
    assert parse_capture(line, where="somewhere else") == capture


@given(payloads(load_contract(PREPARED)))
def test_a_bare_payload_is_read_too_and_keeps_its_identity(payload: dict[str, Any]) -> None:
    capture = parse_capture(json.dumps(payload, indent=1).encode(), where="events.jsonl:7")

    assert (capture.subject, capture.at, capture.origin) == ("kaizen.schedule.prepared", None, "events.jsonl:7")
    assert capture.key == event_key(payload)
    assert event_key(json.loads(capture.payload)) == capture.key


def test_the_line_is_what_other_programs_rely_on() -> None:
    assert LINE == {
        "schema": "kaizen.capture/1",
        "subject": "kaizen.schedule.prepared",
        "at": "2026-06-17T12:00:00.000000Z",
        "origin": "KAIZEN_SCHEDULE #17",
        "headers": {},
        "event": SPEC_EXAMPLE,
    }


def test_the_time_of_a_capture_may_have_any_offset_and_any_precision() -> None:
    line = LINE | {"at": "2026-06-17T14:00:00.123456789+02:00"}

    capture = parse_capture(json.dumps(line).encode(), where="-")

    assert capture.at == NOON + timedelta(microseconds=123456)


def test_the_payload_that_is_sent_breaks_what_the_event_breaks() -> None:
    capture = parse_capture(json.dumps(event(cadence="fortnightly", root="/srv/é")).encode(), where="-")

    assert {each.rule for each in check(capture.payload).violations} >= {"cadence/enum"}


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        (b"{", "payload/syntax"),
        (b"[]", "payload/type"),
        (b'"kaizen"', "payload/type"),
        (b'{"event": "a", "event": "b"}', "payload/duplicate-key"),
        (b'{"event": NaN}', "payload/number"),
        (b'{"schema": "kaizen.capture/1", "event": {"a": 1, "a": 2}}', "payload/duplicate-key"),
        (b"\xff", "payload/encoding"),
        (b"[" * 100_000, "payload/depth"),
    ],
)
def test_what_two_readers_would_read_differently_is_no_event(line: bytes, rule: str) -> None:
    with pytest.raises(MalformedPayload) as caught:
        parse_capture(line, where="-")

    assert [each.rule for each in caught.value.malformations] == [rule]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"schema": "kaizen.capture/2"}, "of another version"),
        ({"event": "kaizen.schedule.prepared"}, "'event' is a str, expected a dict"),
        ({"subject": None}, "'subject' is a NoneType, expected a str"),
        ({"headers": {"a": 1}}, "a header is not a text"),
        ({"at": "yesterday"}, "is not an RFC 3339 date-time"),
        ({"at": 17}, "is not a capture"),
        ({"scrubbed": [{"pointer": "/a"}]}, "KeyError: 'rule'"),
    ],
)
def test_a_capture_that_is_none_is_named_with_its_line(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint) as caught:
        parse_capture(json.dumps(LINE | changes).encode(), where="run.jsonl:3")

    assert "run.jsonl:3" in str(caught.value)


def test_keys_that_a_later_version_may_add_are_passed_over() -> None:
    line = json.dumps(LINE | {"note": "new"}).encode()

    assert parse_capture(line, where="-").event == SPEC_EXAMPLE
