"""From what was found to what is sent: rewritten where that is asked for, checked, scheduled, and written down.

A refusal stops the whole replay, since half a rehearsal proves nothing; all refusals are counted, so that one run lists
everything to fix. Events that break a boundary rule are always refused.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from random import Random
from typing import TYPE_CHECKING, Final, NamedTuple

from contracts.checker import check
from contracts.event import PreparedEvent, spool_name
from contracts.fixtures.scrub import scrub_text
from contracts.model.secrets import may_be_secret
from contracts.model.violation import Severity, printable
from contracts.replay.events.capture import Capture, Found, Unusable, parse_capture
from contracts.replay.events.recorder import BOUNDARY
from contracts.replay.plan.messages import Outgoing
from contracts.replay.plan.rewrite import NotRewritable, Rewriting, occurred_at, shift_to
from contracts.replay.plan.schedule import Schedule, scheduled

if TYPE_CHECKING:
    from contracts.replay.target.rails import Target

_SUBJECT: Final = re.compile(r"[^\s.*>$\x00-\x1f\x7f][^\s.*>\x00-\x1f\x7f]*(?:\.[^\s.*>\x00-\x1f\x7f]+)*")
_EXAMPLES: Final = 3
_MOST_ORIGIN: Final = 200
"""Characters of an origin that travel in a header."""


@dataclass(slots=True)
class Refusal:
    """One reason to refuse events: how many, and where the first of them are from."""

    events: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Digest:
    """What a plan comes to: counted while it is made, complete when its last message is."""

    events: int = 0
    messages: int = 0
    passed_over: int = 0
    lasts_s: float = 0.0
    subjects: Counter[str] = field(default_factory=Counter)
    refused: dict[str, Refusal] = field(default_factory=dict)

    def refuse(self, reason: str, origin: str) -> None:
        """Count an event that may not be sent."""
        refusal = self.refused.setdefault(reason, Refusal())
        refusal.events += 1
        if len(refusal.examples) < _EXAMPLES:
            refusal.examples.append(printable(scrub_text(origin)[0]))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of a plan.

    `rewriting` None leaves events as they are; its shift is worked out here, from `now` (aware). `subject` passes over
    what was seen elsewhere ('*' and '>' as in NATS). `invalid` lets events through that break their contract.
    """

    target: Target
    schedule: Schedule
    seed: int
    now: datetime
    rewriting: Rewriting | None = None
    subject: str | None = None
    invalid: bool = False


class _Ready(NamedTuple):
    capture: Capture
    subject: str
    bundle_from: str | None

    @property
    def seen_at(self) -> datetime | None:
        return self.capture.at or occurred_at(self.capture.event)


def planned(found: Iterable[Found], wanted: Wanted, digest: Digest) -> Iterator[Outgoing]:
    """Yield the messages of a replay in the order of sending, and count into `digest`.

    The same events, wishes and seed make the same messages. Memory does not grow with the number of events; a rewriting
    keeps them in a temporary file, since the latest of them has to be known first.
    """
    events = _chosen(found, wanted, digest)
    if wanted.rewriting is None:
        ready = _checked(((each, None) for each in events), wanted, digest)
    else:
        ready = _checked(_rewritten(events, wanted.rewriting, wanted.now, digest), wanted, digest)
    for number, (due_s, each) in enumerate(scheduled(ready, wanted.schedule, Random(wanted.seed).random)):  # noqa: S311
        digest.messages += 1
        digest.subjects[each.subject] += 1
        digest.lasts_s = due_s
        yield Outgoing(
            number=number,
            due_s=due_s,
            subject=each.subject,
            payload=each.capture.payload,
            event_key=each.capture.key,
            origin=printable(scrub_text(each.capture.origin)[0])[:_MOST_ORIGIN],
            bundle_from=each.bundle_from,
        )


def _chosen(found: Iterable[Found], wanted: Wanted, digest: Digest) -> Iterator[Capture]:
    for each in found:
        if isinstance(each, Unusable):
            digest.refuse(each.rules[0], each.where)
        elif wanted.subject is not None and not matches(wanted.subject, each.subject):
            digest.passed_over += 1
        else:
            yield each


def _rewritten(
    events: Iterable[Capture], rewriting: Rewriting, now: datetime, digest: Digest
) -> Iterator[tuple[Capture, Capture | None]]:
    """Yield each event rewritten, and as it was."""
    with tempfile.TemporaryFile() as held:
        latest: datetime | None = None
        for each in events:
            held.write(each.to_line())
            if (at := occurred_at(each.event)) is not None:
                latest = max(latest or at, at)
        held.seek(0)
        if latest is not None:
            rewriting = replace(rewriting, shift=shift_to(now, latest))
        for line in held:
            before = parse_capture(line, where="")
            try:
                yield replace(before, event=rewriting.apply(before.event)), before
            except NotRewritable as error:
                digest.refuse(str(error), before.origin)


def _checked(events: Iterable[tuple[Capture, Capture | None]], wanted: Wanted, digest: Digest) -> Iterator[_Ready]:
    for capture, before in events:
        subject = wanted.target.subject(capture.subject)
        broken = [each.rule for each in check(capture.payload).violations if each.severity is Severity.ERROR]
        forbidden = [rule for rule in broken if rule.startswith(BOUNDARY)]
        if may_be_secret(capture.subject):
            forbidden.append("boundary/secret")
        if forbidden:
            digest.refuse(forbidden[0], capture.origin)
        elif broken and not wanted.invalid:
            digest.refuse(broken[0], capture.origin)
        elif not is_subject(subject):
            digest.refuse("not a subject to publish to", capture.origin)
        else:
            digest.events += 1
            bundle_from = None
            if before is not None and not broken:
                bundle_from = spool_name(PreparedEvent.from_checked(before.event))
            yield _Ready(capture, subject, bundle_from)


def matches(pattern: str, subject: str) -> bool:
    """Return whether a subject matches a NATS pattern: '*' is one token, a final '>' all the rest."""
    wanted, tokens = pattern.split("."), subject.split(".")
    if wanted[-1] == ">":
        wanted = wanted[:-1]
        if len(tokens) <= len(wanted):
            return False
        tokens = tokens[: len(wanted)]
    return len(wanted) == len(tokens) and all(one in {"*", other} for one, other in zip(wanted, tokens, strict=True))


def is_subject(subject: str) -> bool:
    """Return whether a message may be published there: no wildcard, no white space, no subject of the server ($)."""
    return _SUBJECT.fullmatch(subject) is not None and not subject.startswith("_INBOX.")
