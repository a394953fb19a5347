"""Is this event right, and will everybody who reads it still cope?

    check_payload(raw)      one payload, every violation at once            check.py
    load_contract(subject)  schema, rules, decisions and consumers as data  registry.py
    event_key(payload)      the identity of an event                        identity.py
    assert_conforms(payload)  the same, for tests: fails with the findings  assertions.py
    parse_rfc3339(text)     RFC 3339 exactly                                timestamps.py
    PreparedEvent           the checked payload, typed                      event.py
    Capture                 an event on one line, to be sent again          replay/capture.py

These names are the whole public interface; each is imported when it is first asked for, so that a
program pays for what it uses.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contracts.check import Result, check_payload
    from contracts.errors import BadInput, KitError
    from contracts.model.event import BundleInfo, PreparedEvent
    from contracts.model.identity import canonical_json, event_key
    from contracts.model.rfc3339 import InvalidTimestamp, parse_rfc3339
    from contracts.model.violation import Severity, Violation
    from contracts.pytest_plugin.assertions import assert_conforms
    from contracts.replay.events.capture import Capture
    from contracts.rules.registry import Contract, load_contract

_HOME = {
    "BadInput": "errors",
    "BundleInfo": "model.event",
    "Capture": "replay.events.capture",
    "Contract": "rules.registry",
    "InvalidTimestamp": "model.rfc3339",
    "KitError": "errors",
    "PreparedEvent": "model.event",
    "Result": "check",
    "Severity": "model.violation",
    "Violation": "model.violation",
    "assert_conforms": "pytest_plugin.assertions",
    "canonical_json": "model.identity",
    "check_payload": "check",
    "event_key": "model.identity",
    "load_contract": "rules.registry",
    "parse_rfc3339": "model.rfc3339",
}

__all__ = [
    "BadInput",
    "BundleInfo",
    "Capture",
    "Contract",
    "InvalidTimestamp",
    "KitError",
    "PreparedEvent",
    "Result",
    "Severity",
    "Violation",
    "assert_conforms",
    "canonical_json",
    "check_payload",
    "event_key",
    "load_contract",
    "parse_rfc3339",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'contracts' has no public name {name!r}")
    return getattr(import_module(f"contracts.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
