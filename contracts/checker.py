"""Check one payload: JSON in, violations out, in document order.

Strict JSON is checked first, because two readers may disagree on the content of anything else. The schema and the
declared rules are checked together, so that one run reports everything there is to fix.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, partial
from math import inf
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, get_args

from contracts.errors import BadInput
from contracts.model.did_you_mean import nearest
from contracts.model.json_text import json_bytes
from contracts.model.rfc3339 import is_rfc3339
from contracts.model.strict_json import USUAL_LIMITS, MalformedPayload, parse_payload
from contracts.model.violation import Rule, Severity, Violation, key_token, pointer, show, split_pointer, withhold
from contracts.rules.compiled import Group, group
from contracts.rules.registry import Contract, load_contract, subjects
from contracts.rules.schema import ROOT, phrase, rule_of

Profile = Literal["emitter", "consumer"]
"""An emitter may send only keys that the contract names; a consumer ignores the others."""
_PROFILES: Final = get_args(Profile)

MOST_VIOLATIONS: Final = 100
"""How many violations of one payload are listed, so that its cost is bounded; the others are counted by rule."""


class Result(NamedTuple):
    """What a check found: `violations` in document order, at least one of each broken rule.

    Of more than `MOST_VIOLATIONS`, `omitted` counts those that are not listed, by rule. `contract` is
    `subject@version`, or None where the payload names no known one. `payload` is None where it is not strict JSON;
    `is_json` is False then. `fixture` is the file that the payload came from, if any, with `fixture_line` (1 is the
    first) where the payload is one line of it. `reproduce` is a command that makes this check alone.
    """

    source: str
    contract: str | None
    payload: Any
    violations: tuple[Violation, ...]
    is_json: bool = True
    fixture: Path | None = None
    reproduce: str | None = None
    fixture_line: int | None = None
    omitted: Mapping[str, int] = {}

    def passes(self, fail_on: Severity = Severity.ERROR) -> bool:
        """Return whether no violation is as severe as `fail_on`; with `warning`, every violation fails."""
        if fail_on is Severity.WARNING:
            return not self.violations
        return all(violation.severity is not Severity.ERROR for violation in self.violations)


def check(
    payload: bytes | str | Mapping[str, Any],
    *,
    contract: Contract | str | None = None,
    profile: Profile = "emitter",
    source: str = "-",
) -> Result:
    """Check one payload against a contract, and report every violation.

    JSON text as bytes or str is checked as it stands; a mapping as the JSON that `json.dumps` writes of it. All three
    get the same verdict, and a payload that is not strict JSON is a violation like any other. `contract` is a contract
    or its name (`SUBJECT` or `SUBJECT@VERSION`), by default the one that the payload names. `source` is what reports
    call the payload.

    Raises:
        TypeError: `payload` is of another type, or holds what JSON cannot express.
        BadInput: there is no contract of that name, or no such profile.
    """
    raw = payload if type(payload) is bytes else _json(payload)
    if isinstance(contract, str):
        contract = load_contract(contract)
    if profile not in _PROFILES:
        raise BadInput(f"no profile {profile!r}; expected {phrase(list(_PROFILES))}")
    try:
        value = parse_payload(raw, contract.limits if contract else USUAL_LIMITS)
    except MalformedPayload as error:
        rules = (contract or load_contract(next(iter(subjects())))).rules
        listed, omitted = _listed(
            (rules[each.rule], partial(_violation, rules[each.rule], each.pointer, each.found))
            for each in error.malformations
        )
        name = contract.name if contract else None
        return Result(source, name, None, tuple(listed), is_json=False, omitted=omitted)
    chosen = contract or choose_contract(value)
    if chosen is None:
        return Result(source, None, value, (_no_subject(value),))
    name = chosen.name
    found = list(_violations(value, chosen, name, profile))
    if not found:
        return Result(source, name, value, ())
    listed, omitted = _listed(found, value)
    return Result(source, name, value, tuple(listed), omitted=omitted)


def _json(payload: object) -> bytes:
    if isinstance(payload, str):
        return payload.encode(errors="surrogatepass")  # which is no UTF-8, and is reported as such
    if isinstance(payload, bytes | bytearray | memoryview):
        return bytes(payload)
    if isinstance(payload, Mapping):
        return json_bytes(payload)
    raise TypeError(f"a payload is bytes, a str or a mapping; found {type(payload).__name__}")


def choose_contract(payload: object) -> Contract | None:
    """Choose the contract that a payload asks for.

    Where `event` names no known subject, the one that shares most field names is meant, and breaking
    `event/const` is among what it finds; where nothing is shared, None. An unknown version is read as the newest.
    """
    if not isinstance(payload, dict):
        return None
    subject, version = payload.get("event"), payload.get("version")
    if not isinstance(subject, str) or subject not in subjects():
        shared, subject = max(
            (len(payload.keys() & load_contract(name).schema["properties"]), name) for name in subjects()
        )
        if not shared:
            return None
    known = isinstance(version, str) and version in subjects()[subject]
    return load_contract(f"{subject}@{version}" if known else subject)


def _no_subject(payload: object) -> Violation:
    names = list(subjects())
    expected = f"an event of a known contract: {phrase(list(names))}"
    if not isinstance(payload, dict):
        return Violation(f"{ROOT}/type", Severity.ERROR, "", show(payload), "an object; " + expected)
    if "event" not in payload:
        return Violation("event/required", Severity.ERROR, "/event", "nothing", expected)
    event = payload["event"]
    near = nearest(event, names) if isinstance(event, str) else None
    return Violation("event/const", Severity.ERROR, "/event", show(event), expected, near and show(near))


_Found = tuple[Rule, Callable[[], Violation]]
"""A broken rule, and how to describe what broke it: costly enough that it is done for what is listed only."""


def _violations(payload: object, contract: Contract, name: str, profile: Profile) -> Iterator[_Found]:
    validator = _validator(name, profile)
    if not validator.is_valid(payload):
        yield from _schema_violations(payload, validator, contract)
    for rules in _declared(name):
        if not rules.passes(payload):
            for rule, place, problem in rules.problems(payload):
                yield rule, partial(_violation, rule, place, problem.found, problem.nearest)


def _listed(found: Iterable[_Found], payload: object = None) -> tuple[list[Violation], Mapping[str, int]]:
    """Describe the first violations of each rule, `MOST_VIOLATIONS` in all; count the others by rule."""
    counts: Counter[str] = Counter()
    listed = []
    for rule, describe in found:
        counts[rule.id] += 1
        if counts[rule.id] <= MOST_VIOLATIONS:
            listed.append(describe())
    if len(listed) > 1 and payload is not None:
        listed.sort(key=_position_in(payload))
    if len(listed) > MOST_VIOLATIONS:
        of_each_rule = {each.rule: number for number, each in reversed(list(enumerate(listed)))}.values()
        others = [number for number in range(len(listed)) if number not in set(of_each_rule)]
        chosen = {*of_each_rule, *others[: max(0, MOST_VIOLATIONS - len(of_each_rule))]}
        listed = [each for number, each in enumerate(listed) if number in chosen]
    if len(listed) == counts.total():
        return listed, {}
    return listed, dict(counts - Counter(each.rule for each in listed))


def _violation(rule: Rule, place: str, found: str, near: str | None = None) -> Violation:
    return Violation(rule.id, rule.severity, place, found, rule.expected, near, rule.spec, rule.spec_line)


@cache
def _declared(name: str) -> list[Group]:
    return group(load_contract(name))


@cache
def _validator(name: str, profile: Profile) -> Any:
    import jsonschema_rs  # noqa: PLC0415 - 38 ms that `contracts list` does not need

    contract = load_contract(name)
    schema = _without(contract.schema, contract.ignored_by.get(profile, frozenset()))
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True, formats={"date-time": is_rfc3339})


def _without(schema: Any, keywords: frozenset[str]) -> Any:
    if isinstance(schema, list):
        return [_without(each, keywords) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {name: _without(value, keywords) for name, value in schema.items() if name not in keywords}


def _schema_violations(payload: object, validator: Any, contract: Contract) -> Iterator[_Found]:
    errors = list(validator.iter_errors(payload))
    mistyped = {tuple(error.instance_path) for error in errors if error.kind.name == "type"}
    for error in errors:
        path, keyword = rule_of(error.schema_path)
        place = tuple(error.instance_path)
        if keyword == "required":
            name = error.kind.property
            rule = contract.rules[f"{path}.{name}/required" if path else f"{name}/required"]
            yield rule, partial(_violation, rule, pointer(*place, name), "nothing")
        elif keyword == "additionalProperties":
            rule = contract.rules[f"{path or ROOT}/{keyword}"]
            known = _known_names(contract.schema, path)
            for name in error.kind.unexpected:
                yield rule, partial(_unexpected_key, rule, place, name, known)
        elif keyword == "type" or place not in mistyped:  # a wrong type explains the rest
            rule = contract.rules[f"{path or ROOT}/{keyword}"]
            yield rule, partial(_wrong_value, rule, place, error, is_withheld=_is_withheld(contract, place))


def _unexpected_key(rule: Rule, place: tuple[str | int, ...], name: str, known: Iterable[str]) -> Violation:
    near = nearest(name, known)
    return _violation(rule, pointer(*place, key_token(name)), f"the key {show(name)}", near and show(near))


def _wrong_value(rule: Rule, place: tuple[str | int, ...], error: Any, *, is_withheld: bool) -> Violation:
    value, options = error.instance, getattr(error.kind, "options", ())
    near = nearest(value, options) if error.kind.name == "enum" and isinstance(value, str) else None
    if error.kind.name == "maxLength":
        found = f"a string of {len(value):,} characters"
    else:
        found = withhold(value) if is_withheld else show(value)
    return _violation(rule, pointer(*place), found, near and show(near))


def _known_names(schema: Mapping[str, Any], path: str) -> list[str]:
    for name in filter(None, path.split(".")):
        schema = schema["properties"][name]
    return list(schema["properties"])


def _is_withheld(contract: Contract, place: tuple[str | int, ...]) -> bool:
    at = pointer(*("*" if isinstance(token, int) else token for token in place))
    return at in contract.withheld


def _position_in(payload: object) -> Callable[[Violation], tuple[float, ...]]:
    """Return the sort key for document order; what is missing comes after the last entry of its parent."""
    indexes: dict[int, dict[str, int]] = {}

    def position(violation: Violation) -> tuple[float, ...]:
        value, steps = payload, []
        for token in split_pointer(violation.pointer):
            if isinstance(value, dict) and token in value:
                if id(value) not in indexes:
                    indexes[id(value)] = {name: index for index, name in enumerate(value)}
                steps.append(indexes[id(value)][token])
                value = value[token]
            elif isinstance(value, list) and token.isascii() and token.isdigit() and int(token) < len(value):
                steps.append(int(token))
                value = value[int(token)]
            else:  # missing, or a key that is not shown
                return (*steps, inf)
        return tuple(steps)

    return position
