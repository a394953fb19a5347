"""What is wrong is said in one line: what was found, what was expected, and never what must not be shown."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contracts import load_contract
from contracts.model.violation import SHOWN_CHARACTERS, pointer, printable, resolve, show
from tests.support.payloads import PREPARED, check, event, found

TEXT = st.text(st.characters(codec="utf-8"), max_size=30)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("weekly", "'weekly'"),
        ("", "an empty string"),
        ("a" * 81, f"'{'a' * 79}'…"),
        ("\x1b[31m", r"'\x1b[31m'"),
        (True, "true"),
        (None, "null"),
        (7, "the number 7"),
        (-0.5, "the number -0.5"),
        ([], "an array without entries"),
        ([1, 2], "an array of 2"),
        ({}, "an object without entries"),
        ({"a": 1}, "an object of 1"),
        ("token=hunter2hunter2", "a string of 20 characters that may hold a secret (not shown)"),
        ("https://u:p@host", "a string of 16 characters that may hold a secret (not shown)"),
    ],
    ids=repr,
)
def test_a_value_is_shown_with_its_kind_cut_and_without_secrets(value: object, shown: str) -> None:
    assert show(value) == shown


@given(st.lists(st.text(max_size=5).filter(lambda name: not name.isdigit()), max_size=4), st.integers())
def test_a_pointer_leads_back_to_its_value(path: list[str], value: int) -> None:
    document: Any = value
    for name in reversed(path):
        document = {name: document, "beside": [0]}

    assert resolve(document, pointer(*path)) == (True, value)
    assert resolve(document, pointer(*path, "nothing")) == (False, None)


@pytest.mark.parametrize(("at", "found"), [("/a/1", (True, 2)), ("/a/2", (False, None)), ("/a/-1", (False, None))])
def test_a_pointer_into_a_list_counts_from_nought(at: str, found: tuple[bool, Any]) -> None:
    assert resolve({"a": [1, 2]}, at) == found


@pytest.mark.parametrize(
    ("change", "at", "nearest"),
    [
        ({"cadence": "Weekly"}, "/cadence", "'weekly'"),
        ({"cadence": "weekly "}, "/cadence", "'weekly'"),
        ({"cadence": "dayly"}, "/cadence", "'daily'"),
        ({"cadence": "fortnightly"}, "/cadence", None),
        ({"cadences": "daily"}, "/cadences", "'cadence'"),
        ({"colour": "red"}, "/colour", None),
        ({"bundle": {"format": "Markdown"}}, "/bundle/format", "'markdown'"),
        ({"bundle": {"pointers": ["workplan"]}}, "/bundle/pointers/0", "'workplans'"),
        ({"bundle": {"has_memories": True}}, "/bundle/has_memories", "'has_memory'"),
        ({"bundle": {"bytes": 8421.0}}, "/bundle/bytes", "8421"),
        ({"root": "/home//worsch/kaizen-agentic/"}, "/root", "'/home/worsch/kaizen-agentic'"),
        ({"event": "Kaizen.Schedule.Prepared"}, "/event", None),
    ],
)
def test_the_nearest_valid_value_is_named_where_one_is_near(
    change: dict[str, Any], at: str, nearest: str | None
) -> None:
    violations = check(event(**change)).violations

    assert {violation.nearest for violation in violations if violation.pointer == at} == {nearest}


@given(st.text(st.characters(codec="utf-8"), min_size=81, max_size=300))
def test_what_is_found_is_cut(text: str) -> None:
    result = check(event(cadence=text, repo=text, root=text, agent=text))

    for violation in result.violations:
        assert text not in str(violation)
        assert len(violation.found) <= 10 * SHOWN_CHARACTERS + 3, "80 characters, each an escape of ten at most"


@given(
    st.text("abcdefghij", min_size=12, max_size=12), st.sampled_from(["{}", "x {}", "'{}", "a; {}", "$({})", "{} \n"])
)
@example("hunterhunter", "kaizen-agentic schedule prepare {}")
@example("hunterhunter", "kaizen-agentic schedule prepare coach --target {}")
@example("hunterhunter", "kaizen-agentic schedule prepare coach --target /home/worsch/kaizen-agentic --format {}")
def test_no_part_of_a_command_is_ever_shown(word: str, command: str) -> None:
    text = command.format(word)

    result = check(event(prepare_command=text, session_close=[text]))

    assert not result.passes()
    assert not any(word in str(violation) + str(violation.nearest) for violation in result.violations)


@pytest.mark.parametrize("name", ["cadence", "repo", "root", "occurred_at", "event", "version", "unknown"])
def test_no_part_of_what_may_be_a_secret_is_ever_shown(name: str) -> None:
    result = check(event(**{name: "token=hunter2hunter2"}))

    assert ("boundary/secret", f"/{name}") in found(result)
    assert not any("hunter2" in str(violation) + str(violation.nearest) for violation in result.violations)


@given(st.text("\x00\x1b\x7f\x85\u2028\u202e\n\rab", min_size=1), TEXT)
def test_a_violation_is_one_line_without_control_characters(name: str, text: str) -> None:
    payload = event(**{name: text, "cadence": name, "repo": text, "root": name, "agent": name})

    for violation in check(payload).violations:
        assert (str(violation) + str(violation.nearest)).isprintable(), violation


def test_a_key_that_may_be_a_secret_is_refused_but_not_shown() -> None:
    result = check(event(**{"token=hunter2hunter2": 1}))

    assert found(result) == [("payload/additionalProperties", "/…"), ("boundary/secret", "/…")]
    assert "hunter2" not in str(result.violations[0])


def test_a_violation_has_what_was_found_and_expected_and_the_specs_line() -> None:
    (violation,) = check(event(cadence="hourly")).violations

    assert str(violation) == ("/cadence: found 'hourly', expected one of 'daily', 'weekly', 'monthly' [cadence/enum]")
    assert violation.spec == "cadence string daily | weekly | monthly"
    lines = (load_contract(PREPARED).folder / "spec.txt").read_text("utf-8").splitlines()
    assert lines[violation.spec_line - 1] == violation.spec  # type: ignore[operator]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text", "plain text"),
        ("\x1b[2J\x1b]0;x\x07", r"\x1b[2J\x1b]0;x\x07"),
        ("\x9b31m\x85", r"\x9b31m\x85"),
        ("a\u202eb\u2066c\u200b\u2028\ufeff", r"a\u202eb\u2066c\u200b\u2028\ufeff"),
        ("\ud800", r"\ud800"),
        ("push --token hunter2-hunter2\x1b[0m", "push --token ***"),
        ("ghp" + "_" + "a1B2" * 9, "***"),
        ("https://worsch:hunter2@git.example/x", "https://***@git.example/x"),
    ],
    ids=repr,
)
def test_what_may_be_shown_has_no_secret_and_no_control_character(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize("profile", ["emitter", "consumer"])
@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"api_key": "4711abcd"}, "/api_key"),
        ({"nested": {"dbPassword": "hunter2"}}, "/nested/dbPassword"),
        ({"secrets": ["hunter2"]}, "/secrets/0"),
        ({"token=hunter2hunter2": 1}, "/…"),
        ({"nested": [{"ghp" + "_" + "a1B2" * 9: "x"}]}, "/nested/0/…"),
    ],
    ids=["named by its key", "named deeper", "in a list", "in a key", "in a key deeper"],
)
def test_a_secret_in_a_key_or_named_by_its_key_is_refused_for_everybody(
    changes: dict[str, Any], place: str, profile: Any
) -> None:
    result = check(event(**changes), profile=profile)

    assert ("boundary/secret", place) in found(result)
    assert not any(each in str(result.violations) for each in ("4711abcd", "hunter2", "a1B2a1B2"))


def test_a_named_value_that_is_no_secret_passes_for_a_consumer() -> None:
    innocent = {"token": "<token>", "password": "", "api_key": "${API_KEY}", "tokens": "4000", "token_file": "/run/x"}

    assert found(check(event(**innocent), profile="consumer")) == []
