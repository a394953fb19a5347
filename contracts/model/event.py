"""A checked `kaizen.schedule.prepared` payload, typed, with its identity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from contracts.model.identity import event_key
from contracts.model.rfc3339 import parse_rfc3339

BUNDLE_SOURCE: Final = "Kaizen-Bundle-Source"
"""Header of the event's message in which its emitter says where it left the bundle: spool or object_store."""
_ENDINGS = {"markdown": "md", "json": "json"}


@dataclass(frozen=True, slots=True)
class BundleInfo:
    """What the event says of its bundle; `bytes` counts octets exactly as rendered."""

    format: str
    agent_prompt_found: bool
    has_memory: bool
    has_metrics: bool
    pointers: tuple[str, ...]
    bytes: int

    @property
    def ending(self) -> str:
        """File ending of the bundle, without the dot: md or json."""
        return _ENDINGS[self.format]


@dataclass(frozen=True, slots=True)
class PreparedEvent:
    """One event, field for field as the spec names them.

    `payload` is the event verbatim, keys that this version does not know included; `key` is its identity.
    `root` and `prepare_command` were written by whoever may publish: show them, never open or run them.
    """

    payload: Mapping[str, Any]
    key: str
    occurred_at: datetime
    repo: str
    root: str
    agent: str
    cadence: str
    prepare_command: str
    bundle: BundleInfo
    session_close: tuple[str, ...]

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> PreparedEvent:
        """Read a payload that has passed `check_payload` against kaizen.schedule.prepared@1."""
        bundle = payload["bundle"]
        return cls(
            payload=payload,
            key=event_key(payload),
            occurred_at=parse_rfc3339(payload["occurred_at"]),
            repo=payload["repo"],
            root=payload["root"],
            agent=payload["agent"],
            cadence=payload["cadence"],
            prepare_command=payload["prepare_command"],
            bundle=BundleInfo(
                format=bundle["format"],
                agent_prompt_found=bundle["agent_prompt_found"],
                has_memory=bundle["has_memory"],
                has_metrics=bundle["has_metrics"],
                pointers=tuple(bundle["pointers"]),
                bytes=bundle["bytes"],
            ),
            session_close=tuple(payload["session_close"]),
        )


def spool_name(event: PreparedEvent) -> str:
    """Name the file under which an emitter leaves this event's bundle in the spool directory.

    It is made of the event's identity alone, so no field of the event can choose a path.
    """
    return f"{event.key}.{event.bundle.ending}"
