"""The cheap first look for secrets is never less strict than what it stands before."""

from __future__ import annotations

import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.fixtures.corpus import cases, read_case
from contracts.model import secrets
from contracts.model.secret_finder import secrets_in
from contracts.model.secrets import is_suspicious
from contracts.rules.checks import CHECKS, WORTH_A_SWEEP, Context
from tests.contracts.model.test_secrets import ASSIGNED, DETECTABLE, INNOCENT, URLS
from tests.support.payloads import ARCHIVED, PREPARED

ODD_CASES = {"i": "\u0131", "s": "\u017f", "k": "\u212a", "K": "\u212a"}
PIECES = st.sampled_from([*DETECTABLE.values(), *ASSIGNED, *INNOCENT, *URLS, *ODD_CASES.values(), "a" * 20, "\x07"])
STRINGS = st.lists(PIECES | st.text(st.characters(codec="utf-8")), max_size=6)


def test_the_first_look_reads_letters_as_the_expressions_do() -> None:
    every_letter = "".join(map(chr, range(sys.maxunicode + 1)))
    for letter in "abcdefghijklmnopqrstuvwxyz":
        taken_for_it = re.findall(letter, every_letter, re.IGNORECASE)
        assert letter in taken_for_it
        for each in taken_for_it:
            assert secrets._folded(each) == letter, f"U+{ord(each):04X}"


@pytest.mark.parametrize("text", [*DETECTABLE.values(), *ASSIGNED], ids=repr)
def test_a_name_in_unusual_letters_passes_the_first_check_where_a_regex_matches(text: str) -> None:
    for odd in ("".join(ODD_CASES.get(letter, letter) for letter in text), text.upper(), text.title()):
        if _full_look(odd):
            assert is_suspicious(odd)


@given(STRINGS, st.integers(0, 300), st.integers(0, 300))
def test_the_cheap_first_look_never_says_no_to_what_the_detectors_find(
    pieces: list[str], start: int, length: int
) -> None:
    text = "".join(pieces)[start : start + length]

    assert is_suspicious(text) or not _full_look(text)


@given(STRINGS)
def test_a_look_at_joined_strings_misses_nothing_that_it_would_find_in_one(strings: list[str]) -> None:
    for name, sweep in WORTH_A_SWEEP.items():
        if any(map(sweep, strings)):
            assert sweep(" ".join(strings)), name
        _, check = CHECKS[name]
        for string in strings:
            assert sweep(string) or not any(check(string, Context({}, {}))), name


def test_no_string_of_the_corpus_that_a_detector_objects_to_is_passed_by() -> None:
    strings = {
        string
        for contract in (PREPARED, ARCHIVED)
        for case in cases(contract, "valid", "warnings", "invalid")
        for string in re.findall(r"[^\x00-\x1f]*", read_case(case.path).raw.decode("utf-8", "replace"))
    }
    found = {string for string in strings if _full_look(string)}

    assert found
    assert all(map(is_suspicious, found))


def _full_look(text: str) -> bool:
    """Everything that `secret_kind` does but for its cheap check."""
    return any(True for _ in secrets_in(text))
