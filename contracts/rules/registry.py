"""Contracts as data: a folder for each subject and version, read from the package and nothing else.

specs/<subject>/<version>/
spec.txt            the owner's words; every rule quotes a line of it or names a decision
schema.json         JSON Schema 2020-12
contract.toml       limits, rules beyond the schema, decisions on open points
consumers/*.json    what each named consumer relies on
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from contracts.errors import BadInput
from contracts.model.did_you_mean import nearest
from contracts.model.strict_json import EXPECTED, Limits
from contracts.model.violation import Rule, Severity, covers
from contracts.rules.schema import Field, Keyword, field_table, keywords

SPECS = Path(__file__).parent.parent / "specs"


class Decision(NamedTuple):
    """What was decided on a point that the spec leaves open, why, and which rules follow from it."""

    point: str
    decision: str
    reason: str
    rules: tuple[str, ...]

    def covers(self, rule: str) -> bool:
        """Return whether the rule follows from this decision; `*/x` and `x/*` stand for families of rules."""
        return any(covers(pattern, rule) for pattern in self.rules)


class Consumer(NamedTuple):
    """A named consumer: the spec's line about it, and each field it relies on with what for."""

    name: str
    spec: str
    relies_on: Mapping[str, str]


class Contract(NamedTuple):
    """One subject in one version. `declared` holds the rules of contract.toml with their parameters."""

    subject: str
    version: str
    owner: str
    summary: str
    schema: Mapping[str, Any]
    limits: Limits
    rules: Mapping[str, Rule]
    declared: tuple[Mapping[str, Any], ...]
    ignored_by: Mapping[str, frozenset[str]]
    withheld: frozenset[str]
    decisions: tuple[Decision, ...]
    fields: tuple[Field, ...]
    folder: Path

    @property
    def name(self) -> str:
        """Subject and version, as `kaizen.schedule.prepared@1`."""
        return f"{self.subject}@{self.version}"

    def digest(self) -> str:
        """Return the SHA-256, in hex, over the names and contents of the contract's files."""
        import hashlib  # noqa: PLC0415 - 2 ms that only reports need

        digest = hashlib.sha256()
        paths = (path for path in self.folder.rglob("*") if path.is_file() and not path.name.startswith("."))
        for name, path in sorted((path.relative_to(self.folder).as_posix(), path) for path in paths):
            content = path.read_bytes()
            digest.update(b"%s\0%d\0" % (name.encode(), len(content)))
            digest.update(content)
        return digest.hexdigest()

    def consumers(self) -> tuple[Consumer, ...]:
        """Read what each named consumer relies on, in the order of their names."""
        documents = (json.loads(path.read_bytes()) for path in sorted((self.folder / "consumers").glob("*.json")))
        return tuple(Consumer(each["consumer"], each["spec"], each["relies_on"]) for each in documents)


@cache
def subjects() -> Mapping[str, tuple[str, ...]]:
    """List the known subjects, each with its versions, oldest first."""
    return {
        folder.name: tuple(sorted((path.name for path in folder.iterdir() if path.name.isdigit()), key=int))
        for folder in sorted(SPECS.iterdir())
        if folder.is_dir() and not folder.name.startswith("_")
    }


def load_contract(name: str) -> Contract:
    """Load a contract by `SUBJECT` (its newest version) or `SUBJECT@VERSION`.

    Raises:
        BadInput: no such subject or version; names the nearest.
    """
    subject, _, version = name.partition("@")
    versions = subjects().get(subject)
    if versions is None:
        known = sorted(subjects())
        hint = nearest(subject, known)
        raise BadInput(
            f"no contract for subject {subject!r}" + (f"; did you mean {hint!r}?" if hint else "") + "\n"
            f"  known: {', '.join(known)}"
        )
    if version and version not in versions:
        raise BadInput(f"no version {version!r} of {subject}\n  known: {', '.join(versions)}")
    return _load(subject, version or versions[-1])


@cache
def _load(subject: str, version: str) -> Contract:
    folder = SPECS / subject / version
    schema = json.loads((folder / "schema.json").read_bytes())
    document = tomllib.loads((folder / "contract.toml").read_text("utf-8"))
    spec = (folder / "spec.txt").read_text("utf-8").splitlines()
    lines = {line.strip(" •"): number for number, line in enumerate(spec, 1)}
    fields = tuple(field_table(schema))
    decisions = tuple(
        Decision(each["point"], each["decision"], each["reason"], tuple(each["rules"]))
        for each in document["decisions"]
    )
    limits = Limits(**document["limits"])
    rules = _Rules({field.path: field.line for field in fields}, lines, decisions, document.get("expected", {}))
    return Contract(
        subject=subject,
        version=version,
        owner=document["owner"],
        summary=document["summary"],
        schema=schema,
        limits=limits,
        rules=rules.all(limits, keywords(schema), document["rules"]),
        declared=tuple(document["rules"]),
        ignored_by={name: frozenset(profile["ignores"]) for name, profile in document["profiles"].items()},
        withheld=frozenset(document["reports"]["withheld"]),
        decisions=decisions,
        fields=fields,
        folder=folder,
    )


class _Rules(NamedTuple):
    rows: Mapping[str, str]
    lines: Mapping[str, int]
    decisions: tuple[Decision, ...]
    phrases: Mapping[str, str]

    def all(self, limits: Limits, schema: Any, declared: list[dict[str, Any]]) -> dict[str, Rule]:
        rules = [
            self._rule(name, text.format(payload_bytes=limits.payload_bytes, depth=limits.depth), None)
            for name, text in EXPECTED.items()
        ]
        keyword: Keyword
        for keyword in schema:
            expected = self.phrases.get(keyword.rule, keyword.expected)
            rules.append(self._rule(keyword.rule, expected, self.rows.get(keyword.field)))
        for each in declared:
            row = self.rows.get(each["id"].partition("/")[0].removesuffix("[]"))
            severity = Severity(each.get("severity", Severity.ERROR))
            rules.append(self._rule(each["id"], each["expected"], each.get("spec", row), severity))
        return {rule.id: rule for rule in rules}

    def _rule(self, name: str, expected: str, spec: str | None, severity: Severity = Severity.ERROR) -> Rule:
        decision = next((each.point for each in self.decisions if each.covers(name)), None)
        return Rule(name, severity, expected, spec, self.lines.get(spec) if spec else None, decision)
