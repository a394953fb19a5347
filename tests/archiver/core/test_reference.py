"""The reference record: read by whoever finds it in the bucket, years later."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.core.reference import MAX_BYTES, NotAReference, Reference, Source, StoredBundle, read_reference
from contracts import PreparedEvent, check, event_key
from contracts.fixtures.corpus import Case, cases
from tests.support.builders import event, payload_bytes

TEXTS = st.text(st.characters(codec="utf-8"))
COUNTS = st.integers(0, 2**53 - 1)
DIGESTS = st.binary(min_size=32, max_size=32).map(bytes.hex)
JSON = st.recursive(
    st.none() | st.booleans() | COUNTS | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=16,
)
SOURCES = st.builds(
    Source,
    subject=TEXTS,
    stream=TEXTS,
    sequence=COUNTS,
    msg_id=TEXTS,
    received_at=TEXTS,
    deliveries=COUNTS,
    payload_sha256=TEXTS,
)
BUNDLES = st.builds(
    StoredBundle,
    bucket=TEXTS,
    key=TEXTS,
    version_id=TEXTS,
    sha256=DIGESTS,
    bytes=COUNTS,
    stored_bytes=COUNTS,
    codec=st.sampled_from(["identity", "zstd"]),
    content_type=TEXTS,
    declared_bytes=COUNTS,
    size_matches=st.booleans(),
    obtained_from=TEXTS,
)
REFERENCES = st.builds(
    Reference,
    event_sha256=DIGESTS,
    source=SOURCES,
    event=st.dictionaries(TEXTS, JSON, max_size=4),
    bundle=BUNDLES,
    archived_at=st.datetimes().map(lambda at: f"{at.isoformat()}Z"),
    archiver=st.dictionaries(TEXTS, TEXTS, max_size=2),
)


def reference(payload: dict[str, Any] | None = None) -> Reference:
    payload = payload or event()
    source = Source("kaizen.schedule.prepared", "KAIZEN_SCHEDULE", 7, "", "2026-06-17T12:00:00Z", 1, "cd" * 32)
    bundle = StoredBundle(
        "archive", "blobs/v1/sha256/ab/x.md", "", "ab" * 32, 5, 5, "identity", "text/markdown", 5, True, "spool"
    )
    return Reference(event_key(payload), source, payload, bundle, "2026-06-17T12:00:00.000Z", {"worker": "w"})


def record(**changes: Any) -> dict[str, Any]:
    return json.loads(reference().to_json()) | changes


@given(REFERENCES)
def test_a_reference_survives_the_round_trip(written: Reference) -> None:
    assert read_reference(written.to_json()) == written


@pytest.mark.parametrize(
    "case", list(cases("kaizen.schedule.prepared@1", "valid", "warnings")), ids=lambda case: case.name
)
def test_a_reference_holds_its_event_verbatim(case: Case) -> None:
    payload = json.loads(case.raw)

    kept = read_reference(reference(payload).to_json()).event

    assert kept == payload
    assert list(kept) == list(payload)
    assert check(payload_bytes(kept)).passes(), "it can be replayed from the bucket alone"
    assert PreparedEvent.from_checked(kept).key == event_key(payload)


@pytest.mark.parametrize("item", [1, 1e15, "ä"], ids=repr)
def test_the_largest_event_that_passes_has_a_reference_that_can_be_read(item: object) -> None:
    limit_bytes, deepest = 65536, 15  # lists in the payload, which is one level itself
    count = (limit_bytes - 2000) // len(json.dumps([item], ensure_ascii=False)[1:].encode())
    lists: list = [item] * count
    for _ in range(deepest - 1):
        lists = [lists]
    raw = json.dumps(event(a_later_field=lists), ensure_ascii=False, separators=(",", ":")).encode()
    assert check(raw, profile="consumer").passes()

    assert len(reference(json.loads(raw)).to_json()) <= MAX_BYTES


def test_keys_that_a_later_version_added_are_passed_over_at_every_depth() -> None:
    later = record(retention={"until": "2036-01-01"})
    later["source"]["partition"] = 3
    later["bundle"]["etag"] = "x"

    assert read_reference(json.dumps(later).encode()) == reference()


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "payload/syntax"),
        (b"<html>busy</html>", "payload/syntax"),
        (b'{"schema": "\xff"}', "payload/encoding"),
        (b"[" * 100_000, "payload/depth"),
        (reference().to_json()[:-20], "payload/syntax"),
        (reference().to_json().replace(b"{", b'{"schema": "kaizen.archive.ref", ', 1), "payload/duplicate-key"),
        (b"[]", "found an array without entries, expected type object"),
        (b"null", "the record: found null"),
        (b"{}", "/schema is missing"),
        (json.dumps(record(schema="kaizen.archive.failed")).encode(), "/schema: found 'kaizen.archive.failed'"),
        (json.dumps(record(version="2")).encode(), "/version: found '2', expected const 1"),
        (json.dumps({k: v for k, v in record().items() if k != "event_sha256"}).encode(), "/event_sha256 is missing"),
        (json.dumps(record(source={"subject": "x"})).encode(), "/source/stream is missing"),
        (json.dumps(record(bundle=[])).encode(), "/bundle: found an array"),
        (json.dumps(record(archiver={"worker": ["w"]})).encode(), "/archiver/worker: found an array of 1"),
        (json.dumps(record(archived_at="yesterday")).encode(), "/archived_at: found 'yesterday'"),
    ],
)
def test_what_is_no_reference_is_said_to_be_none_with_the_reason(raw: bytes, reason: str) -> None:
    with pytest.raises(NotAReference, match=rf"not a kaizen\.archive\.ref record: .*{re.escape(reason)}"):
        read_reference(raw)


WRONG = {
    str: [None, 7, True, ["a"], {"a": 1}],
    int: [None, "12", True, ["a"], {"a": 1}, -1, 1.5, 2**53],
    bool: [None, "true", 1, ["a"]],
    dict: [None, "text", 7, ["a"]],
}


@pytest.mark.parametrize(
    "at",
    [
        *((name,) for name in record()),
        *(("source", name) for name in record()["source"]),
        *(("bundle", name) for name in record()["bundle"]),
    ],
    ids="/".join,
)
def test_a_field_of_another_type_makes_it_no_reference(at: tuple[str, ...]) -> None:
    sound = record()
    parent = sound if len(at) == 1 else sound[at[0]]
    for value in WRONG[type(parent[at[-1]])]:
        broken = json.loads(json.dumps(sound))
        (broken if len(at) == 1 else broken[at[0]])[at[-1]] = value

        with pytest.raises(NotAReference, match=f"/{'/'.join(at)}: "):
            read_reference(json.dumps(broken).encode())


@given(JSON)
def test_any_value_is_a_reference_or_none_and_never_anything_else(value: object) -> None:
    with suppress(NotAReference):
        read_reference(json.dumps(value).encode())


def test_a_reference_holds_these_facts_and_no_endpoint_credentials_or_link() -> None:
    # A list of what may be there, since what must not be there has no end.
    found = {
        top: sorted(value) if isinstance(value, dict) and top != "event" else "" for top, value in record().items()
    }

    assert found == {
        "schema": "",
        "version": "",
        "event_sha256": "",
        "source": ["deliveries", "msg_id", "payload_sha256", "received_at", "sequence", "stream", "subject"],
        "event": "",
        "bundle": [
            "bucket",
            "bytes",
            "codec",
            "content_type",
            "declared_bytes",
            "key",
            "obtained_from",
            "sha256",
            "size_matches",
            "stored_bytes",
            "version_id",
        ],
        "archived_at": "",
        "archiver": ["worker"],
    }
