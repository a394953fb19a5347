"""An assertion for tests: does this payload keep the contract?"""

from __future__ import annotations

import io
import json
from typing import Any

from contracts.check import Profile, check_payload
from contracts.reports.text import TextReport
from contracts.rules.registry import Contract, load_contract
from contracts.verdict.policy import Policy


def assert_conforms(payload: Any, contract: Contract | str | None = None, profile: Profile = "emitter") -> None:
    """Fail with every finding where a payload breaks its contract; warnings do not count.

    `payload` is a JSON value, or JSON text as str or bytes, which is checked as it stands. `contract` is a contract
    or its name, by default the one that the payload names.

    Raises:
        AssertionError: it breaks a rule; the text shows the findings.
        BadInput: there is no contract of that name.
    """
    __tracebackhide__ = True
    result = check_payload(
        _as_bytes(payload),
        source="the payload",
        contract=load_contract(contract) if isinstance(contract, str) else contract,
        profile=profile,
    )
    verdict = Policy().judge(result)
    if not verdict.passes:
        told = io.StringIO()
        TextReport(told).add(verdict)
        raise AssertionError(told.getvalue().rstrip())


def _as_bytes(payload: Any) -> bytes:
    if isinstance(payload, bytes):
        return payload
    text = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False)
    return text.encode(errors="surrogatepass")
