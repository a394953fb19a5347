"""The rules of contract.toml, compiled: check whether a payload passes, and otherwise list the violations.

Most payloads pass, and most values of an event occurred in an earlier one. So a cheap pass/fail check runs first;
values that passed are cached.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from contracts.model.json_pointer import EVERY_STRING, select, strings, values
from contracts.model.violation import Rule
from contracts.rules.checks import CHECKS, POINTING, WORTH_A_SWEEP, Context, Problem, text_at
from contracts.rules.registry import Contract

Declared = tuple[Rule, Mapping[str, Any]]
"""A rule, and the parameters it is declared with."""

# What is remembered: enough for the commands of some thousand schedules, in a few MiB whatever is sent.
_MOST: Final = 8192
_LONGEST: Final = 256


class Group:
    """The declared rules that read the same values."""

    def __init__(self, at: str, declared: Sequence[Declared]) -> None:
        self._at, self._path = at, at.split("/")[1:]
        self._rules = [(rule, params, *CHECKS[params["check"]]) for rule, params in declared]

    def passes(self, payload: object) -> bool:
        """Return whether none of the rules is broken."""
        return self._pass(self._values(payload), payload)

    def problems(self, payload: object) -> Iterator[tuple[Rule, str, Problem]]:
        """Yield what is wrong and its place, by rule."""
        for rule, params, kind, check in self._rules:
            context = Context(payload, params)
            for place, value in select(payload, self._at):
                if isinstance(value, kind) and not isinstance(value, bool):
                    for problem in check(value, context):
                        yield rule, place, problem

    def _values(self, payload: object) -> Sequence[Any]:
        return strings(payload) if self._at == EVERY_STRING else values(payload, self._path)

    def _pass(self, chosen: Sequence[Any], payload: object) -> bool:
        for _, params, kind, check in self._rules:
            context = Context(payload, params)
            for value in chosen:
                if isinstance(value, kind) and not isinstance(value, bool):
                    for _ in check(value, context):
                        return False
        return True


class _Lately:
    """What was found right lately; a value that comes back stays, the others are forgotten after a while."""

    def __init__(self) -> None:
        self.now: set[Any] = set()
        self.before: set[Any] = set()

    def add(self, found: Iterable[Any]) -> None:
        if len(self.now) >= _MOST:
            self.now, self.before = set(), self.now
        self.now.update(found)


class _Remembering(Group):
    """Rules on a text and what else they read: what passed is remembered, together with those other texts."""

    def __init__(self, at: str, declared: Sequence[Declared]) -> None:
        super().__init__(at, declared)
        self._others = sorted({params[name] for _, params in declared for name in POINTING if name in params})
        self._passed = _Lately()

    def passes(self, payload: object) -> bool:
        """Return whether none of the rules is broken."""
        others = [text_at(payload, at) for at in self._others]
        for value in self._values(payload):
            seen = (value, *others) if isinstance(value, str) else ()
            if seen in self._passed.now:
                continue
            if seen not in self._passed.before and not self._pass((value,), payload):
                return False
            if seen and all(each is None or len(each) <= _LONGEST for each in seen):
                self._passed.add([seen])
        return True


class _EveryString(Group):
    """Rules for every string: one sweep over all that is new finds nothing in most payloads."""

    def __init__(self, at: str, declared: Sequence[Declared]) -> None:
        super().__init__(at, declared)
        self._sweeps = [WORTH_A_SWEEP[params["check"]] for _, params in declared]
        self._passed = _Lately()

    def passes(self, payload: object) -> bool:
        """Return whether none of the rules is broken."""
        passed = self._passed
        missed = [each for each in strings(payload) if each not in passed.now]
        unseen = [each for each in missed if each not in passed.before]
        text = " ".join(unseen)
        for sweep in self._sweeps:
            if sweep(text):
                if not self._pass(unseen, payload):
                    return False
                break
        passed.add(each for each in missed if len(each) <= _LONGEST)
        return True


def group(contract: Contract) -> list[Group]:
    """Group a contract's declared rules by what they read, in their order, so that it is selected once."""
    groups: dict[str, list[Declared]] = {}
    for params in contract.declared:
        groups.setdefault(params["at"], []).append((contract.rules[params["id"]], params))
    return [_kind(at, declared)(at, declared) for at, declared in groups.items()]


def _kind(at: str, declared: Sequence[Declared]) -> type[Group]:
    checks = [params["check"] for _, params in declared]
    if at == EVERY_STRING and all(check in WORTH_A_SWEEP for check in checks):
        return _EveryString
    # One rule costs less than a cache lookup.
    return _Remembering if len(checks) > 1 and all(CHECKS[check][0] is str for check in checks) else Group
