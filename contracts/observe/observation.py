"""What was observed of an emitter, as plain values that are the same for every transport."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path

from contracts.model.violation import Rule, Severity, Violation
from contracts.rules.registry import load_contract, subjects
from contracts.verdict.run_rules import RUN_RULES

RULES_FILE = Path(__file__).parent / "rules.toml"


@dataclass(frozen=True, slots=True)
class Observation:
    """One message as it was seen: its bytes and where; subject and headers where the transport has them."""

    raw: bytes
    where: str
    subject: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    is_confirmed: bool = False
    """Whether it came from a JetStream stream, where a message id means something."""


@dataclass(frozen=True, slots=True)
class Observed:
    """All that one run of an emitter showed. `violations` are about how it behaved.

    `started_at` and `ended_at` enclose the run, aware, in UTC; None where nobody ran anything.
    """

    observations: tuple[Observation, ...]
    violations: tuple[Violation, ...] = ()
    started_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class BehaviourRule:
    """A rule on behaviour, with the reason for it."""

    rule: Rule
    why: str


@cache
def behaviour_rules() -> Mapping[str, BehaviourRule]:
    """Read the rules on behaviour, by id."""
    document = tomllib.loads(RULES_FILE.read_text("utf-8"))
    return {
        each["id"]: BehaviourRule(
            Rule(each["id"], Severity(each["severity"]), each["expected"], None, None, None), each["why"]
        )
        for each in document["rules"]
    }


def known_rules() -> Mapping[str, Rule]:
    """Return every rule that a finding can name, by id: of all contracts, of emitters' behaviour, of runs."""
    of_contracts = {rule.id: rule for name in subjects() for rule in load_contract(name).rules.values()}
    return of_contracts | {name: each.rule for name, each in behaviour_rules().items()} | dict(RUN_RULES)


def broken(rule: str, found: str, *, at: str = "", expected: str | None = None) -> Violation:
    """Make the violation of a rule on behaviour."""
    known = behaviour_rules()[rule].rule
    return Violation(known.id, known.severity, at, found, expected or known.expected)


def split_events(raw: bytes) -> list[bytes]:
    """Split what an emitter printed into events: one JSON text, or one a line where every line is one.

    Anything else is one event that is broken, so that nothing printed escapes the check.
    """
    if not raw.strip():
        return []
    lines = [line for line in raw.splitlines() if line.strip()]
    if len(lines) > 1 and not _is_json(raw) and all(_is_json(line) for line in lines):
        return lines
    return [raw]


def _is_json(raw: bytes) -> bool:
    try:
        json.loads(raw)
    except (ValueError, RecursionError):
        return False
    return True
