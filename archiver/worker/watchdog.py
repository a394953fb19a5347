"""What to do about a bus that is connected and does not answer.

Each request for messages is answered, with messages or with its end, so silence means trouble that the
connection does not show: a subscription that the server lost, a server that hangs. An outage is no stall: the
connection is gone then, and comes back by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from structlog.typing import FilteringBoundLogger

from archiver.core.errors import BusSilent
from archiver.ports import Inbox

RESUBSCRIBE_AT: Final = 5
RECONNECT_AT: Final = 10
GIVE_UP_AT: Final = 20
"""Unanswered requests in a row, of two seconds each."""


@dataclass(slots=True)
class Watchdog:
    """Counts silences in a row, and takes a stronger remedy as they go on."""

    inbox: Inbox
    log: FilteringBoundLogger
    _silences: int = 0

    def heard(self) -> None:
        """Note that the bus answered."""
        self._silences = 0

    async def silent(self, error: BusSilent) -> None:
        """Note that it did not.

        Raises:
            BusSilent: nothing helped; the process should end, and its supervisor start a fresh one.
        """
        self._silences += 1
        if self._silences == RESUBSCRIBE_AT:
            self.log.warning("the bus is silent; resubscribing", unanswered=self._silences)
            await self.inbox.resubscribe()
        elif self._silences == RECONNECT_AT:
            self.log.warning("the bus is silent; reconnecting", unanswered=self._silences)
            await self.inbox.reconnect()
        elif self._silences >= GIVE_UP_AT:
            self.log.error("the bus is silent; giving up", unanswered=self._silences)
            raise error
