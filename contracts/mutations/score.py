"""Does the contract catch what breaks it? Every mutant of every valid fixture, and every broken fixture as it is.

Mutants come from the contract as it is, so a rule taken out of it takes its mutants along; the broken fixtures
still name it then, and survive.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from contracts.check import check_payload
from contracts.corpus import cases
from contracts.mutations.mutants import Mutant, mutants
from contracts.registry import Contract
from contracts.strict_json import parse_payload


@dataclass(frozen=True, slots=True)
class Survivor:
    """A mutant that the contract let pass: which, made from which fixture, and the rules that did break."""

    mutant: Mutant
    fixture: str
    broken: frozenset[str]


@dataclass(slots=True)
class Score:
    """Mutants of one contract by rule: how many were killed, and each that survived."""

    killed: dict[str, int]
    survivors: dict[str, list[Survivor]] = field(default_factory=dict)
    alone: set[str] = field(default_factory=set)
    """Rules that some mutant broke, and no other rule with it."""

    @property
    def without(self) -> list[str]:
        """Rules that no mutant is about."""
        return [rule for rule, killed in self.killed.items() if not killed and rule not in self.survivors]

    @property
    def percent(self) -> float:
        """Killed mutants of all, where a rule without mutants counts as one that survived; 100 is the goal."""
        killed = sum(self.killed.values())
        missed = sum(map(len, self.survivors.values())) + len(self.without)
        return 100 * killed / (killed + missed) if killed + missed else 0.0


def score(contract: Contract) -> Score:
    """Check every mutant of one contract."""
    result = Score(dict.fromkeys(contract.rules, 0))
    for fixture, mutant in _all_mutants(contract):
        found = check_payload(mutant.raw, contract=contract)
        broken = frozenset(violation.rule for violation in found.violations)
        if mutant.rule in broken:
            result.killed[mutant.rule] += 1
            if len(broken) == 1:
                result.alone.add(mutant.rule)
        else:
            result.survivors.setdefault(mutant.rule, []).append(Survivor(mutant, fixture, broken))
    return result


def _all_mutants(contract: Contract) -> Iterator[tuple[str, Mutant]]:
    for case in cases(contract.name):
        if case.breaks:
            yield from ((case.name, Mutant(rule, "as the fixture is", case.raw)) for rule in sorted(case.breaks))
        else:
            for mutant in mutants(contract, parse_payload(case.raw, contract.limits)):
                yield case.name, mutant
