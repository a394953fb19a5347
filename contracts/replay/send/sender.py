"""What a sender promises: every message that it was given gets an outcome, and none gets two."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol

from contracts.replay.plan.messages import Outgoing


class Status(StrEnum):
    """What became of a message."""

    CONFIRMED = "confirmed"
    """The target confirmed it."""
    DUPLICATE = "duplicate"
    """The target had it already under this identity: an earlier try had arrived."""
    REFUSED = "refused"
    """The target rejected it for good, and does not have it."""
    UNKNOWN = "unknown"
    """It may or may not have arrived, and sending it again could duplicate it."""


class SendOutcome(NamedTuple):
    """What became of a message: its `sequence` in the stream; `detail` is the reason, or the HTTP status."""

    status: Status
    sequence: int | None = None
    detail: str = ""
    tries: int = 1


Settle = Callable[[Outgoing, SendOutcome], None]
"""Called once for each message that was sent."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """What could be found out about messages that an interrupted process may have sent.

    `found` are those that arrived, number -> sequence. The others `may_go_again` where they did not arrive, or where
    the target takes a second copy under the same identity for the first.
    """

    may_go_again: bool
    found: Mapping[int, int] = field(default_factory=dict)


class Sender(Protocol):
    """One connection to a target. Its constructor is given a `Settle`; an outage is waited for, however long."""

    position: int | None
    """The last sequence of the target's stream when the sender was opened, None where there is no stream."""

    async def recall(self, after: int | None, is_wanted: Callable[[int], bool]) -> Recalled:
        """Find out which wanted numbers arrived; `after` is the stream's last sequence when the run began."""

    async def send(self, message: Outgoing) -> None:
        """Have a message on its way; waits while as many as may be are not settled.

        Raises:
            Unreachable: the target will not take anything of this run as it is.
        """

    async def finish(self) -> None:
        """Return when everything that was sent is settled.

        Raises:
            Unreachable: as of `send`.
        """

    async def close(self) -> None:
        """Close the connection, also with messages under way."""
