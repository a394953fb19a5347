"""Is this event right, and will everybody who reads it still cope?

    check_payload(raw)      one payload, every violation at once            check.py
    load_contract(subject)  schema, rules, decisions and consumers as data  registry.py
    event_key(payload)      the identity of an event                        identity.py
    parse_rfc3339(text)     RFC 3339 exactly                                timestamps.py
    PreparedEvent           the checked payload, typed                      event.py
    run(command)            a click command with our exit statuses          cli/run.py

These names are the whole public interface; each is imported when it is first asked for, so that a
program pays for what it uses.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contracts.check import Result, check_payload
    from contracts.cli.run import LazyGroup, run
    from contracts.cli.table import print_table
    from contracts.errors import BadInput, Exit, KitError, NothingChecked, Unreachable
    from contracts.event import BundleInfo, PreparedEvent, spool_name
    from contracts.identity import canonical_json, event_key
    from contracts.nats_connection import (
        Confirmation,
        NatsAccess,
        close_nats,
        connect_nats,
        publish_confirmed,
    )
    from contracts.registry import Contract, load_contract
    from contracts.strict_json import MalformedPayload, parse_payload
    from contracts.suggestion import nearest
    from contracts.timestamps import InvalidTimestamp, parse_rfc3339
    from contracts.violation import Severity, Violation

_HOME = {
    "BadInput": "errors",
    "BundleInfo": "event",
    "Contract": "registry",
    "Exit": "errors",
    "InvalidTimestamp": "timestamps",
    "KitError": "errors",
    "MalformedPayload": "strict_json",
    "NatsAccess": "nats_connection",
    "NothingChecked": "errors",
    "PreparedEvent": "event",
    "Result": "check",
    "Severity": "violation",
    "Unreachable": "errors",
    "Violation": "violation",
    "Confirmation": "nats_connection",
    "LazyGroup": "cli.run",
    "canonical_json": "identity",
    "check_payload": "check",
    "close_nats": "nats_connection",
    "connect_nats": "nats_connection",
    "event_key": "identity",
    "load_contract": "registry",
    "nearest": "suggestion",
    "parse_payload": "strict_json",
    "parse_rfc3339": "timestamps",
    "print_table": "cli.table",
    "publish_confirmed": "nats_connection",
    "run": "cli.run",
    "spool_name": "event",
}

__all__ = [
    "BadInput",
    "BundleInfo",
    "Confirmation",
    "Contract",
    "Exit",
    "InvalidTimestamp",
    "KitError",
    "LazyGroup",
    "MalformedPayload",
    "NatsAccess",
    "NothingChecked",
    "PreparedEvent",
    "Result",
    "Severity",
    "Unreachable",
    "Violation",
    "canonical_json",
    "check_payload",
    "close_nats",
    "connect_nats",
    "event_key",
    "load_contract",
    "nearest",
    "parse_payload",
    "parse_rfc3339",
    "print_table",
    "publish_confirmed",
    "run",
    "spool_name",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'contracts' has no public name {name!r}")
    return getattr(import_module(f"contracts.{_HOME[name]}"), name)
