"""What a corpus must show, derived from the schema and the declared rules, and which fixture shows it.

A gap is a value, a form or a rule that no fixture shows: whoever breaks it in an emitter or in the contract would
not be noticed. Fixtures are judged by what the check finds in them, not by what they say of themselves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from contracts.check import check_payload
from contracts.commands import is_windows_path, option_values
from contracts.corpus import cases
from contracts.errors import NothingChecked
from contracts.places import select
from contracts.registry import Contract, subjects
from contracts.rules import CHECKS, Check, Context
from contracts.schema_rules import ROOT
from contracts.strict_json import EXPECTED
from contracts.violation import Severity

Shows = Callable[[Any, Context], bool]
"""Does this value, in this payload, show the form?"""


@dataclass(frozen=True, slots=True)
class Demand:
    """One thing that a corpus must show. `kind` groups demands; `fixture` shows it, None is a gap."""

    kind: str
    what: str
    fixture: str | None


@dataclass(frozen=True, slots=True)
class _Corpus:
    """The fixtures of one contract: payloads that break no error, and for each rule a fixture that breaks it."""

    accepted: Mapping[str, Any]
    broken: Mapping[str, str]

    def showing(self, at: str, shows: Callable[[Any], bool]) -> str | None:
        """Name the first fixture with a value at `at` that shows it."""
        return self.showing_form({"at": at}, lambda value, _context: shows(value))

    def showing_form(self, params: Mapping[str, Any], shows: Shows) -> str | None:
        """Name the first fixture with a value where the declared rule looks that shows it."""
        for name, payload in self.accepted.items():
            context = Context(payload, params)
            if any(shows(value, context) for _, value in select(payload, params["at"])):
                return name
        return None


def demands(contract: Contract) -> Iterator[Demand]:
    """List everything that the corpus of a contract must show, in the order of its schema and rules.

    Raises:
        NothingChecked: the contract has no fixtures.
    """
    corpus = _read(contract)
    yield from _of_schema(contract, contract.schema, corpus, "", "")
    for params in contract.declared:
        for form, shows in _FORMS.get(params["check"], _no_forms)(params):
            yield Demand("form", f"{params['id']}: {form}", corpus.showing_form(params, shows))
    for rule in contract.rules:
        yield Demand("rule broken", rule, corpus.broken.get(rule))
    yield from _passes(contract, corpus)


def _read(contract: Contract) -> _Corpus:
    accepted: dict[str, Any] = {}
    broken: dict[str, str] = {}
    for case in cases(contract.name):
        result = check_payload(case.raw, contract=contract)
        if result.is_json and result.passes(Severity.ERROR):
            accepted[case.name] = result.payload
        for violation in result.violations:
            broken.setdefault(violation.rule, case.name)
    if not accepted:
        raise NothingChecked(f"{contract.name} has no valid fixture\n  add one: see contracts/corpus.py for the layout")
    # What is no strict JSON is so for every contract, within its own limits: one set of hostile bytes serves all.
    for subject, versions in subjects().items():
        for version in versions:
            for case in cases(f"{subject}@{version}", "wire"):
                for violation in check_payload(case.raw, contract=contract).violations:
                    broken.setdefault(violation.rule, f"{subject}@{version} {case.name}")
    return _Corpus(accepted, broken)


def _of_schema(contract: Contract, schema: Mapping[str, Any], corpus: _Corpus, path: str, at: str) -> Iterator[Demand]:
    if path:
        yield Demand("field", f"{path} is there", corpus.showing(at, _is_there))
    for kind, what, shows in _values(schema, contract, at):
        yield Demand(kind, f"{path} {what}", corpus.showing(at, shows))
    for name, child in schema.get("properties", {}).items():
        here = f"{path}.{name}" if path else name
        if name not in schema.get("required", ()):
            yield Demand("field", f"{here} is left out", corpus.showing(at, _is_without(name)))
        yield from _of_schema(contract, child, corpus, here, f"{at}/{name}")
    if "items" in schema:
        yield from _of_schema(contract, schema["items"], corpus, f"{path}[]", f"{at}/*")


def _values(schema: Mapping[str, Any], contract: Contract, at: str) -> Iterator[tuple[str, str, Callable[[Any], bool]]]:
    for option in schema.get("enum", ()):
        yield "value", f"is {option!r}", _is(option)
    if schema["type"] == "boolean":
        yield "value", "is true", _is(True)
        yield "value", "is false", _is(False)
    if schema["type"] == "array":
        yield "length", "is empty", lambda value: len(value) == 0
        yield "length", "has one item", lambda value: len(value) == 1
        yield "length", "has many items", lambda value: len(value) > 1
    for keyword in ("minimum", "maximum"):
        if keyword in schema:
            yield "value", f"is the {keyword}", _is(schema[keyword])
    for what, pattern in _pattern_forms(schema.get("pattern", "")):
        yield "form", what, _matches(pattern)
    if schema.get("format") == "date-time":
        for what, pattern in _TIMES.items():
            if what != "with an offset" or not _refuses_offsets(contract, at):
                yield "form", what, _matches(pattern)


def _is_there(_value: Any) -> bool:
    return True


def _is(wanted: Any) -> Callable[[Any], bool]:
    return lambda value: bool(value == wanted)


def _is_without(name: str) -> Callable[[Any], bool]:
    return lambda value: name not in value


def _matches(pattern: str) -> Callable[[Any], bool]:
    return lambda value: re.search(pattern, value) is not None


_TIMES: Final = {
    "in whole seconds": r":[0-5]\d(?![\d.])(?:[Zz]|[+-])",
    "with a fraction": r":\d\d\.\d",
    "at a leap second": r":60(?:[Zz.]|[+-])",
    "in UTC": r"[Zz]$",
    "with an offset": r"[+-]\d\d:\d\d$",
}


def _refuses_offsets(contract: Contract, at: str) -> bool:
    return any(
        params["check"] == "utc" and params["at"] == at and contract.rules[params["id"]].severity is Severity.ERROR
        for params in contract.declared
    )


def _pattern_forms(pattern: str) -> Iterator[tuple[str, str]]:
    """Yield each choice that a pattern leaves (a group left out, an alternative), and the pattern so chosen."""
    for group in re.finditer(r"\((?:\?:)?([^()]*)\)([?*]?)", pattern):
        before, inside, quantifier, after = pattern[: group.start()], group[1], group[2], pattern[group.end() :]
        if quantifier:
            yield f"without {group[0]}", before + after
        for choice in inside.split("|"):
            if quantifier or "|" in inside:
                yield (
                    f"with {choice} of {group[0]}",
                    f"{before}({choice}){quantifier.replace('?', '').replace('*', '+')}{after}",
                )


def _passes(contract: Contract, corpus: _Corpus) -> Iterator[Demand]:
    """Yield, for each rule, a fixture to which it applies and that passes it."""
    anything = next(iter(corpus.accepted))
    declared = {params["id"]: params for params in contract.declared}
    for rule in contract.rules:
        passing: str | None = anything  # strict JSON applies to every payload
        if rule in declared:
            passing = corpus.showing_form(declared[rule], _passing(*CHECKS[declared[rule]["check"]]))
        elif rule not in EXPECTED:
            field = rule.rpartition("/")[0]
            at = "" if field == ROOT else "/" + field.replace("[]", "/*").replace(".", "/")
            passing = corpus.showing(at, _is_there)
        yield Demand("rule passed", rule, passing)


def _passing(kind: type | tuple[type, ...], check: Check) -> Shows:
    return lambda value, context: (
        isinstance(value, kind) and not isinstance(value, bool) and not any(check(value, context))
    )


def _no_forms(_params: Mapping[str, Any]) -> Iterator[tuple[str, Shows]]:
    yield from ()


def _of_path(_params: Mapping[str, Any]) -> Iterator[tuple[str, Shows]]:
    yield "a POSIX path", lambda value, _context: value.startswith("/")
    yield "a Windows path", lambda value, _context: is_windows_path(value)


def _of_command(params: Mapping[str, Any]) -> Iterator[tuple[str, Shows]]:
    if "paths_like" in params:
        yield "on POSIX, quoted", lambda value, context: not context.is_windows and ("'" in value or '"' in value)
        yield "on POSIX, plain", lambda value, context: not context.is_windows and value.replace('"', "'").find("'") < 0
        yield "on Windows, quoted", lambda value, context: context.is_windows and '"' in value
        yield "on Windows, plain", lambda value, context: context.is_windows and '"' not in value
    else:
        yield "quoted", lambda value, _context: "'" in value or '"' in value
        yield "plain", lambda value, _context: re.fullmatch(r"[\w. /:=@+-]+", value) is not None
    if params.get("placeholders"):
        yield "with a placeholder", lambda value, _context: re.search(r"<\S+>", value) is not None


def _of_option(params: Mapping[str, Any]) -> Iterator[tuple[str, Shows]]:
    option = params["option"]
    yield f"{option} VALUE", lambda value, context: option in context.split(value)
    yield f"{option}=VALUE", lambda value, context: any(w.startswith(f"{option}=") for w in context.split(value))
    if "default" in params:
        yield f"{option} left out", lambda value, context: not option_values(context.split(value), option)
        yield (
            f"{option} {params['default']} said aloud",
            lambda value, context: option_values(context.split(value), option) == [params["default"]],
        )


def _of_known(params: Mapping[str, Any]) -> Iterator[tuple[str, Shows]]:
    for known in params["values"]:
        yield f"{known!r}", _is_value(known)


def _is_value(wanted: str) -> Shows:
    return lambda value, _context: bool(value == wanted)


_FORMS: Final[Mapping[str, Callable[[Mapping[str, Any]], Iterator[tuple[str, Shows]]]]] = {
    "absolute-path": _of_path,
    "one-command": _of_command,
    "option": _of_option,
    "known": _of_known,
}
"""For each check that accepts several forms: the forms, so that a corpus shows every one."""
