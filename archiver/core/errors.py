"""The archiver's errors: what a store, a bundle source or the bus can answer instead of doing its work.

KitError (contracts)                  exit status on the command line
├── StoreUnavailable                  4   trying again may help: time-outs, 5xx, 429, a full disk
│   ├── StoreRefuses                  4   somebody has to act first: 401, 403, a certificate, a clock
│   │   └── BucketMissing             4
│   └── ObjectUnusable                4   an object under one key blocks its event; the others go on
│       └── ReferenceDamaged          4   it cannot be right: a worker that has the event writes it again
├── SourceUnavailable                 4   a bundle source fails as a whole: no mount, no file handles
├── BusUnavailable                    4   NATS cannot be reached, or did not confirm
│   ├── ConsumerMissing               4   the stream or the consumer does not exist (any more)
│   └── BusSilent                     4   it is connected, and answers nothing
├── NotAllDone                        4   a job ended while events were still waiting
├── KeyTaken                          1   a create-only write found the key in use
├── KeyMissing                        1   nothing is stored under that key
├── BundleMissing                     1   the emitter's bundle is in no source
├── BundleUnreadable                  1   it is there, and reading this one file or object fails
│   └── BundleUnsettled               1   it changed while it was read
├── BundleRefused                     1   it is there, and must not be read
├── DigestMismatch                    1   what came back is not what the key promises
├── RecordDamaged                     1   a record in the archive is no record, or contradicts itself
└── NotArchived                       1   no reference for what was asked for

`cause` selects the delay after which a message that met one of them is retried.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from archiver.core.outcome import Cause
from contracts import KitError
from contracts.toolkit import Exit


class StoreUnavailable(KitError):
    """The store did not do its work; trying again may help, and no event is to blame."""

    exit_code = Exit.UNREACHABLE
    cause: ClassVar[Cause] = Cause.STORE_UNAVAILABLE
    part: ClassVar[str] = "store"

    def __init__(self, what: str, why: str) -> None:
        super().__init__(what, why)
        self.what, self.why = what, why

    def __str__(self) -> str:
        return f"the store could not {self.what}: {self.why}"


class StoreRefuses(StoreUnavailable):
    """The store refuses every request until an operator acts; retrying at once is of no use."""

    cause = Cause.STORE_REFUSES


class BucketMissing(StoreRefuses):
    """The bucket does not exist. Infrastructure, like every 404 of a bucket: no event is to blame."""

    def __init__(self, bucket: str, endpoint: str) -> None:
        KitError.__init__(self, bucket, endpoint)
        self.bucket, self.endpoint = bucket, endpoint
        self.what, self.why = f"find bucket {bucket!r}", "NoSuchBucket"

    def __str__(self) -> str:
        return (
            f"bucket {self.bucket!r} does not exist at {self.endpoint}\n"
            f"  create it:   archiver init --create-bucket\n"
            f"  or choose:   set ARCHIVER_BUCKET to one that exists"
        )


class ObjectUnusable(StoreUnavailable):
    """The store works, and what it holds under one key is not what belongs there; an operator has to look."""

    cause = Cause.OBJECT_DAMAGED


class ReferenceDamaged(ObjectUnusable):
    """The reference is corrupt; a worker that holds the event and its bundle rewrites it."""


class SourceUnavailable(KitError):
    """A bundle source fails as a whole; no event and no single bundle is to blame.

    `part` is the source's name as in ARCHIVER_SOURCES, under which health and log report it.
    """

    exit_code = Exit.UNREACHABLE
    cause: ClassVar[Cause] = Cause.SOURCE_UNAVAILABLE

    def __init__(self, part: str, what: str, why: str) -> None:
        super().__init__(part, what, why)
        self.part, self.what, self.why = part, what, why

    def __str__(self) -> str:
        return f"the {self.part.replace('_', ' ')} failed: could not {self.what}: {self.why}"


class BusUnavailable(KitError):
    """NATS cannot be reached, or did not confirm in time."""

    exit_code = Exit.UNREACHABLE
    cause: ClassVar[Cause] = Cause.BUS_UNAVAILABLE
    part: ClassVar[str] = "bus"

    def __init__(self, what: str, why: str) -> None:
        super().__init__(what, why)
        self.what, self.why = what, why

    def __str__(self) -> str:
        return f"NATS could not {self.what}: {self.why}"


class ConsumerMissing(BusUnavailable):
    """JetStream answers, and has no such stream or consumer."""


class BusSilent(BusUnavailable):
    """The connection stands, and a request for messages was answered neither by one nor by its end."""


class NotAllDone(KitError):
    """A job ended before every event was done; what is left stays in the stream. `summary` is what was done."""

    exit_code = Exit.UNREACHABLE

    def __init__(self, why: str, summary: Mapping[str, int]) -> None:
        super().__init__(why, summary)
        self.why, self.summary = why, summary

    def __str__(self) -> str:
        return f"{self.why}\n  they stay in the stream: run the job again, or let it wait longer (--max-wait SECONDS)"


class KeyTaken(KitError):
    """A create-only write found the key in use. It proves nothing about the stored object: read it back."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key

    def __str__(self) -> str:
        return f"key {self.key} is already in use"


class KeyMissing(KitError):
    """Nothing is stored under the key."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key

    def __str__(self) -> str:
        return f"nothing is stored under {self.key}"


class BundleMissing(KitError):
    """The bundle that the event announces is not where emitters leave them."""

    def __init__(self, where: str) -> None:
        super().__init__(where)
        self.where = where

    def __str__(self) -> str:
        return f"no bundle at {self.where}"


class BundleUnreadable(KitError):
    """The bundle is there, and reading this one file or object fails; other events are not affected."""

    cause: ClassVar[Cause] = Cause.BUNDLE_UNREADABLE

    def __init__(self, where: str, why: str) -> None:
        super().__init__(where, why)
        self.where, self.why = where, why

    def __str__(self) -> str:
        return f"could not read the bundle at {self.where}: {self.why}"


class BundleUnsettled(BundleUnreadable):
    """The bundle changed while it was read or uploaded; it is read again later."""

    cause = Cause.BUNDLE_CHANGED

    def __init__(self, where: str) -> None:
        super().__init__(where, "it changed while it was read")

    def __str__(self) -> str:
        return f"the bundle at {self.where} changed while it was read; emitters write aside and rename"


class BundleRefused(KitError):
    """The bundle is there and must not be read: a link, a device, or too large."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(where, why)
        self.where, self.why = where, why

    def __str__(self) -> str:
        return f"refused to read the bundle at {self.where}: {self.why}"


class DigestMismatch(KitError):
    """The bytes that came back are not the ones their key or reference promises."""

    cause: ClassVar[Cause] = Cause.OBJECT_DAMAGED
    part: ClassVar[str] = "store"

    def __init__(self, key: str, expected: str, found: str) -> None:
        super().__init__(key, expected, found)
        self.key, self.expected, self.found = key, expected, found

    def __str__(self) -> str:
        return (
            f"{self.key} is damaged: its SHA-256 is {self.found}, expected {self.expected}\n"
            f"  nothing was written; keep the object for analysis and restore it from a copy or version"
        )


class RecordDamaged(KitError):
    """A record in the archive contradicts itself, or is no record."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(key, why)
        self.key, self.why = key, why

    def __str__(self) -> str:
        return f"{self.key} is damaged: {self.why}\n  archiver verify says what to do"


class NotArchived(KitError):
    """Nothing in the archive answers to the name."""

    def __init__(self, name: str, hint: str) -> None:
        super().__init__(name, hint)
        self.name, self.hint = name, hint

    def __str__(self) -> str:
        return f"{self.name!r} is not in the archive\n  {self.hint}"
