"""Carry out a run: everything in its plan that is not accounted for yet, each message once, at its moment."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.bus.access import NatsAccess
from contracts.errors import BadInput
from contracts.model.rfc3339 import format_rfc3339
from contracts.model.url import origin
from contracts.replay.plan.messages import Outgoing, ReplayRun, read_messages, read_run
from contracts.replay.send.journal import Journal
from contracts.replay.send.pacer import Pacer
from contracts.replay.send.report import Archived, ReplayReport
from contracts.replay.send.sender import Recalled, Sender, SendOutcome, Status
from contracts.replay.send.webhook import WebhookSender
from contracts.replay.target.webhook import Webhook

if TYPE_CHECKING:
    from contracts.replay.send.archived import Awaited

_INTERRUPTED = "it was on its way when the process ended, and nothing can tell whether it arrived"


async def execute(
    folder: Path,
    *,
    access: NatsAccess | Webhook,
    concurrency: int,
    await_archived_s: float | None = None,
    progress: Callable[[int], object] | None = None,
) -> ReplayReport:
    """Send what is left of the run in a folder: all of it, or the rest of one that was interrupted.

    `access` reaches the target that the plan names, and is written nowhere. At most `concurrency` messages are not
    settled at once. `await_archived_s` is how long after the last confirmation an announcement may come, in seconds;
    None does not wait. `progress` is called with the number of newly settled messages.

    Raises:
        BadInput: no plan, a damaged journal, another process at it, or access to another target than the plan's.
        Unreachable: the target cannot be reached, or takes nothing of this run; resume it later.
    """
    run = read_run(folder)
    if not run.is_for(access.place):
        raise BadInput(f"the plan in {folder} is for {origin(run.url)}, and {run.target} is {access.place} now")
    if await_archived_s is not None and isinstance(access, Webhook):
        raise BadInput("--await-archived needs a target that is NATS: an archiver announces nothing to a webhook")
    with Journal(folder, run, progress) as journal:
        return await _Execution(run, journal).carry_out(folder, access, concurrency, await_archived_s)


class _Execution:
    def __init__(self, run: ReplayRun, journal: Journal) -> None:
        self._run, self._journal = run, journal
        self._pacer = Pacer()
        self._awaited: Awaited | None = None
        self._took_s = self._rate_per_s = 0.0

    async def carry_out(
        self, folder: Path, access: NatsAccess | Webhook, concurrency: int, await_archived_s: float | None
    ) -> ReplayReport:
        archived: Archived | None = None
        sender = await self._open(access, concurrency, is_awaited=await_archived_s is not None)
        try:
            if self._awaited is not None:
                for subject in {message.subject for message in read_messages(folder)}:
                    await self._awaited.listen(subject)
            self._journal.begin(sender.position, format_rfc3339(datetime.now(UTC), "milliseconds"))
            recalled = Recalled(may_go_again=True)
            if self._journal.is_resumed:
                recalled = await sender.recall(self._journal.after_sequence, self._is_open)
            before, began = self._journal.tally.total(), time.monotonic()
            await self._send_all(folder, sender, recalled, concurrency)
            await sender.finish()
            self._took_s = time.monotonic() - began
            self._rate_per_s = (self._journal.tally.total() - before) / self._took_s
            if self._awaited is not None and await_archived_s is not None:
                archived = await self._awaited.finish(await_archived_s)
        finally:
            await sender.close()
        self._journal.flush()
        return self._report(archived)

    async def _open(self, access: NatsAccess | Webhook, most: int, *, is_awaited: bool) -> Sender:
        if isinstance(access, Webhook):
            return WebhookSender(access, self._run, most=most, settle=self._settle)
        # Imported here: they need the driver, and a webhook does not.
        from contracts.replay.send.archived import Awaited  # noqa: PLC0415
        from contracts.replay.send.core_nats import CoreSender  # noqa: PLC0415
        from contracts.replay.send.jetstream import JetStreamSender  # noqa: PLC0415

        kind = CoreSender if self._run.stream is None else JetStreamSender
        sender: CoreSender | JetStreamSender = await kind.open(access, self._run, most=most, settle=self._settle)
        if is_awaited:
            self._awaited = Awaited(sender.client)
        return sender

    async def _send_all(self, folder: Path, sender: Sender, recalled: Recalled, most: int) -> None:
        journal, pacer, awaited = self._journal, self._pacer, self._awaited
        is_paced = self._run.lasts_s > 0
        ahead = 1 if is_paced else most
        for message in read_messages(folder):
            number = message.number
            if journal.is_settled(number):
                continue
            if number in recalled.found:
                self._settle(message, SendOutcome(Status.CONFIRMED, recalled.found[number]))
                continue
            if number < journal.sent_before and not recalled.may_go_again:
                self._settle(message, SendOutcome(Status.UNKNOWN, detail=_INTERRUPTED))
                continue
            if is_paced:
                await pacer.until(message.due_s)
            if awaited is not None:
                awaited.sending(message)
            if number >= journal.sending_below:
                journal.sending(number + ahead)
            await sender.send(message)
            pacer.went_out()

    def _is_open(self, number: int) -> bool:
        return 0 <= number < self._run.messages and not self._journal.is_settled(number)

    def _settle(self, message: Outgoing, outcome: SendOutcome) -> None:
        self._journal.settle(message.number, outcome)
        if self._awaited is None:
            return
        if outcome.status in (Status.CONFIRMED, Status.DUPLICATE):
            self._awaited.confirmed(message)
        else:
            self._awaited.given_up(message)

    def _report(self, archived: Archived | None) -> ReplayReport:
        run, journal, tally = self._run, self._journal, self._journal.tally
        return ReplayReport(
            run_id=run.run_id,
            target=run.target,
            url=run.url,
            messages=run.messages,
            confirmed=tally[Status.CONFIRMED],
            duplicate=tally[Status.DUPLICATE],
            refused=tally[Status.REFUSED],
            unknown=tally[Status.UNKNOWN],
            retried=journal.retried,
            reasons=dict(journal.reasons),
            resumed=journal.is_resumed,
            took_s=self._took_s,
            rate_per_s=self._rate_per_s,
            longest_gap_s=self._pacer.longest_gap_s,
            archived=archived,
        )
