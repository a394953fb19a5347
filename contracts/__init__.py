"""Validate events against their contract, and check that every known consumer can still read them.

    check(payload)            one payload -> Result with every violation
    assert_conforms(payload)  the same for tests: fails with the violations
    PreparedEvent.parse(raw)  a checked kaizen.schedule.prepared event, typed; InvalidEvent if it breaks its contract
    payloads()                a Hypothesis strategy of payloads that conform (extra `generate`)
    load_contract(subject)    a Contract: schema, rules, decisions and consumers as data
    event_key(payload)        the identity of an event
    parse_rfc3339(text)       RFC 3339 exactly
    Capture                   an event on one line of JSON, to be sent again

`Result` holds `Violation`s, each with its `Severity`. Every error raised on purpose is a `KitError`; `BadInput` is one
for an argument that cannot be used. These names are the whole public API (docs/api.md shows each in use). Each is
imported on first use, so that a program loads only what it needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any
from warnings import warn

if TYPE_CHECKING:
    from contracts.checker import Result, check
    from contracts.errors import BadInput, KitError
    from contracts.event import InvalidEvent, PreparedEvent
    from contracts.fixtures.strategies import payloads
    from contracts.model.identity import event_key
    from contracts.model.rfc3339 import parse_rfc3339
    from contracts.model.violation import Severity, Violation
    from contracts.pytest_plugin.assertions import assert_conforms
    from contracts.replay.events.capture import Capture
    from contracts.rules.registry import Contract, load_contract

__all__ = [
    "BadInput",
    "Capture",
    "Contract",
    "InvalidEvent",
    "KitError",
    "PreparedEvent",
    "Result",
    "Severity",
    "Violation",
    "assert_conforms",
    "check",
    "event_key",
    "load_contract",
    "parse_rfc3339",
    "payloads",
]

_HOME = {
    "BadInput": "errors",
    "Capture": "replay.events.capture",
    "Contract": "rules.registry",
    "InvalidEvent": "event",
    "KitError": "errors",
    "PreparedEvent": "event",
    "Result": "checker",
    "Severity": "model.violation",
    "Violation": "model.violation",
    "assert_conforms": "pytest_plugin.assertions",
    "check": "checker",
    "event_key": "model.identity",
    "load_contract": "rules.registry",
    "parse_rfc3339": "model.rfc3339",
    "payloads": "fixtures.strategies",
}

# Until the next release. All but `check_payload` are in `contracts.toolkit` now, which may change in any release.
_DEPRECATED = {
    "BUNDLE_SOURCE": "toolkit.BUNDLE_SOURCE",
    "BundleInfo": "toolkit.BundleInfo",
    "Exit": "toolkit.Exit",
    "InvalidTimestamp": "toolkit.InvalidTimestamp",
    "MalformedPayload": "toolkit.MalformedPayload",
    "NatsServer": "toolkit.NatsServer",
    "Spool": "toolkit.Spool",
    "canonical_json": "toolkit.canonical_json",
    "check_payload": "check",
    "format_rfc3339": "toolkit.format_rfc3339",
    "parse_payload": "toolkit.parse_payload",
    "spool_name": "toolkit.spool_name",
}


if TYPE_CHECKING:
    from contracts.bus.server import NatsServer as NatsServer
    from contracts.emit.spool import Spool as Spool
    from contracts.errors import Exit as Exit
    from contracts.event import BUNDLE_SOURCE as BUNDLE_SOURCE
    from contracts.event import BundleInfo as BundleInfo
    from contracts.event import spool_name as spool_name
    from contracts.model.identity import canonical_json as canonical_json
    from contracts.model.rfc3339 import InvalidTimestamp as InvalidTimestamp
    from contracts.model.rfc3339 import format_rfc3339 as format_rfc3339
    from contracts.model.strict_json import MalformedPayload as MalformedPayload
    from contracts.model.strict_json import parse_payload as parse_payload

    check_payload = check
else:  # a type checker would take every misspelt name for one

    def __getattr__(name: str) -> Any:
        if name in _DEPRECATED:
            instead = _DEPRECATED[name]
            warn(f"contracts.{name} is deprecated; use contracts.{instead}", DeprecationWarning, stacklevel=2)
            if instead == "check":
                return __getattr__(instead)
            return getattr(import_module("contracts.toolkit"), name)
        if name not in _HOME:
            raise AttributeError(f"module 'contracts' has no public name {name!r}")
        value = globals()[name] = getattr(import_module(f"contracts.{_HOME[name]}"), name)
        return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
