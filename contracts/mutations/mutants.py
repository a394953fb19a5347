"""Break a payload in every single-rule way: one mutant for each way that a schema keyword or a rule can be broken.

The contract's schema and declared rules say where; `keywords`, `checks` and `wire` say how. What compares with
the broken field is made to agree with it, so that a mutant is about one rule wherever that is possible.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from contracts.agreement import agree
from contracts.corpus import put
from contracts.mutations.checks import CHECKS
from contracts.mutations.keywords import KEYWORDS
from contracts.mutations.wire import WIRE
from contracts.places import select
from contracts.registry import Contract
from contracts.rules import CHECKS as RULE_CHECKS
from contracts.rules import WORTH_A_SWEEP, Context
from contracts.schema_rules import ROOT
from contracts.violation import pointer


@dataclass(frozen=True, slots=True)
class Mutant:
    """A payload broken on purpose: the rule that it must break, how it was made, and its bytes."""

    rule: str
    how: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class _Edit:
    """One value in place of another; `spelt_out` writes every character as an escape."""

    rule: str
    how: str
    place: str
    value: Any
    spelt_out: bool = False

    def mutant(self, payload: Any, contract: Contract) -> Mutant:
        changed = deepcopy(payload)
        if self.place:
            put(changed, self.place, self.value)
            agree(changed, contract, but=self.place)
        else:
            changed = self.value
        text = json.dumps(changed, ensure_ascii=False)
        if self.spelt_out:
            told = json.dumps(self.value, ensure_ascii=False)
            text = text.replace(told, f'"{"".join(_escaped(letter) for letter in self.value)}"')
        return Mutant(self.rule, f"{self.place or 'payload'} {self.how}", text.encode())


def mutants(contract: Contract, payload: Any, *, rule: str | None = None) -> Iterator[Mutant]:
    """Break a valid payload in every single-rule way, or in the ways of one rule only."""
    for edit in _edits(contract, payload):
        if rule in (None, edit.rule):
            yield edit.mutant(payload, contract)
    for name, broken in WIRE.items():
        if rule in (None, name):
            yield from (Mutant(name, f"payload {how}", raw) for how, raw in broken(payload, contract.limits))


def one_mutant(contract: Contract, payload: Any, *, rule: str, number: int) -> Mutant | None:
    """Return one of the ways of a rule, chosen by a number; None where this payload cannot break it.

    The same choice as among `mutants`, without the cost of making them all.
    """
    edits = [edit for edit in _edits(contract, payload) if edit.rule == rule]
    if edits:
        return edits[number % len(edits)].mutant(payload, contract)
    broken = list(WIRE[rule](payload, contract.limits)) if rule in WIRE else []
    return (
        Mutant(rule, f"payload {broken[number % len(broken)][0]}", broken[number % len(broken)][1]) if broken else None
    )


def _edits(contract: Contract, payload: Any) -> Iterator[_Edit]:
    yield from _schema_edits(contract.schema, payload, "", "")
    for params in contract.declared:
        kind, _ = RULE_CHECKS[params["check"]]
        context = Context(payload, params)
        for place, value in select(payload, params["at"]):
            if isinstance(value, kind) and not isinstance(value, bool):
                for how, broken in CHECKS[params["check"]](value, context):
                    yield _Edit(params["id"], how, place, broken)
                    # A check that sweeps the text first could be passed by in another spelling of it.
                    if params["check"] in WORTH_A_SWEEP:
                        yield _Edit(params["id"], f"{how}, in escapes", place, broken, spelt_out=True)


def _schema_edits(schema: Mapping[str, Any], value: Any, path: str, place: str) -> Iterator[_Edit]:
    for keyword, wanted in schema.items():
        if keyword in KEYWORDS:
            for how, broken in KEYWORDS[keyword](wanted, value):
                yield _Edit(f"{path or ROOT}/{keyword}", how, place, broken)
    for name, child in schema.get("properties", {}).items():
        if name in value:
            here = f"{path}.{name}" if path else name
            if name in schema.get("required", ()):
                rest = {key: item for key, item in value.items() if key != name}
                yield _Edit(f"{here}/required", f"without {name!r}", place, rest)
            yield from _schema_edits(child, value[name], here, place + pointer(name))
    if "items" in schema:
        for index, item in enumerate(value):
            yield from _schema_edits(schema["items"], item, f"{path}[]", f"{place}/{index}")


def _escaped(letter: str) -> str:
    units = letter.encode("utf-16-be")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
