"""Keys come from content alone, and nothing that an emitter writes can choose a path."""

from __future__ import annotations

import inspect
import json
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from archiver.core.keys import (
    blob_key,
    conflict_key,
    digest_in,
    is_digest,
    key_segment,
    ref_key,
    ref_prefix,
)
from contracts import PreparedEvent, check
from tests.support.builders import event, payload_bytes, prepared

NAMES = st.text(st.characters(codec="utf-8"), min_size=1)
SLUGS = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,63}", fullmatch=True)
LONGEST_SLUG = "0" + "." * 63
DIGESTS = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
INSTANTS = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
OFFSETS = st.integers(-(23 * 60 + 59), 23 * 60 + 59)


@st.composite
def valid_events(draw: st.DrawFn) -> PreparedEvent:
    repo, agent, instant = draw(SLUGS), draw(SLUGS | st.just(LONGEST_SLUG)), draw(INSTANTS)
    payload = event(repo=repo, agent=agent, occurred_at=instant.isoformat())
    # A slug can look like a credential, which the contract refuses; such an event has no key.
    assume(check(payload_bytes(payload)).passes())
    return PreparedEvent.from_checked(payload)


@given(NAMES)
def test_a_key_segment_decodes_to_its_name_and_stays_one_segment(name: str) -> None:
    segment = key_segment(name)

    assert unquote(segment) == name
    assert segment.isascii()
    assert segment.isprintable()
    assert not set(segment) & set("/\\. ")


@given(NAMES, NAMES)
def test_two_names_never_share_a_segment(one: str, other: str) -> None:
    assert (key_segment(one) == key_segment(other)) == (one == other)


@pytest.mark.parametrize(("one", "other"), [("a/b", "a%2Fb"), ("a.b", "a%2Eb"), ("a b", "a+b"), ("A", "a")])
def test_an_encoded_name_does_not_meet_a_plain_one(one: str, other: str) -> None:
    assert key_segment(one) != key_segment(other)


def test_an_empty_name_has_no_segment() -> None:
    with pytest.raises(ValueError, match="at least one character"):
        key_segment("")


@given(valid_events(), st.randoms())
def test_the_reference_key_follows_from_the_event_alone(first: PreparedEvent, random: object) -> None:
    pairs = list(first.payload.items())
    random.shuffle(pairs)  # type: ignore[attr-defined] # random.Random
    same = PreparedEvent.from_checked(json.loads(json.dumps(dict(pairs), indent=4)))

    assert ref_key(same) == ref_key(first)
    assert list(inspect.signature(ref_key).parameters) == ["event"]


@pytest.mark.parametrize(
    "change",
    [
        {"repo": "kaizen-agentic2"},
        {"agent": "reviewer"},
        {"cadence": "daily"},
        {"occurred_at": "2026-06-17T09:00:13Z"},
        {"occurred_at": "2026-06-17T11:00:12+02:00"},
        {"bundle": {"bytes": 8422}},
        {"a_later_field": 1},
    ],
    ids=str,
)
def test_another_event_has_another_reference_key(change: dict) -> None:
    assert ref_key(prepared(**change)) != ref_key(prepared())


def test_a_reference_key_reads_as_columns() -> None:
    this = prepared(repo="kaizen.agentic", agent="coach")

    assert ref_key(this) == f"refs/v1/repo=kaizen%2Eagentic/agent=coach/date=2026-06-17/{this.key}.json"


@given(valid_events())
def test_a_reference_lies_under_the_prefixes_by_which_it_is_listed(this: PreparedEvent) -> None:
    for prefix in (ref_prefix(), ref_prefix(this.repo), ref_prefix(this.repo, this.agent)):
        assert ref_key(this).startswith(prefix)
        assert prefix.endswith("/"), "or a listing of repo=a would show repo=ab"


@given(st.lists(valid_events(), max_size=4), st.lists(DIGESTS, max_size=4))
def test_no_key_is_the_directory_of_another(events: list[PreparedEvent], digests: list[str]) -> None:
    keys = {ref_key(each) for each in events}
    keys |= {blob_key(each, ending) for each in digests for ending in ("md", "json")}
    keys |= {conflict_key(each.key, digest) for each in events for digest in digests}

    assert not [(one, other) for one in keys for other in keys if other.startswith(one + "/")]


@given(valid_events(), DIGESTS)
def test_every_key_of_a_valid_event_fits_every_store(this: PreparedEvent, digest: str) -> None:
    for key in (ref_key(this), blob_key(digest, "json"), conflict_key(this.key, digest)):
        assert len(key.encode()) <= 512  # S3 allows 1024; the rest is left to ARCHIVER_PREFIX
        assert max(len(segment) for segment in key.split("/")) <= 255  # of file systems under SeaweedFS and MinIO


def test_the_longest_slugs_are_among_those_that_fit() -> None:
    longest = prepared(repo=LONGEST_SLUG, agent=LONGEST_SLUG)

    assert check(payload_bytes(longest.payload)).passes()
    assert 480 < len(ref_key(longest)) <= 512


@given(INSTANTS, OFFSETS)
def test_the_day_of_a_reference_is_that_of_the_instant_in_utc(instant: datetime, offset_minutes: int) -> None:
    local = instant.replace(tzinfo=None) + timedelta(minutes=offset_minutes)
    hours, minutes = divmod(abs(offset_minutes), 60)
    text = f"{local.isoformat()}{'-' if offset_minutes < 0 else '+'}{hours:02}:{minutes:02}"

    assert f"/date={instant.date().isoformat()}/" in ref_key(prepared(occurred_at=text))


@pytest.mark.parametrize(
    ("occurred_at", "day"),
    [
        ("2026-06-17T23:59:59Z", "2026-06-17"),
        ("2026-06-18T00:30:00+02:00", "2026-06-17"),
        ("2026-06-17T23:30:00-02:00", "2026-06-18"),
        ("2016-12-31T23:59:60Z", "2016-12-31"),
        ("2017-01-01T01:59:60+02:00", "2016-12-31"),
        ("2016-12-31T15:59:60-08:00", "2016-12-31"),
        ("2024-02-29T12:00:00Z", "2024-02-29"),
        ("0001-01-01T00:00:00+14:00", "0001-01-01"),
        ("9999-12-31T23:59:59-12:00", "9999-12-31"),
    ],
)
def test_offsets_leap_seconds_and_the_ends_of_time_have_a_day(occurred_at: str, day: str) -> None:
    assert f"/date={day}/" in ref_key(prepared(occurred_at=occurred_at))


@given(DIGESTS, st.sampled_from(["md", "json", "md.zst", "json.zst"]), st.sampled_from(["", "team/a/"]))
def test_a_blob_key_promises_its_digest(digest: str, ending: str, prefix: str) -> None:
    key = prefix + blob_key(digest, ending)

    assert digest_in(key) == digest
    assert key == f"{prefix}blobs/v1/sha256/{digest[:2]}/{digest}.{ending}"


@pytest.mark.parametrize(
    "key",
    [
        "",
        "blobs/v1/sha256/",
        "blobs/v1/sha256/ab/cd.md",
        f"blobs/v1/sha256/AB/{'AB' * 32}.md",
        f"blobs/v1/sha256/ab/{'ab' * 33}.md",
        f"blobs/v1/sha256/ab/{'ab' * 32}\n.md",
        f"refs/v1/repo=a/agent=b/date=2026-06-17/{'ab' * 32}.json",
        f"conflicts/v1/{'ab' * 32}/{'cd' * 32}.json",
    ],
)
def test_other_keys_promise_no_digest(key: str) -> None:
    assert digest_in(key) is None


@given(st.binary(min_size=32, max_size=32))
def test_every_digest_is_one(digest: bytes) -> None:
    assert is_digest(digest.hex())


@pytest.mark.parametrize("text", ["", "ab" * 31, "ab" * 33, "AB" * 32, "ab" * 32 + "\n", "g" * 64, "٣" * 64])
def test_what_only_looks_like_a_digest_is_none(text: str) -> None:
    assert not is_digest(text)
