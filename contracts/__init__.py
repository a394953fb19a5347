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
    from contracts.bus.access import NatsAccess
    from contracts.bus.child_process import ChildProcess, find_program
    from contracts.bus.client import listen
    from contracts.bus.connection import (
        Confirmation,
        close_nats,
        connect_nats,
        publish_confirmed,
    )
    from contracts.bus.server import NatsServer
    from contracts.check import Result, check_payload
    from contracts.cli.amounts import Span, When
    from contracts.cli.run import LazyGroup, run
    from contracts.cli.tables import print_table
    from contracts.emit.spool import Spool
    from contracts.errors import BadInput, Exit, KitError, NothingChecked, ServerDidNotStart, Unreachable
    from contracts.model.did_you_mean import nearest
    from contracts.model.event import BUNDLE_SOURCE, BundleInfo, PreparedEvent, spool_name
    from contracts.model.identity import canonical_json, event_key
    from contracts.model.rfc3339 import InvalidTimestamp, format_rfc3339, parse_rfc3339
    from contracts.model.strict_json import MalformedPayload, parse_payload
    from contracts.model.violation import Severity, Violation
    from contracts.pytest_plugin.assertions import assert_conforms
    from contracts.replay.events.capture import Capture
    from contracts.replay.plan.messages import REPLAY
    from contracts.rules.registry import Contract, load_contract

_HOME = {
    "BUNDLE_SOURCE": "model.event",
    "BadInput": "errors",
    "BundleInfo": "model.event",
    "Capture": "replay.events.capture",
    "ChildProcess": "bus.child_process",
    "Contract": "rules.registry",
    "Exit": "errors",
    "InvalidTimestamp": "model.rfc3339",
    "KitError": "errors",
    "MalformedPayload": "model.strict_json",
    "NatsAccess": "bus.access",
    "NatsServer": "bus.server",
    "NothingChecked": "errors",
    "PreparedEvent": "model.event",
    "REPLAY": "replay.plan.messages",
    "Result": "check",
    "ServerDidNotStart": "errors",
    "Severity": "model.violation",
    "Span": "cli.amounts",
    "Spool": "emit.spool",
    "Unreachable": "errors",
    "Violation": "model.violation",
    "When": "cli.amounts",
    "Confirmation": "bus.connection",
    "LazyGroup": "cli.run",
    "assert_conforms": "pytest_plugin.assertions",
    "canonical_json": "model.identity",
    "check_payload": "check",
    "close_nats": "bus.connection",
    "connect_nats": "bus.connection",
    "event_key": "model.identity",
    "format_rfc3339": "model.rfc3339",
    "find_program": "bus.child_process",
    "listen": "bus.client",
    "load_contract": "rules.registry",
    "nearest": "model.did_you_mean",
    "parse_payload": "model.strict_json",
    "parse_rfc3339": "model.rfc3339",
    "print_table": "cli.tables",
    "publish_confirmed": "bus.connection",
    "run": "cli.run",
    "spool_name": "model.event",
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
