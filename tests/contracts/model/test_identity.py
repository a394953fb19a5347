"""One event has one identity, however it is written down; two events have two."""

from __future__ import annotations

import json
from copy import deepcopy
from hashlib import sha256
from typing import Any

import pytest
import rfc8785
from hypothesis import assume, given
from hypothesis import strategies as st

from contracts import PreparedEvent, event_key
from contracts.fixtures.corpus import cases
from contracts.toolkit import canonical_json, parse_payload, spool_name

VALID = [json.loads(case.raw) for case in cases("kaizen.schedule.prepared@1", "valid")]
EXAMPLE = next(case for case in cases("kaizen.schedule.prepared@1", "valid") if case.name.endswith("spec-example"))

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53 - 1), 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=20)
)
PAYLOADS = st.sampled_from(VALID) | st.dictionaries(
    st.text(st.characters(codec="utf-8"), max_size=8),
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab\u00e9\U0001f600", max_size=4), inner),
        max_leaves=8,
    ),
    max_size=6,
)


@st.composite
def spellings(draw: st.DrawFn, value: Any) -> str:
    """Write a value as JSON in a way of its own: order of keys, white space, escapes."""
    space = draw(st.sampled_from(["", " ", "\n", "\t \r\n"]))
    if isinstance(value, dict):
        names = draw(st.permutations(list(value)))
        parts = [f"{draw(spellings(name))}{space}:{space}{draw(spellings(value[name]))}" for name in names]
        return f"{{{space}{f'{space},'.join(parts)}{space}}}"
    if isinstance(value, list):
        return f"[{space}{f',{space}'.join(draw(spellings(item)) for item in value)}]"
    if isinstance(value, str) and draw(st.booleans()):
        return json.dumps(value, ensure_ascii=draw(st.booleans()))
    if isinstance(value, str):
        units = value.encode("utf-16-be")
        return '"' + "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2)) + '"'
    return json.dumps(value)


@given(st.data())
def test_the_identity_ignores_key_order_white_space_and_escapes(
    data: st.DataObject,
) -> None:
    payload = data.draw(PAYLOADS)
    text = data.draw(spellings(payload))

    assert event_key(parse_payload(text.encode())) == event_key(payload)


@given(PAYLOADS)
def test_the_identity_is_the_sha_256_of_the_canonical_json_that_others_compute(payload: dict[str, Any]) -> None:
    assert event_key(payload) == sha256(rfc8785.dumps(payload)).hexdigest()
    assert json.loads(canonical_json(payload), parse_int=float) == payload


@pytest.mark.parametrize(
    "payload",
    [
        {"b": [1e16, -0.0, 1.0, 1e-7, 0.1]},
        {"b": 2**53 - 1, "a": -(2**53 - 1)},
        {"b": 1.5},
        {"\U0001f600": 1, "\ue000": 2, "\uffff": 3},
        {"a": {"\U0001f600": 1, "\ue000": 2}},
        {"a": "at 09:00:12.5,then", "b": ":1e5]", "c": "[9999999999999999,", "d": '\x00\x7f\u2028"\\/\b\f'},
    ],
)
def test_the_canonical_json_is_that_of_rfc_8785_also_where_python_s_own_would_differ(payload: dict[str, Any]) -> None:
    assert canonical_json(payload) == rfc8785.dumps(payload)


@pytest.mark.parametrize("payload", [{"a": 2**53}, {"a": float("nan")}, {"a": "\ud800"}, {"\udfff": 1}])
def test_what_rfc_8785_cannot_say_has_no_identity(payload: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - what it says is the library's
        canonical_json(payload)


@given(st.data())
def test_the_identity_differs_when_any_value_differs(data: st.DataObject) -> None:
    payload = data.draw(st.sampled_from(VALID))
    changed = deepcopy(payload)
    holder: Any = data.draw(st.sampled_from([changed, changed["bundle"]]))
    field = data.draw(st.sampled_from(sorted(holder)))
    value = data.draw(SCALARS | st.lists(st.text(max_size=5), max_size=2))
    assume(json.dumps(value) != json.dumps(holder[field]))
    assume(not _is_same_number(value, holder[field]))
    holder[field] = value

    assert event_key(changed) != event_key(payload)


@given(st.data())
def test_the_identity_differs_when_a_key_comes_or_goes(data: st.DataObject) -> None:
    payload = data.draw(st.sampled_from(VALID))
    name = data.draw(st.sampled_from(sorted(payload)))
    without = {key: value for key, value in payload.items() if key != name}
    more = payload | {data.draw(st.text("xyz", min_size=1)): data.draw(SCALARS)}

    assert len({event_key(payload), event_key(without), event_key(more)}) == 3


def test_the_order_of_a_list_is_part_of_the_identity() -> None:
    payload = json.loads(EXAMPLE.raw)
    turned = deepcopy(payload)
    turned["bundle"]["pointers"].reverse()

    assert event_key(turned) != event_key(payload)


def test_a_number_has_one_identity_however_it_is_written() -> None:
    keys = {event_key(parse_payload(b'{"bytes": %s}' % number)) for number in (b"8421", b"8421.0", b"8.421e3")}

    assert len(keys) == 1


def test_the_identity_of_the_spec_example_never_changes() -> None:
    """References in every archive are named by it."""
    assert event_key(parse_payload(EXAMPLE.raw)) == "89b4e97f3cca25bb124a77332dfc8440371d2d079bd6bfa6937a194d0ab425f2"


def test_all_valid_fixtures_are_different_events() -> None:
    assert len({event_key(payload) for payload in VALID}) == len(VALID)


@pytest.mark.parametrize("payload", VALID, ids=event_key)
def test_a_bundle_is_spooled_under_its_events_identity_and_formats_ending(
    payload: dict[str, Any],
) -> None:
    ending = {"markdown": "md", "json": "json"}[payload["bundle"]["format"]]

    assert spool_name(PreparedEvent.from_checked(payload)) == f"{event_key(payload)}.{ending}"


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_no_field_of_an_event_chooses_a_path_in_the_spool(text: str) -> None:
    payload = json.loads(EXAMPLE.raw) | dict.fromkeys(("repo", "root", "agent", "cadence", "prepare_command"), text)

    name = spool_name(PreparedEvent.from_checked(payload))

    assert len(name) == 67
    assert set(name.removesuffix(".md")) <= set("0123456789abcdef")


def test_a_typed_event_holds_every_field_as_the_payload_has_it() -> None:
    payload = json.loads(EXAMPLE.raw)

    event = PreparedEvent.from_checked(payload)

    for name in ("repo", "root", "agent", "cadence", "prepare_command"):
        assert getattr(event, name) == payload[name]
    for name, value in payload["bundle"].items():
        assert getattr(event.bundle, name) == (tuple(value) if isinstance(value, list) else value)
    assert event.session_close == tuple(payload["session_close"])
    assert event.occurred_at.isoformat() == "2026-06-17T09:00:12+00:00"
    assert event.key == event_key(payload)
    assert event.payload is payload


def _is_same_number(one: object, other: object) -> bool:
    """1, 1.0 and 1e0 are one JSON number; True is none."""
    numbers = (int, float)
    return (
        isinstance(one, numbers)
        and isinstance(other, numbers)
        and bool not in {type(one), type(other)}
        and float(one) == float(other)
    )
