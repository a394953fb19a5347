"""Turn one bus message into one verified reference.

The order is the promise:

    (1) validate  (2) look the reference up, if redelivered  (3) fetch and hash the bundle
    (4) store the blob  (5) read it back and hash again  (6) write the reference
    (7) announce kaizen.schedule.archived and wait for the confirmation  (8) acknowledge

A crash between two steps leads to redelivery, and every prefix of the order is harmless to repeat, because
both keys come from content (`core/keys.py`). Trouble of the store or the bus is never the event's fault: it
is retried for as long as it lasts. This module knows no driver; it speaks to `ports.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256

from archiver.archive import Archive
from archiver.core.announcement import ARCHIVED, archived_event, archived_id
from archiver.core.backoff import BUNDLE_NOT_THERE, INFRASTRUCTURE
from archiver.core.keys import ref_key
from archiver.core.outcome import Ack, Dead, DeadReason, Outcome, Retry
from archiver.core.reference import Reference, Source
from archiver.core.values import Message
from archiver.errors import BundleMissing, BundleRefused, BusUnavailable, DigestMismatch, StoreUnavailable
from archiver.ports import Announcer, BundleSource
from contracts import PreparedEvent, check_payload, format_rfc3339, load_contract


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The work for one message. `deadline_s` is how long a bundle may be late; `chance` gives [0, 1)."""

    archive: Archive
    bundles: BundleSource
    announcer: Announcer
    deadline_s: float
    chance: Callable[[], float]

    async def process(self, message: Message) -> Outcome:
        """Archive one message, or say why not now or never; every known failure is an outcome."""
        event = validate(message.payload, source=message.subject)  # (1)
        if isinstance(event, Dead):
            return event
        try:
            try:
                reference = await self.archive.find(event) if message.deliveries > 1 else None  # (2)
                repeated = reference is not None
                if reference is None:
                    reference = await self._archive(message, event)  # (3) to (6)
            except BundleMissing as error:
                # Late, lost, or archived before and released from the spool since.
                reference, repeated = await self.archive.find(event), True
                if reference is None:
                    return self._without_bundle(message, error)
            await self._announce(message, event, reference)  # (7)
        except BundleRefused as error:
            return Dead(DeadReason.BUNDLE_REFUSED, str(error))
        except (StoreUnavailable, BusUnavailable, DigestMismatch) as error:
            return Retry(INFRASTRUCTURE.delay_s(message.deliveries, self.chance()), str(error))
        bundle = reference.bundle
        return Ack(event.key, ref_key(event), bundle.key, bundle.bytes, repeated=repeated)  # (8) is the consumer's

    async def _archive(self, message: Message, event: PreparedEvent) -> Reference:
        async with self.bundles.open(event) as bundle:
            stored = await self.archive.store_bundle(event, bundle)
        # Only now, with the bundle closed, is it known that it did not change while it was read.
        return await self.archive.write_reference(event, _source(message), stored)

    async def _announce(self, message: Message, event: PreparedEvent, reference: Reference) -> None:
        if not reference.source.sequence:  # `archiver put` wrote it, which knows no stream; the contract asks for one
            reference = replace(reference, source=_source(message))
        payload = archived_event(reference, ref_key(event), prefix=self.archive.identity.prefix)
        await self.announcer.announce(ARCHIVED, payload, message_id=archived_id(event.key))

    def _without_bundle(self, message: Message, error: BundleMissing) -> Retry | Dead:
        # Counted from when the stream took the message: `occurred_at` is the emitter's word, and may be any.
        waited_s = (self.archive.clock.now() - message.received_at).total_seconds()
        if waited_s < self.deadline_s:
            return Retry(BUNDLE_NOT_THERE.delay_s(message.deliveries, self.chance()), str(error))
        return Dead(DeadReason.BUNDLE_MISSING, f"{error}, {waited_s:.0f} s after its event")


def validate(payload: bytes, *, source: str) -> PreparedEvent | Dead:
    """Check a payload as a consumer of kaizen.schedule.prepared does: step (1)."""
    contract = load_contract("kaizen.schedule.prepared@1")
    result = check_payload(payload, source=source, contract=contract, profile="consumer")
    if result.passes():
        return PreparedEvent.from_payload(result.payload)
    reason = DeadReason.CONTRACT_BROKEN if result.is_json else DeadReason.NOT_JSON
    return Dead(reason, "; ".join(str(each) for each in result.violations if each.severity == "error"))


def _source(message: Message) -> Source:
    return Source(
        subject=message.subject,
        stream=message.stream,
        sequence=message.sequence,
        msg_id=message.headers.get("Nats-Msg-Id", ""),
        received_at=format_rfc3339(message.received_at, "auto"),
        deliveries=message.deliveries,
        payload_sha256=sha256(message.payload).hexdigest(),
    )
