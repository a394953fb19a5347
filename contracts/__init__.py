"""Is this event right, and will everybody who reads it still cope?

    check_payload(raw)      one payload, every violation at once            check.py
    load_contract(subject)  schema, rules, decisions and consumers as data  registry.py
    event_key(payload)      the identity of an event                        identity.py
    assert_conforms(payload)  the same, for tests: fails with the findings  assertions.py
    parse_rfc3339(text)     RFC 3339 exactly                                timestamps.py
    PreparedEvent           the checked payload, typed                      event.py
    Capture                 an event on one line, to be sent again          replay/capture.py
    run(command)            a click command with our exit statuses          cli/run.py

These names are the whole public interface; each is imported when it is first asked for, so that a
program pays for what it uses.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contracts.assertions import assert_conforms
    from contracts.check import Result, check_payload
    from contracts.child_process import ChildProcess, find_program
    from contracts.cli.amounts import Span, When
    from contracts.cli.run import LazyGroup, run
    from contracts.cli.table import print_table
    from contracts.emitters.spool import Spool
    from contracts.errors import BadInput, Exit, KitError, NothingChecked, ServerDidNotStart, Unreachable
    from contracts.event import BUNDLE_SOURCE, BundleInfo, PreparedEvent, spool_name
    from contracts.identity import canonical_json, event_key
    from contracts.nats_access import NatsAccess
    from contracts.nats_client import listen
    from contracts.nats_connection import (
        Confirmation,
        close_nats,
        connect_nats,
        publish_confirmed,
    )
    from contracts.nats_server import NatsServer
    from contracts.registry import Contract, load_contract
    from contracts.replay.capture import Capture
    from contracts.replay.plan import REPLAY
    from contracts.strict_json import MalformedPayload, parse_payload
    from contracts.suggestion import nearest
    from contracts.timestamps import InvalidTimestamp, format_rfc3339, parse_rfc3339
    from contracts.violation import Severity, Violation

_HOME = {
    "BUNDLE_SOURCE": "event",
    "BadInput": "errors",
    "BundleInfo": "event",
    "Capture": "replay.capture",
    "ChildProcess": "child_process",
    "Contract": "registry",
    "Exit": "errors",
    "InvalidTimestamp": "timestamps",
    "KitError": "errors",
    "MalformedPayload": "strict_json",
    "NatsAccess": "nats_access",
    "NatsServer": "nats_server",
    "NothingChecked": "errors",
    "PreparedEvent": "event",
    "REPLAY": "replay.plan",
    "Result": "check",
    "ServerDidNotStart": "errors",
    "Severity": "violation",
    "Span": "cli.amounts",
    "Spool": "emitters.spool",
    "Unreachable": "errors",
    "Violation": "violation",
    "When": "cli.amounts",
    "Confirmation": "nats_connection",
    "LazyGroup": "cli.run",
    "assert_conforms": "assertions",
    "canonical_json": "identity",
    "check_payload": "check",
    "close_nats": "nats_connection",
    "connect_nats": "nats_connection",
    "event_key": "identity",
    "format_rfc3339": "timestamps",
    "find_program": "child_process",
    "listen": "nats_client",
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
    "BUNDLE_SOURCE",
    "REPLAY",
    "BadInput",
    "BundleInfo",
    "Capture",
    "ChildProcess",
    "Confirmation",
    "Contract",
    "Exit",
    "InvalidTimestamp",
    "KitError",
    "LazyGroup",
    "MalformedPayload",
    "NatsAccess",
    "NatsServer",
    "NothingChecked",
    "PreparedEvent",
    "Result",
    "ServerDidNotStart",
    "Severity",
    "Span",
    "Spool",
    "Unreachable",
    "Violation",
    "When",
    "assert_conforms",
    "canonical_json",
    "check_payload",
    "close_nats",
    "connect_nats",
    "event_key",
    "find_program",
    "format_rfc3339",
    "listen",
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
