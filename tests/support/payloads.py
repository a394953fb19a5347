"""Events for tests: the spec's own, with some fields altered."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import contracts
from contracts import Result
from contracts.fixtures.corpus import ROOT

PREPARED, ARCHIVED = "kaizen.schedule.prepared@1", "kaizen.schedule.archived@1"
SPEC_EXAMPLE_PATH = ROOT / "kaizen.schedule.prepared" / "1" / "valid" / "spec-example.json"
SPEC_EXAMPLE = json.loads(SPEC_EXAMPLE_PATH.read_bytes())


def event(**changes: Any) -> dict[str, Any]:
    """Return the spec's example with fields changed; a bundle is merged into its own."""
    changed = deepcopy(SPEC_EXAMPLE) | changes
    changed["bundle"] = SPEC_EXAMPLE["bundle"] | changes.get("bundle", {})
    return changed


def check(payload: Any, **how: Any) -> Result:
    """Check bytes as they are, and any JSON value as the text that an emitter would write of it."""
    raw = payload if isinstance(payload, bytes) else json.dumps(payload, ensure_ascii=False).encode()
    return contracts.check(raw, **how)


def found(result: Result) -> list[tuple[str, str]]:
    """Return rule and pointer of each violation, in order."""
    return [(violation.rule, violation.pointer) for violation in result.violations]
