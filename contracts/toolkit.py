"""What `archiver` shares with `contracts` beyond the public API. Private: it may change in any release.

Each name is imported on first use, so that a program loads only what it needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contracts.bus.access import NatsAccess
    from contracts.bus.child_process import ChildProcess, find_program
    from contracts.bus.client import listen
    from contracts.bus.connection import Confirmation, close_nats, connect_nats, publish_confirmed
    from contracts.bus.server import NatsServer
    from contracts.bus.stored_once import publish_stored
    from contracts.cli.amounts import Span, When
    from contracts.cli.run import Group, LazyGroup, run
    from contracts.cli.tables import print_table
    from contracts.emit.spool import Spool
    from contracts.errors import Exit, NothingChecked, ServerDidNotStart, Unreachable
    from contracts.event import BUNDLE_SOURCE, BundleInfo, spool_name
    from contracts.model.counted import counted
    from contracts.model.did_you_mean import nearest
    from contracts.model.identity import canonical_json
    from contracts.model.proxies import Proxy, proxy_for
    from contracts.model.records import COUNT, DIGEST, TEXT, InvalidRecord, RecordSchema, record_of
    from contracts.model.rfc3339 import InvalidTimestamp, format_rfc3339
    from contracts.model.strict_json import Limits, MalformedPayload, parse_payload
    from contracts.model.violation import printable
    from contracts.output import open_output
    from contracts.replay.plan.messages import REPLAY

_HOME = {
    "BUNDLE_SOURCE": "event",
    "BundleInfo": "event",
    "COUNT": "model.records",
    "ChildProcess": "bus.child_process",
    "Confirmation": "bus.connection",
    "DIGEST": "model.records",
    "Exit": "errors",
    "Group": "cli.run",
    "InvalidRecord": "model.records",
    "InvalidTimestamp": "model.rfc3339",
    "LazyGroup": "cli.run",
    "Limits": "model.strict_json",
    "MalformedPayload": "model.strict_json",
    "NatsAccess": "bus.access",
    "NatsServer": "bus.server",
    "NothingChecked": "errors",
    "Proxy": "model.proxies",
    "REPLAY": "replay.plan.messages",
    "RecordSchema": "model.records",
    "ServerDidNotStart": "errors",
    "Span": "cli.amounts",
    "Spool": "emit.spool",
    "TEXT": "model.records",
    "Unreachable": "errors",
    "When": "cli.amounts",
    "canonical_json": "model.identity",
    "close_nats": "bus.connection",
    "connect_nats": "bus.connection",
    "counted": "model.counted",
    "find_program": "bus.child_process",
    "format_rfc3339": "model.rfc3339",
    "listen": "bus.client",
    "nearest": "model.did_you_mean",
    "open_output": "output",
    "parse_payload": "model.strict_json",
    "print_table": "cli.tables",
    "printable": "model.violation",
    "proxy_for": "model.proxies",
    "publish_confirmed": "bus.connection",
    "record_of": "model.records",
    "publish_stored": "bus.stored_once",
    "run": "cli.run",
    "spool_name": "event",
}

__all__ = [
    "BUNDLE_SOURCE",
    "COUNT",
    "DIGEST",
    "REPLAY",
    "TEXT",
    "BundleInfo",
    "ChildProcess",
    "Confirmation",
    "Exit",
    "Group",
    "InvalidRecord",
    "InvalidTimestamp",
    "LazyGroup",
    "Limits",
    "MalformedPayload",
    "NatsAccess",
    "NatsServer",
    "NothingChecked",
    "Proxy",
    "RecordSchema",
    "ServerDidNotStart",
    "Span",
    "Spool",
    "Unreachable",
    "When",
    "canonical_json",
    "close_nats",
    "connect_nats",
    "counted",
    "find_program",
    "format_rfc3339",
    "listen",
    "nearest",
    "open_output",
    "parse_payload",
    "print_table",
    "printable",
    "proxy_for",
    "publish_confirmed",
    "publish_stored",
    "record_of",
    "run",
    "spool_name",
]


if not TYPE_CHECKING:  # a type checker would take every misspelt name for one

    def __getattr__(name: str) -> Any:
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no name {name!r}")
        value = globals()[name] = getattr(import_module(f"contracts.{_HOME[name]}"), name)
        return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
