"""A checked `kaizen.schedule.prepared` payload, typed, with its identity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from warnings import warn

from contracts.checker import Profile, Result, check
from contracts.errors import KitError
from contracts.model.identity import event_key
from contracts.model.rfc3339 import parse_rfc3339
from contracts.model.violation import Severity, Violation

BUNDLE_SOURCE: Final = "Kaizen-Bundle-Source"
"""Header of the event's message that names where its emitter left the bundle: spool or object_store."""
_CONTRACT: Final = "kaizen.schedule.prepared@1"
_ENDINGS = {"markdown": "md", "json": "json"}


@dataclass(frozen=True, slots=True)
class BundleInfo:
    """The bundle as the event describes it; `bytes` counts octets exactly as rendered."""

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
    Any publisher may have written `root` and `prepare_command`: show them, never open or run them.
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
    def parse(cls, payload: bytes | str | Mapping[str, Any], *, profile: Profile = "consumer") -> PreparedEvent:
        """Check a payload and read it.

        As a consumer by default: keys that this version of the contract does not name are ignored, and stay in
        `payload`. Warnings do not count.

        Raises:
            InvalidEvent: it breaks the contract; carries the violations.
            TypeError: `payload` is neither bytes, str nor mapping, or holds what JSON cannot express.
        """
        result = check(payload, contract=_CONTRACT, profile=profile, source="the event")
        if not result.passes():
            raise InvalidEvent(result)
        return cls.from_checked(result.payload)

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> PreparedEvent:
        """Do what `parse` does; deprecated, and removed in the next release."""
        warn("PreparedEvent.from_payload is deprecated; use PreparedEvent.parse", DeprecationWarning, stacklevel=2)
        return cls.parse(payload)

    @classmethod
    def from_checked(cls, payload: Mapping[str, Any]) -> PreparedEvent:
        """Read a payload that has passed `check` against kaizen.schedule.prepared@1; it is not checked again."""
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


class InvalidEvent(KitError, ValueError):
    """A payload breaks the contract of kaizen.schedule.prepared; `result` is what the check found."""

    def __init__(self, result: Result) -> None:
        super().__init__(result)
        self.result = result

    @property
    def violations(self) -> tuple[Violation, ...]:
        """Every violation, in document order; warnings included."""
        return self.result.violations

    def __str__(self) -> str:
        found = [str(each) for each in self.violations if each.severity is Severity.ERROR]
        return "\n  ".join([f"{self.result.source} breaks {_CONTRACT}:", *found])


def spool_name(event: PreparedEvent) -> str:
    """Name the file under which an emitter leaves this event's bundle in the spool directory.

    It is made of the event's identity alone, so no field of the event can choose a path.
    """
    return f"{event.key}.{event.bundle.ending}"
