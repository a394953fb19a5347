"""What becomes of one message, as a plain value: the pipeline decides it, the consumer carries it out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class DeadReason(StrEnum):
    """Why a message can never be archived, however often it is tried."""

    NOT_JSON = "not_json"
    CONTRACT_BROKEN = "contract_broken"
    BUNDLE_MISSING = "bundle_missing"
    BUNDLE_REFUSED = "bundle_refused"
    BUNDLE_UNREADABLE = "bundle_unreadable"


class Cause(StrEnum):
    """Why a message is retried. The `bundle_*` causes concern its own bundle, the others are shared trouble."""

    BUNDLE_NOT_THERE = "bundle_not_there"
    BUNDLE_CHANGED = "bundle_changed"
    BUNDLE_UNREADABLE = "bundle_unreadable"
    SOURCE_UNAVAILABLE = "source_unavailable"
    STORE_UNAVAILABLE = "store_unavailable"
    STORE_REFUSES = "store_refuses"
    BUS_UNAVAILABLE = "bus_unavailable"
    OBJECT_DAMAGED = "object_damaged"
    DEFECT = "defect"


@dataclass(frozen=True, slots=True)
class Ack:
    """Archived, referenced and announced. `repeated` where an earlier delivery had done the work.

    `not_released` is why the source's copy of the bundle still exists, or ''.
    """

    event_key: str
    ref_key: str
    blob_key: str
    bundle_bytes: int
    repeated: bool = False
    not_released: str = ""


@dataclass(frozen=True, slots=True)
class Ignored:
    """A replay, where replays are ignored: acknowledged; nothing was checked or stored."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Not now: deliver it again after `after_s` seconds. `part` is what failed, as health names it."""

    after_s: float
    cause: Cause
    why: str
    part: str = "store"


@dataclass(frozen=True, slots=True)
class Dead:
    """Never: to the dead letters, with a reason and a detail for the operator."""

    reason: DeadReason
    detail: str


Outcome = Ack | Ignored | Retry | Dead
