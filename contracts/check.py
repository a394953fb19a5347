"""Check one payload: bytes in, every violation out, in document order.

Strict JSON first, since nothing can be said of what two readers read differently; then the schema and
the declared rules together, so that one run names everything there is to mend.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

from contracts.model.did_you_mean import nearest
from contracts.model.json_pointer import walk
from contracts.model.rfc3339 import is_rfc3339
from contracts.model.strict_json import USUAL_LIMITS, MalformedPayload, parse_payload
from contracts.model.violation import Rule, Severity, Violation, key_token, pointer, show, withhold
from contracts.rules.compiled import Group, group
from contracts.rules.registry import Contract, load_contract, subjects
from contracts.rules.schema import ROOT, phrase, rule_of

Profile = Literal["emitter", "consumer"]
"""Who asks: an emitter may send only what the contract names; a consumer reads on past what it does not know."""


class Result(NamedTuple):
    """What a check found: `violations` in document order.

    `contract` is `subject@version`, or None where none could be told. `is_json` says whether `payload` was
    strict JSON; where not, `payload` is None. `fixture` is the file that says what was expected, where there is
    one, with `fixture_line` where all of it stands on one line (1 is the first), and `reproduce` a command that
    makes this check alone.
    """

    source: str
    contract: str | None
    payload: Any
    violations: tuple[Violation, ...]
    is_json: bool = True
    fixture: Path | None = None
    reproduce: str | None = None
    fixture_line: int | None = None

    def passes(self, fail_on: Severity = Severity.ERROR) -> bool:
        """Say whether nothing as grave as `fail_on` was found; with `warning`, everything counts."""
        if fail_on is Severity.WARNING:
            return not self.violations
        return all(violation.severity is not Severity.ERROR for violation in self.violations)


def check_payload(
    raw: bytes, *, source: str = "-", contract: Contract | None = None, profile: Profile = "emitter"
) -> Result:
    """Check one payload against a contract, by default the one that the payload names.

    `source` is what reports call the payload. A payload that is not strict JSON is a violation like any other.
    """
    try:
        payload = parse_payload(raw, contract.limits if contract else USUAL_LIMITS)
    except MalformedPayload as error:
        rules = (contract or load_contract(next(iter(subjects())))).rules
        found = tuple(_violation(rules[each.rule], each.pointer, each.found) for each in error.malformations)
        return Result(source, contract.name if contract else None, None, found, is_json=False)
    chosen = contract or choose_contract(payload)
    if chosen is None:
        return Result(source, None, payload, (_no_subject(payload),))
    name = chosen.name
    found = tuple(_violations(payload, chosen, name, profile))
    return Result(source, name, payload, found if len(found) < 2 else _in_document_order(payload, found))


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


def _violations(payload: object, contract: Contract, name: str, profile: Profile) -> Iterator[Violation]:
    validator = _validator(name, profile)
    if not validator.is_valid(payload):
        yield from _schema_violations(payload, validator, contract)
    for rules in _declared(name):
        if not rules.passes(payload):
            for rule, place, problem in rules.problems(payload):
                yield _violation(rule, place, problem.found, problem.nearest)


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


def _schema_violations(payload: object, validator: Any, contract: Contract) -> Iterator[Violation]:
    errors = list(validator.iter_errors(payload))
    mistyped = {pointer(*error.instance_path) for error in errors if error.kind.name == "type"}
    for error in errors:
        path, keyword = rule_of(error.schema_path)
        place = tuple(error.instance_path)
        if keyword == "required":
            name = error.kind.property
            rule = contract.rules[f"{path}.{name}/required" if path else f"{name}/required"]
            yield _violation(rule, pointer(*place, name), "nothing")
        elif keyword == "additionalProperties":
            rule = contract.rules[f"{path or ROOT}/{keyword}"]
            known = _known_names(contract.schema, path)
            for name in error.kind.unexpected:
                near = nearest(name, known)
                yield _violation(rule, pointer(*place, key_token(name)), f"the key {show(name)}", near and show(near))
        elif keyword == "type" or pointer(*place) not in mistyped:  # a wrong type explains the rest
            rule = contract.rules[f"{path or ROOT}/{keyword}"]
            value = error.instance
            shown = withhold(value) if _is_withheld(contract, place) else show(value)
            yield _violation(rule, pointer(*place), shown, _near(value, keyword, error.kind))


def _near(value: object, keyword: str, kind: Any) -> str | None:
    near = nearest(value, kind.options) if keyword == "enum" and isinstance(value, str) else None
    return near and show(near)


def _known_names(schema: Mapping[str, Any], path: str) -> list[str]:
    for name in filter(None, path.split(".")):
        schema = schema["properties"][name]
    return list(schema["properties"])


def _is_withheld(contract: Contract, place: tuple[str | int, ...]) -> bool:
    at = pointer(*("*" if isinstance(token, int) else token for token in place))
    return at in contract.withheld


def _in_document_order(payload: object, found: tuple[Violation, ...]) -> tuple[Violation, ...]:
    """Sort by where the document has the place; what is missing comes after the last entry of its parent."""
    places = [place for place, _ in walk(payload)]
    order = {place: index for index, place in enumerate(places)}

    def position(violation: Violation) -> tuple[int, int]:
        at = violation.pointer
        if at in order:
            return order[at], 0
        parent = at.rpartition("/")[0]
        inside = [order[place] for place in places if place == parent or place.startswith(parent + "/")]
        return max(inside, default=0), 1

    return tuple(sorted(found, key=position))
