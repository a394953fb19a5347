"""Turn one bus message into one verified reference.

The order is the promise:

    (1) validate  (2) look the reference up, if redelivered  (3) fetch and hash the bundle
    (4) store the blob  (5) read it back and hash again  (6) write the reference
    (7) announce kaizen.schedule.archived and wait for the confirmation
    (8) release the source's copy of the bundle  (9) acknowledge

A crash between two steps leads to redelivery, and every prefix of the order is harmless to repeat, because
both keys come from content (`core/keys.py`). Trouble of the store, the bus or a bundle source is never the event's
fault: it is retried for as long as it lasts. A bundle that is missing, changes or cannot be read is its own event's
trouble, and is waited for until the deadline. This module knows no driver; it speaks to `ports.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, replace
from hashlib import sha256

from archiver.core.announcement import ARCHIVED, archived_event, archived_id
from archiver.core.backoff import BACKOFF
from archiver.core.bundle_wait import bundle_wait
from archiver.core.errors import (
    BundleMissing,
    BundleRefused,
    BundleUnreadable,
    BusUnavailable,
    DigestMismatch,
    ReferenceDamaged,
    SourceUnavailable,
    StoreUnavailable,
)
from archiver.core.keys import ref_key
from archiver.core.outcome import Ack, Cause, Dead, DeadReason, Outcome, Retry
from archiver.core.reference import Reference, Source
from archiver.core.replay import run_of
from archiver.core.values import Message
from archiver.ports import Announcer, Bundle, BundleSource
from archiver.worker.archive import Archive, digest_of
from archiver.worker.source_watch import SourceWatch
from contracts import PreparedEvent, check, load_contract
from contracts.toolkit import BUNDLE_SOURCE, REPLAY, format_rfc3339


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The work for one message.

    `deadline_s` is how long a bundle is looked for, in seconds; `release` is whether the source's copy of an archived
    bundle is deleted; `chance` returns a number in [0, 1).
    """

    archive: Archive
    bundles: BundleSource
    watch: SourceWatch
    announcer: Announcer
    deadline_s: float
    release: bool
    chance: Callable[[], float]

    async def process(self, message: Message) -> Outcome:
        """Archive one message, or return why not now or never; every known failure is an outcome."""
        event = validate(message.payload, source=message.subject)  # (1)
        if isinstance(event, Dead):
            return event
        try:
            return await self._process(message, event)
        except (BundleMissing, BundleUnreadable) as error:
            return await self._without_bundle(message, event, error)
        except BundleRefused as error:
            self.watch.found()
            return Dead(DeadReason.BUNDLE_REFUSED, str(error))
        except (StoreUnavailable, SourceUnavailable, BusUnavailable, DigestMismatch) as error:
            return self._retry(message, error)

    async def _process(self, message: Message, event: PreparedEvent) -> Ack:
        reference = None
        if message.deliveries > 1:
            with suppress(ReferenceDamaged):  # written again, while the bundle is there
                reference = await self._archived(event)  # (2)
        repeated, bundle = reference is not None, None
        if reference is None:
            try:
                reference, bundle = await self._archive(message, event)  # (3) to (6)
            except (BundleMissing, BundleUnreadable):
                # Late, lost, or archived before; what is left in the source no longer matters then.
                reference, repeated = await self._archived(event), True
                if reference is None:
                    raise
        await self._announce(message, event, reference)  # (7)
        stored = reference.bundle
        return Ack(
            event.key,
            ref_key(event),
            stored.key,
            stored.bytes,
            repeated=repeated,
            not_released=await self._release(message, event, reference, bundle),  # (8)
        )  # (9) is the consumer's

    async def _archived(self, event: PreparedEvent) -> Reference | None:
        """Look the reference up; None also where its blob has gone, so that the bundle is stored again."""
        reference = await self.archive.find(event)
        return reference if reference and await self.archive.holds(reference.bundle.key) else None

    async def _archive(self, message: Message, event: PreparedEvent) -> tuple[Reference, Bundle]:
        async with self._open(message, event) as bundle:
            self.watch.found(bundle.obtained_from)
            stored = await self.archive.store_bundle(event, bundle)
        # Only now, with the bundle closed, is it known that it did not change while it was read.
        return await self.archive.write_reference(event, _source(message), stored), bundle

    def _open(self, message: Message, event: PreparedEvent) -> AbstractAsyncContextManager[Bundle]:
        return self.bundles.open(event, message.headers.get(BUNDLE_SOURCE))

    async def _announce(self, message: Message, event: PreparedEvent, reference: Reference) -> None:
        if not reference.source.sequence:  # `archiver put` wrote it, which knows no stream; the contract asks for one
            reference = replace(reference, source=_source(message))
        payload = archived_event(reference, ref_key(event), prefix=self.archive.identity.prefix)
        run = run_of(message)
        name, headers = archived_id(event.key, run), {REPLAY: run} if run else None
        await self.announcer.announce(ARCHIVED, payload, message_id=name, headers=headers)

    async def _release(
        self, message: Message, event: PreparedEvent, reference: Reference, bundle: Bundle | None
    ) -> str:
        """Delete the source's copy, and return why it is still there, or ''; the event is archived either way."""
        if not self.release:
            return ""
        try:
            # None: archived by an earlier delivery, which may have ended before it came to this.
            copy = bundle or await self._archived_copy(message, event, reference)
            if copy is None:
                return "the source holds another bundle than the one archived"
            await copy.release()
        except BundleMissing:
            return ""
        except (BundleRefused, BundleUnreadable, SourceUnavailable) as error:
            return str(error)
        return ""

    async def _archived_copy(self, message: Message, event: PreparedEvent, reference: Reference) -> Bundle | None:
        async with self._open(message, event) as bundle:
            return bundle if await digest_of(bundle) == reference.bundle.sha256 else None

    async def _without_bundle(
        self, message: Message, event: PreparedEvent, error: BundleMissing | BundleUnreadable
    ) -> Retry | Dead:
        wait = bundle_wait(event.key, message.deliveries, self.deadline_s)
        looks = f"looked for {message.deliveries} times in {wait.looked_s:.0f} s"
        if isinstance(error, BundleUnreadable):
            self.watch.found()
            if wait.is_over:
                return Dead(DeadReason.BUNDLE_UNREADABLE, f"{error}; {looks}")
            return Retry(wait.next_s, error.cause, str(error), part="bundle")
        self.watch.missed(event.key)
        if wait.is_over and await self.watch.may_give_up(event.key):
            return Dead(DeadReason.BUNDLE_MISSING, f"{error}; {looks}")
        return Retry(wait.next_s, Cause.BUNDLE_NOT_THERE, str(error), part="bundle")

    def _retry(
        self, message: Message, error: StoreUnavailable | SourceUnavailable | BusUnavailable | DigestMismatch
    ) -> Retry:
        delay_s = BACKOFF[error.cause].delay_s(message.deliveries, self.chance())
        return Retry(delay_s, error.cause, str(error), part=error.part)


def validate(payload: bytes, *, source: str) -> PreparedEvent | Dead:
    """Check a payload as a consumer of kaizen.schedule.prepared does: step (1)."""
    contract = load_contract("kaizen.schedule.prepared@1")
    result = check(payload, source=source, contract=contract, profile="consumer")
    if result.passes():
        return PreparedEvent.from_checked(result.payload)
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
