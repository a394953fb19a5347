"""An assertion for tests: this payload conforms to its contract."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from contracts.checker import Profile, check
from contracts.reports.text import TextReport
from contracts.rules.registry import Contract
from contracts.verdict.policy import Policy


def assert_conforms(
    payload: bytes | str | Mapping[str, Any], contract: Contract | str | None = None, profile: Profile = "emitter"
) -> None:
    """Fail with every violation if a payload breaks its contract; warnings do not count.

    `payload`, `contract` and `profile` are those of `contracts.check`.

    Raises:
        AssertionError: it breaks a rule; the message shows the violations.
        BadInput: there is no contract of that name.
        TypeError: `payload` is neither bytes, str nor mapping, or holds what JSON cannot express.
    """
    __tracebackhide__ = True
    verdict = Policy().judge(check(payload, contract=contract, profile=profile, source="the payload"))
    if not verdict.passes:
        shown = io.StringIO()
        TextReport(shown).add(verdict)
        raise AssertionError(shown.getvalue().rstrip())
