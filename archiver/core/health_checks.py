"""What was checked, what was found, and its consequence; for `archiver init` and `archiver doctor`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from archiver.core.capabilities import PROBES, Capabilities
from archiver.core.keys import BLOBS, CONFLICTS, REFERENCES, REPLAYS

_TOLERATED_SKEW_S: Final = 60.0
_UNITS: Final = ((86400, "d"), (3600, "h"), (60, "min"))


class CheckState(StrEnum):
    """As wanted; not as wanted; not to be seen from here; not to be reached."""

    OK = "ok"
    DIFFERS = "differs"
    UNKNOWN = "unknown"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked. `wanted` and `consequence` may be ''.

    `found` is the reason where nothing was found: unknown and failed.
    """

    verdict: CheckState
    name: str
    found: str
    wanted: str = ""
    consequence: str = ""

    def __str__(self) -> str:
        """Describe it in one line, without the verdict."""
        found = "found " if self.verdict in {CheckState.OK, CheckState.DIFFERS} else ""
        wanted = f", wanted {self.wanted}" if self.wanted else ""
        return f"{self.name}: {found}{self.found}{wanted}" + (f": {self.consequence}" if self.consequence else "")


def judged(name: str, found: str, wanted: str, consequence: str, *, is_well: bool) -> Check:
    """Return `ok`, or `differs` with its consequence."""
    if is_well:
        return Check(CheckState.OK, name, found)
    return Check(CheckState.DIFFERS, name, found, wanted, consequence)


def span(seconds: float) -> str:
    """Write a time in the largest unit that it is a whole number of: 30 d, 90 s, 0.5 s."""
    for length, unit in _UNITS:
        if seconds and seconds % length == 0:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:g} s"


@dataclass(frozen=True, slots=True)
class LifecycleRule:
    """A rule by which the store deletes objects under `prefix`: `expires` is when, '' where only parts go."""

    prefix: str
    expires: str
    parts_after_days: int | None = None


def versioning_check(found: str) -> Check:
    """Judge whether the bucket keeps older versions; `BucketControl.versioning` has the words."""
    lost = "what is overwritten or deleted by mistake is gone"
    return judged("versioning", found, "Enabled", lost, is_well=found == "Enabled")


def lock_check(found: str) -> Check:
    """Describe the consequence of the bucket's object lock. The operator decides whether it is wanted."""
    if found == "off":
        return Check(CheckState.OK, "object lock", found, consequence="whoever may delete can empty the archive")
    if found == "on":
        return Check(CheckState.OK, "object lock", found, consequence="without a default retention it locks nothing")
    return Check(CheckState.OK, "object lock", found, consequence="gc can delete nothing before that time")


def lifecycle_checks(rules: Iterable[LifecycleRule], prefix: str) -> Iterator[Check]:
    """Judge what the bucket's own rules delete; `prefix` is the archive's, with a trailing slash, or ''."""
    rules = list(rules)
    for folder, consequence in (
        (BLOBS, "a bundle goes with the first event that it came with, while later ones still refer to it"),
        (REFERENCES, "the archive forgets events, and gc then deletes their bundles"),
    ):
        place = prefix + folder
        deleting = [each for each in rules if each.expires and _overlap(each.prefix, place)]
        found = ", ".join(f"deleted {each.expires}" for each in deleting) or "kept"
        yield judged(f"lifecycle of {folder}", found, "kept", consequence, is_well=not deleting)
    for folder, without in (
        (PROBES, "archiver gc deletes what a worker may not"),
        (CONFLICTS, "second bundles of an event stay until somebody has inspected them"),
        (REPLAYS, "what replays brought (ARCHIVER_REPLAYS=separate) stays until somebody deletes it"),
    ):
        deleting = [each for each in rules if each.expires and (prefix + folder).startswith(each.prefix)]
        found = ", ".join(f"deleted {each.expires}" for each in deleting) or "kept"
        yield Check(CheckState.OK, f"lifecycle of {folder}", found, consequence="" if deleting else without)
    after = min((each.parts_after_days for each in rules if each.parts_after_days is not None), default=None)
    found = "kept" if after is None else f"deleted after {after} d"
    remark = "the archiver uploads nothing in parts" if after is None else ""
    yield Check(CheckState.OK, "unfinished multipart uploads", found, consequence=remark)


def capability_checks(found: Capabilities) -> Iterator[Check]:
    """Judge what the probe of the store has shown."""
    yield judged(
        "create-only writes",
        found.create_only,
        "honoured",
        "references are looked up before they are written: one request more, and of two bundles that come for one "
        "event in the same moment the later one stays",
        is_well=found.create_only == "honoured",
    )
    yield judged(
        "upload checksums",
        found.checksum,
        "verified",
        "what is damaged on its way is noticed only when it is read back",
        is_well=found.checksum == "verified",
    )
    yield judged(
        "read after write",
        "the same" if found.read_after_write else "something else",
        "the same",
        "what was stored is taken for damaged, and no event gets past that",
        is_well=found.read_after_write,
    )


def clock_check(skew_s: float | None, consequence: str) -> Check:
    """Judge how far another clock is ahead of ours."""
    if skew_s is None:
        return Check(CheckState.UNKNOWN, "clock", "no answer with a time")
    side = "ahead of" if skew_s >= 0 else "behind"
    return judged(
        "clock",
        f"{abs(skew_s):g} s {side} ours",
        f"at most {span(_TOLERATED_SKEW_S)} apart",
        consequence,
        is_well=abs(skew_s) <= _TOLERATED_SKEW_S,
    )


def _overlap(left: str, right: str) -> bool:
    return left.startswith(right) or right.startswith(left)
