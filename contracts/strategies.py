"""Hypothesis strategies for a contract: payloads that break nothing, and payloads that break exactly one rule.

Made from the schema and the declared rules, whatever the contract; the extra `generate` installs Hypothesis. The
check has the last word on every payload, so that a generator and the contract cannot drift apart.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from functools import reduce
from random import Random
from typing import Any, Final, TypeVar

from hypothesis import HealthCheck, Phase, Verbosity, assume, find, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky, NoSuchExample

from contracts.agreement import agree
from contracts.check import check_payload
from contracts.mutations.mutants import Mutant, one_mutant
from contracts.patterns import sample
from contracts.registry import Contract
from contracts.strict_json import LARGEST_EXACT_INTEGER

T = TypeVar("T")
Payload = dict[str, Any]

_BATCH: Final = 25
_SETTINGS: Final = settings(
    max_examples=_BATCH,
    deadline=None,
    database=None,
    derandomize=False,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    verbosity=Verbosity.quiet,
)
_FIRST_INSTANT: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - the offset is written behind it
_LEAP_SECONDS: Final = ("1990-12-31T23:59:60Z", "2016-12-31T23:59:60Z", "2016-12-31T23:59:60.5Z")
_WORDS: Final = r"([a-z][a-z0-9-]{0,7}( [a-z][a-z0-9-]{0,7}){0,5})?"
_PATHS: Final = r"(/|(/[a-z .'é漢_-]{0,9}[a-z0-9]){1,4}|[A-Z]:(\\[A-Za-z .é_-]{0,9}[a-z0-9]){1,4})"
# Hypothesis draws integers beyond +-100 also from constants in whatever modules are loaded; from these it cannot,
# so that a seed means the same in a checkout and in an installed wheel.
_NUMBERS: Final = st.tuples(*[st.integers(0, 99)] * 4).map(lambda digits: reduce(lambda n, d: 100 * n + d, digits))


def payloads(contract: Contract) -> st.SearchStrategy[Payload]:
    """Generate payloads that break no rule of the contract, warnings included."""

    def agreed(payload: Payload) -> Payload:
        agree(payload, contract)
        return payload

    def is_valid(payload: Payload) -> bool:
        return not check_payload(payload_bytes(payload), contract=contract).violations

    return _from_schema(contract, contract.schema, "").map(agreed).filter(is_valid)


def broken_payloads(contract: Contract) -> st.SearchStrategy[tuple[bytes, str]]:
    """Generate (payload as bytes, rule): it breaks that rule and no other.

    A rule that cannot be broken alone never comes up; `contracts fixtures mutate` names those.
    """
    return (
        broken_mutants(contract)
        .filter(lambda each: is_alone(contract, each[1]))
        .map(lambda each: (each[1].raw, each[1].rule))
    )


def broken_mutants(contract: Contract) -> st.SearchStrategy[tuple[Payload, Mutant]]:
    """Generate (valid payload, a mutant of it), whatever the contract says of the mutant."""

    @st.composite
    def one(draw: st.DrawFn) -> tuple[Payload, Mutant]:
        rule = draw(st.sampled_from(list(contract.rules)))
        payload = draw(payloads(contract))
        mutant = one_mutant(contract, payload, rule=rule, number=draw(_NUMBERS))
        assume(mutant is not None)
        assert mutant is not None
        return payload, mutant

    return one()


def is_alone(contract: Contract, mutant: Mutant) -> bool:
    """Say whether a mutant breaks its rule and no other."""
    return broken_rules(contract, mutant) == {mutant.rule}


def broken_rules(contract: Contract, mutant: Mutant) -> set[str]:
    """Return the rules that a mutant breaks."""
    return {violation.rule for violation in check_payload(mutant.raw, contract=contract).violations}


def payload_bytes(payload: Payload) -> bytes:
    """Write a payload on one line, as an emitter does."""
    return json.dumps(payload, ensure_ascii=False).encode()


def generate(strategy: st.SearchStrategy[T], *, seed_number: int) -> Iterator[T]:
    """Yield values for ever, the same ones for the same seed and the same versions of Hypothesis and this package."""
    seeds = Random(seed_number)  # noqa: S311 - repeatable on purpose
    while True:
        yield from _batch(strategy, seeds.getrandbits(64))


def _batch(strategy: st.SearchStrategy[T], seed_number: int) -> list[T]:
    found: list[T] = []

    @seed(seed_number)
    @_SETTINGS
    @given(strategy)
    def take(value: T) -> None:
        found.append(value)

    take()
    return found


def counterexample(
    strategy: st.SearchStrategy[T], holds: Callable[[T], bool], *, seed_number: int, tries: int = 1000
) -> T | None:
    """Return the smallest value found for which `holds` is false, or None where there was none in so many tries.

    It is tried again after shrinking, and a larger one is returned where the smallest is none: a shrinker that
    takes away the very thing that was wrong is known from others (schemathesis #4332).
    """
    failing: list[T] = []

    def fails(value: T) -> bool:
        if holds(value):
            return False
        failing.append(value)
        return True

    how = settings(_SETTINGS, max_examples=tries, phases=[Phase.generate, Phase.shrink])
    random = Random(seed_number)  # noqa: S311 - repeatable on purpose
    with suppress(NoSuchExample, Flaky):  # flaky: the smallest one was none when it was tried again
        failing.append(find(strategy, fails, settings=how, random=random))
    return next((value for value in reversed(failing) if not holds(value)), None)


def _from_schema(contract: Contract, schema: Mapping[str, Any], at: str) -> st.SearchStrategy[Any]:
    rules = [params for params in contract.declared if params["at"] == at]
    if "const" in schema or "enum" in schema:
        return st.sampled_from(schema.get("enum", [schema.get("const")]))
    if schema["type"] == "object":
        fields = {name: _from_schema(contract, child, f"{at}/{name}") for name, child in schema["properties"].items()}
        optional = {name: field for name, field in fields.items() if name not in schema.get("required", ())}
        needed = {name: field for name, field in fields.items() if name not in optional}
        return st.fixed_dictionaries(needed, optional=optional)
    if schema["type"] == "array":
        items = _from_schema(contract, schema["items"], f"{at}/*")
        return st.lists(items, max_size=4, unique_by=repr if schema.get("uniqueItems") else None)
    if schema["type"] == "boolean":
        return st.booleans()
    if schema["type"] == "integer":
        least = max(
            [schema.get("minimum", -LARGEST_EXACT_INTEGER), *(each["minimum"] for each in rules if "minimum" in each)]
        )
        most = schema.get("maximum", LARGEST_EXACT_INTEGER)
        return _NUMBERS.map(lambda number: least + number % (most - least + 1)) | st.sampled_from([least, most])
    return _text(schema, rules)


def _text(schema: Mapping[str, Any], rules: list[Mapping[str, Any]]) -> st.SearchStrategy[str]:
    checks = {params["check"]: params for params in rules}
    if "known" in checks:
        return st.sampled_from(checks["known"]["values"])
    if schema.get("format") == "date-time":
        return _times(utc_only="utc" in checks)
    if "pattern" in schema:
        return _matching(schema["pattern"])
    if "absolute-path" in checks:
        return _matching(_PATHS)
    if "one-command" in checks:
        return _commands([params["option"] for params in rules if params["check"] == "option"])
    return _matching(_WORDS)


def _matching(pattern: str) -> st.SearchStrategy[str]:
    return _NUMBERS.map(lambda number: sample(pattern, number))


def _times(*, utc_only: bool) -> st.SearchStrategy[str]:
    instants = _NUMBERS.map(lambda number: (_FIRST_INSTANT + timedelta(seconds=47 * number)).isoformat())
    fractions = st.sampled_from(["", ".5", ".250", ".123456", ".123456789"])
    offsets = st.sampled_from(["Z"] if utc_only else ["Z", "+02:00", "-08:00", "+05:45"])
    return st.tuples(instants, fractions, offsets).map("".join) | st.sampled_from(_LEAP_SECONDS)


def _commands(options: list[str]) -> st.SearchStrategy[str]:
    """Generate plain words; `agree` puts those there that the payload's other fields ask for."""
    given_as = [st.sampled_from([(), (option, "x"), (f"{option}=x",)]) for option in options]
    return st.tuples(_matching(_WORDS).map(str.split), *given_as).map(
        lambda parts: " ".join(word for part in parts for word in part)
    )
