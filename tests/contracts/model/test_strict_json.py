"""Two readers see one event: what every parser reads alike passes, all else is refused with a reason."""

from __future__ import annotations

import json
from contextlib import suppress
from time import process_time
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from contracts.model.strict_json import EXPECTED, LARGEST_EXACT_INTEGER, Limits
from contracts.model.violation import pointer
from contracts.toolkit import MalformedPayload, parse_payload

PLAIN = Limits()
DEEP = Limits(payload_bytes=1 << 20, depth=64)

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-LARGEST_EXACT_INTEGER, LARGEST_EXACT_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=20
)

REFUSED = {
    "boundary/size": b'"' + b"a" * 65535 + b'"',
    "payload/encoding": b'{"repo": "caf\xe9"}',
    "payload/bom": b"\xef\xbb\xbf{}",
    "payload/syntax": b'{"a": 1,}',
    "payload/number": b'{"a": NaN}',
    "payload/depth": b"[" * 17 + b"]" * 17,
    "payload/duplicate-key": b'{"a": 1, "a": 1}',
    "payload/surrogate": b'{"a": "\\ud800"}',
}

SYNTAX = [
    b"",
    b" ",
    b"{",
    b"nul",
    b"{} {}",
    b"{'a': 1}",
    b"{a: 1}",
    b'{"a" 1}',
    b"[1 2]",
    b"[1,]",
    b"01",
    b"+1",
    b".5",
    b"1.",
    b"0x10",
    b'"a\nb"',
    b'"a\tb"',
    b'"\\x41"',
    b'"\\u12g4"',
    b"// note\n{}",
    b"\xc2\xa0{}",
    b"\x00",
    b'"unclosed',
]

NUMBERS = {
    b"9007199254740991": 9007199254740991,
    b"-9007199254740991": -9007199254740991,
    b"1e308": 1e308,
    b"-0.0": -0.0,
    b"1e-400": 0.0,
    b"8421.0": 8421.0,
}

NOT_NUMBERS = [
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"1e309",
    b"-1e400",
    b"9007199254740992",
    b"-9007199254740992",
    b"9" * 5000,
    b"1" + b"0" * 400,
]


def _rules(raw: bytes, limits: Limits = PLAIN) -> dict[str, str]:
    with pytest.raises(MalformedPayload) as refused:
        parse_payload(raw, limits)
    assert refused.value.malformations, "a refusal without a reason"
    return {item.rule: item.pointer for item in refused.value.malformations}


@given(VALUES, st.booleans(), st.sampled_from([None, 2]))
def test_what_json_writes_of_plain_values_comes_back_equal(value: Any, ascii_only: bool, indent: int | None) -> None:  # noqa: FBT001
    raw = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()

    assert parse_payload(raw, DEEP) == value


@given(VALUES, st.lists(st.integers(0, 3) | st.sampled_from(["a", "bundle", "a/b", "m~n", ""]), max_size=8))
def test_a_duplicate_key_is_refused_at_any_depth_with_its_pointer(value: Any, path: list[str | int]) -> None:
    inner = json.dumps(value)
    text = f'{{"twice": {inner}, "twice": {inner}}}'
    for step in reversed(path):
        text = f"[{'0, ' * step}{text}]" if isinstance(step, int) else f"{{{json.dumps(step)}: {text}}}"

    assert _rules(text.encode(), DEEP) == {"payload/duplicate-key": pointer(*path, "twice")}


@pytest.mark.parametrize("raw", [b'{"a": 1, "\\u0061": 2}', b'{"\xc3\xa9": 1, "\\u00e9": 1}'])
def test_a_key_written_in_two_ways_is_one_key(raw: bytes) -> None:
    assert list(_rules(raw)) == ["payload/duplicate-key"]


def test_keys_that_only_look_alike_are_two_keys() -> None:
    raw = '{"caf\u00e9": 1, "cafe\u0301": 2}'.encode()

    assert parse_payload(raw) == {"caf\u00e9": 1, "cafe\u0301": 2}


def test_each_rule_of_strict_json_is_named_by_the_bytes_that_break_it() -> None:
    assert set(REFUSED) == set(EXPECTED)
    for rule, raw in REFUSED.items():
        assert list(_rules(raw)) == [rule], raw[:40]


@pytest.mark.parametrize("raw", SYNTAX, ids=repr)
def test_what_is_not_json_is_refused_as_such(raw: bytes) -> None:
    assert list(_rules(raw)) == ["payload/syntax"]


@pytest.mark.parametrize(("raw", "value"), NUMBERS.items(), ids=repr)
def test_a_number_that_a_double_holds_is_read_as_it_is(raw: bytes, value: float) -> None:
    parsed = parse_payload(raw)

    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize("raw", NOT_NUMBERS, ids=lambda raw: repr(raw[:30]))
def test_a_number_that_readers_round_differently_is_refused_where_it_stands(raw: bytes) -> None:
    assert _rules(b'{"a": [1, ' + raw + b"]}") == {"payload/number": "/a/1"}


def test_every_reason_is_told_at_once_in_document_order() -> None:
    raw = b'{"a": NaN, "b": {"c": 1, "c": 2}, "d": ["\\ud800", 1e999]}'

    with pytest.raises(MalformedPayload) as refused:
        parse_payload(raw)

    found = [(item.rule, item.pointer) for item in refused.value.malformations]
    assert found == [
        ("payload/number", "/a"),
        ("payload/duplicate-key", "/b/c"),
        ("payload/surrogate", "/d/0"),
        ("payload/number", "/d/1"),
    ]
    assert str(refused.value).count("payload/") == 4


def test_a_byte_order_mark_does_not_hide_what_follows_it() -> None:
    assert set(_rules(b'\xef\xbb\xbf{"a": NaN}')) == {"payload/bom", "payload/number"}


@given(st.binary(max_size=200))
def test_random_bytes_are_read_or_refused_and_nothing_else(raw: bytes) -> None:
    try:
        parse_payload(raw)
    except MalformedPayload as refused:
        assert {item.rule for item in refused.malformations} <= set(EXPECTED)  # noqa: PT017
        assert refused.malformations  # noqa: PT017


@given(st.text('{}[]":,\\ue019.-NaN\ud800\x00 tfl', max_size=60))
def test_text_that_is_nearly_json_is_read_or_refused_and_nothing_else(text: str) -> None:
    raw = text.encode(errors="surrogatepass")
    try:
        value = parse_payload(raw)
    except MalformedPayload as refused:
        assert {item.rule for item in refused.malformations} <= set(EXPECTED)  # noqa: PT017
        assert refused.malformations  # noqa: PT017
    else:
        assert value == json.loads(text)


@given(st.integers(0, 20), st.integers(0, 20), TEXT)
def test_depth_counts_arrays_and_objects_and_no_bracket_in_a_string(lists: int, objects: int, text: str) -> None:
    raw = b"[" * lists + b'{"[": ' * objects + json.dumps("[{" + text).encode() + b"}" * objects + b"]" * lists
    if lists + objects <= 16:
        assert parse_payload(raw) is not None
    else:
        assert list(_rules(raw)) == ["payload/depth"]


@pytest.mark.parametrize("nest", [b"[", b'{"a":', b'[{"a":', b"[[[[[[[[["])
def test_a_payload_nested_to_its_last_byte_is_refused_without_recursion(nest: bytes) -> None:
    assert list(_rules(nest * (65536 // len(nest)))) == ["payload/depth"]


def test_no_payload_of_the_allowed_size_takes_more_than_a_moment() -> None:
    hostile = {
        "brackets in a string": b'"' + b"[" * 65000 + b'"',
        "backslashes": b'"' + b"\\\\" * 32000 + b'"',
        "unclosed strings": b'"\\' * 32000,
        "quotes": b'"' * 65000,
        "digits": b"9" * 65000,
        "one key again and again": b"{" + b'"a":1,' * 10000 + b'"a":1}',
        "surrogates": b"[" + b'"\\ud800",' * 6000 + b"0]",
        "NaN": b"[" + b"NaN," * 16000 + b"0]",
    }
    for name, raw in hostile.items():
        start = process_time()
        with suppress(MalformedPayload):
            parse_payload(raw)
        assert process_time() - start < 2, name  # a quadratic reader takes minutes


@given(TEXT, st.integers(1, 0x3FF))
def test_a_pair_of_surrogates_is_a_character_and_half_of_one_is_not(text: str, low: int) -> None:
    assume("\\" not in text)
    whole, half = f'"{{}}\\ud800\\u{0xDC00 + low:04x}"', f'"{{}}\\u{0xDC00 + low:04x}"'
    escaped = json.dumps(text)[1:-1]

    assert parse_payload(whole.format(escaped).encode()) == text + chr(0x10000 + low)
    assert list(_rules(half.format(escaped).encode())) == ["payload/surrogate"]


@pytest.mark.parametrize(
    "raw",
    [
        b'{"prepare_command": "x --password hunter2hunter2 \\ud800"}',
        b'{"--password hunter2hunter2": 1, "--password hunter2hunter2": 2}',
        b'{"--password hunter2hunter2 \\ud800": 1}',
        b'{"--password hunter2hunter2": NaN}',
    ],
    ids=["in a broken string", "in a key that comes twice", "in a broken key", "in a key on the way"],
)
def test_a_refusal_never_repeats_what_may_be_a_secret(raw: bytes) -> None:
    with pytest.raises(MalformedPayload) as refused:
        parse_payload(raw)

    assert "hunter2" not in str(refused.value)


def test_a_refusal_holds_no_control_character_of_a_key() -> None:
    with pytest.raises(MalformedPayload) as refused:
        parse_payload(b'{"\\u001b[31m\\n": NaN}')

    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        ('{"a": 1}'.encode("utf-16"), "UTF-16 (little-endian), by its byte order mark (FF FE)"),
        ('{"a": 1}'.encode("utf-16-be"), "UTF-16 (big-endian), without a byte order mark"),
        ("[1]".encode("utf-16-le"), "UTF-16 (little-endian), without a byte order mark"),
        ('{"a": 1}'.encode("utf-32"), "UTF-32 (little-endian), by its byte order mark (FF FE 00 00)"),
        ("[1]".encode("utf-32-be"), "UTF-32 (big-endian), without a byte order mark"),
        (("[" + "1," * 100_000 + "1]").encode("utf-16"), "UTF-16 (little-endian), by its byte order mark (FF FE)"),
    ],
)
def test_a_wide_encoding_is_named(raw: bytes, found: str) -> None:
    with pytest.raises(MalformedPayload) as caught:
        parse_payload(raw)

    assert [(each.rule, each.found) for each in caught.value.malformations] == [("payload/encoding", found)]


@pytest.mark.parametrize("raw", [b"\0\0\0\0", b"\0a", b"a\0", b"\0", b"\0\0", b"{}\0\0"])
def test_zeros_alone_are_no_wide_encoding(raw: bytes) -> None:
    with pytest.raises(MalformedPayload) as caught:
        parse_payload(raw)

    assert [each.rule for each in caught.value.malformations] == ["payload/syntax"]
