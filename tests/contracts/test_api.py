"""The public API: three forms of a payload get one verdict, errors carry what was found, old names warn."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import archiver
import contracts
from contracts import BadInput, InvalidEvent, KitError, PreparedEvent, check, load_contract, payloads
from contracts.fixtures.corpus import cases
from tests.support.examples import ROOT, run_examples
from tests.support.payloads import ARCHIVED, PREPARED, SPEC_EXAMPLE, event

KEYS = st.text(max_size=6) | st.sampled_from(sorted(event()))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=8)
    | st.text(st.characters(categories=["Cs"]), max_size=2)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)
LISTS_AND_TUPLES = st.lists(VALUES, max_size=3).flatmap(lambda found: st.sampled_from([found, tuple(found)]))
NAMES = KEYS | st.integers() | st.booleans() | st.none() | st.floats()
CHANGES = st.dictionaries(NAMES, VALUES | LISTS_AND_TUPLES, max_size=4)


def nested(levels: int) -> dict[str, Any]:
    top = inner = event()
    for _ in range(levels):
        inner["deep"] = {}
        inner = inner["deep"]
    return top


@given(CHANGES)
@example({"agent": "\ud800"})
@example({"\udfff": 1})
@example({"agent": "\ud83d\ude00"})
@example({"bundle": {"bytes": float("nan")}})
@example({"bundle": float("-inf")})
@example({"version": 10**40})
@example({1: "a", "1": "b"})
@example({"session_close": ("a", "b")})
def test_a_mapping_a_text_and_bytes_get_the_same_verdict(changes: dict[Any, Any]) -> None:
    payload = event() | changes
    text = json.dumps(payload)

    found = check(payload)

    assert str(check(text)) == str(found)  # as texts: NaN is not equal to itself
    assert str(check(text.encode())) == str(found)
    assert str(check(bytearray(text.encode()))) == str(check(memoryview(text.encode()))) == str(found)
    assert str(check(MappingProxyType(payload))) == str(found)


@pytest.mark.parametrize("profile", ["emitter", "consumer"])
@pytest.mark.parametrize("case", list(cases(PREPARED, "valid")), ids=lambda case: case.name)
def test_a_golden_payload_gets_one_verdict_in_every_form(case: Any, profile: Any) -> None:
    payload = json.loads(case.raw)

    assert check(payload, profile=profile) == check(json.dumps(payload), profile=profile)
    assert check(case.raw.decode(), profile=profile) == check(case.raw, profile=profile)


@pytest.mark.parametrize(
    ("payload", "text", "rule"),
    [
        (nested(20_000), None, "boundary/size"),
        (nested(5_000), '{"deep":' * 5_000 + "{}" + "}" * 5_000, "payload/depth"),
        (event(root=10**5_000), None, "payload/number"),
        ({}, "{}", "event/required"),
    ],
    ids=["twenty thousand levels", "five thousand levels", "five thousand digits", "nothing"],
)
def test_a_mapping_beyond_what_pythons_json_writes_is_checked_too(payload: Any, text: str | None, rule: str) -> None:
    assert [each.rule for each in check(payload).violations] == [rule]
    assert text is None or [each.rule for each in check(text).violations] == [rule]


def test_text_that_is_no_unicode_is_a_violation_like_any_other() -> None:
    (violation,) = check('{"event": "\ud800"}').violations

    assert violation.rule == "payload/encoding"
    assert [each.rule for each in check("\ufeff{}").violations] == ["payload/bom"]


ITSELF: dict[str, Any] = {"agent": []}
ITSELF["agent"].append(ITSELF)


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (None, "a payload is bytes, a str or a mapping; found NoneType"),
        ([], "a payload is bytes, a str or a mapping; found list"),
        (7, "found int"),
        (event(bundle={"pointers": {1}}), "found set at /bundle/pointers; expected a JSON value"),
        (event(agent=b"coach"), "found bytes at /agent; expected a JSON value"),
        ({"bundle": [{("a",): 1}]}, "found a key of type tuple at /bundle/0; expected a text"),
        (ITSELF, "found a value that contains itself at /agent/0"),
    ],
    ids=["None", "list", "number", "set", "bytes in it", "tuple as key", "itself"],
)
def test_what_is_no_payload_is_a_type_error_that_says_where(payload: Any, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        check(payload)
    with pytest.raises(TypeError, match=said):
        PreparedEvent.parse(payload)
    with pytest.raises(TypeError, match=said):
        contracts.assert_conforms(payload)


def test_a_contract_may_be_given_by_its_name() -> None:
    archived = next(iter(cases(ARCHIVED, "valid"))).raw

    assert check(SPEC_EXAMPLE, contract=PREPARED) == check(SPEC_EXAMPLE, contract=load_contract(PREPARED))
    assert not check(archived, contract=PREPARED).passes()
    with pytest.raises(BadInput, match="did you mean"):
        check(SPEC_EXAMPLE, contract="kaizen.schedule.prepare")


def test_a_profile_that_there_is_not_is_refused() -> None:
    with pytest.raises(BadInput, match="no profile 'consumr'; expected"):
        check(SPEC_EXAMPLE, profile="consumr")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "form",
    [json.dumps(SPEC_EXAMPLE).encode(), json.dumps(SPEC_EXAMPLE), SPEC_EXAMPLE],
    ids=lambda form: type(form).__name__,
)
def test_an_event_is_parsed_from_each_form(form: Any) -> None:
    parsed = PreparedEvent.parse(form)

    assert (parsed.agent, parsed.key) == (SPEC_EXAMPLE["agent"], contracts.event_key(SPEC_EXAMPLE))
    assert parsed == PreparedEvent.from_checked(SPEC_EXAMPLE)


@pytest.mark.parametrize(
    "broken",
    [{}, "{}", b"{}", b"", "not json", event(bundle={"bytes": "12"}), {"event": "kaizen.schedule.prepared"}],
    ids=repr,
)
def test_an_event_that_breaks_its_contract_is_refused_with_every_violation(broken: Any) -> None:
    with pytest.raises(InvalidEvent) as refused:
        PreparedEvent.parse(broken)

    assert refused.value.violations == check(broken, contract=PREPARED, profile="consumer").violations
    assert all(str(each) in str(refused.value) for each in refused.value.violations)
    assert isinstance(refused.value, KitError)
    assert isinstance(refused.value, ValueError)


def test_an_event_is_parsed_as_a_consumer_reads_it_unless_told_otherwise() -> None:
    later = event() | {"later": True}

    assert PreparedEvent.parse(later).payload["later"] is True
    with pytest.raises(InvalidEvent, match="additionalProperties"):
        PreparedEvent.parse(later, profile="emitter")


@given(payloads())
def test_payloads_draws_events_that_conform(payload: dict[str, Any]) -> None:
    assert check(payload, contract=PREPARED).violations == ()


def test_payloads_takes_a_contract_or_its_name() -> None:
    with pytest.raises(BadInput, match="did you mean"):
        payloads("kaizen.schedule.prepare")
    assert str(payloads(ARCHIVED)) == str(payloads(load_contract(ARCHIVED)))


@pytest.mark.parametrize("name", sorted(contracts.__all__))
def test_each_public_name_is_listed_and_can_be_imported(name: str) -> None:
    assert name in dir(contracts)
    assert getattr(contracts, name).__name__ == name
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"from contracts import {name}; print({name}.__name__)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{name}\n"


def test_check_is_the_function_whatever_was_imported_before() -> None:
    for module in ("contracts.checker", "contracts.cli.check", "contracts.rules.checks"):
        importlib.import_module(module)

    assert contracts.check is check


@pytest.mark.parametrize("name", sorted(contracts._DEPRECATED))
def test_an_old_name_works_for_one_release_and_warns_where_it_is_used(name: str) -> None:
    program, namespace = compile(f"from contracts import {name}", "users_program.py", "exec"), dict[str, Any]()

    with pytest.warns(DeprecationWarning, match=f"contracts.{name} is deprecated; use contracts[.]") as warned:
        exec(program, namespace)

    assert {each.filename for each in warned} == {"users_program.py"}
    assert namespace[name] is not None
    assert name not in dir(contracts)


def test_the_old_way_to_an_event_warns_and_reports_what_is_missing() -> None:
    with (
        pytest.warns(DeprecationWarning, match=r"use PreparedEvent\.parse"),
        pytest.raises(InvalidEvent, match="/bundle"),
    ):
        PreparedEvent.from_payload({"event": "kaizen.schedule.prepared"})


def test_a_name_that_there_is_not_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no public name 'chek'"):
        contracts.chek  # noqa: B018


def test_the_examples_in_the_documentation_do_what_they_say() -> None:
    names = run_examples("docs/api.md", "contracts", payload=json.dumps(SPEC_EXAMPLE))

    assert names["event"].agent == SPEC_EXAMPLE["agent"]


def test_the_documentation_names_each_public_name() -> None:
    page = (ROOT / "docs" / "api.md").read_text("utf-8")

    for name in (*contracts.__all__, *contracts._DEPRECATED, *archiver.__all__):
        assert re.search(rf"\b{name}\b", page), f"docs/api.md does not name {name}"
