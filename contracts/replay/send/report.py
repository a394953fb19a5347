"""What a run came to, as data; the command line shows it, and `report.schema.json` describes its JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from contracts.errors import Exit

REPORT_VERSION: Final = "1"
"""Changes when a reader of the report would have to."""
SCHEMA_FILE: Final = Path(__file__).parent / "report.schema.json"
"""JSON Schema 2020-12 of the report."""
_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Archived:
    """What was archived of the events that were confirmed; an event that was sent twice counts once.

    The latencies are from the confirmation to the announcement, in seconds, as both were seen here; None where
    none was seen. One that was missed, and found in a stream afterwards, counts as archived and has no latency.
    `never` are the keys of the events that were not announced in time.
    """

    awaited: int
    archived: int
    never: tuple[str, ...]
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """The outcome of all messages of a run, of all its processes; the measurements are of the last process.

    `sent` went out at least once, `retried` more than once. `confirmed`, `duplicate`, `refused` and `unknown` add up
    to `sent`, and to `messages` when the run is complete; see `sending.Status`. `reasons` are of those that were
    refused or are unknown. `rate_per_s` is over the time from the first message to the last confirmation.
    """

    run_id: str
    target: str
    url: str
    messages: int
    confirmed: int
    duplicate: int
    refused: int
    unknown: int
    retried: int
    reasons: Mapping[str, int]
    resumed: bool
    took_s: float
    rate_per_s: float
    longest_gap_s: float
    archived: Archived | None = None

    @property
    def sent(self) -> int:
        """How many messages went out, once or more often."""
        return self.confirmed + self.duplicate + self.refused + self.unknown

    @property
    def exit_code(self) -> Exit:
        """`OK` where the target has every message, and everything that was awaited was archived."""
        missing = self.messages - self.confirmed - self.duplicate
        return Exit.BROKEN if missing or (self.archived and self.archived.never) else Exit.OK

    def to_json(self) -> dict[str, Any]:
        """Return the machine report as JSON data."""
        passes = self.exit_code is Exit.OK
        return {"report_version": REPORT_VERSION, "passes": passes, "sent": self.sent, **asdict(self)}

    def rows(self) -> list[tuple[str, str]]:
        """Return the lines of the final table: a name, and what was counted or measured."""
        rows = [
            (name, f"{count:,}")
            for name, count in (
                ("sent", self.sent),
                ("confirmed", self.confirmed),
                ("duplicate", self.duplicate),
                ("refused", self.refused),
                ("unknown", self.unknown),
                ("retried", self.retried),
            )
        ]
        rows += [("rate", f"{self.rate_per_s:,.1f}/s"), ("longest gap", f"{self.longest_gap_s:.3f} s")]
        if self.archived is not None:
            told = self.archived
            rows.append(("archived", f"{told.archived:,} of {told.awaited:,}"))
            rows += [
                (f"archived within, {name}", "-" if each is None else f"{each:.3f} s")
                for name, each in (("p50", told.p50_s), ("p95", told.p95_s), ("p99", told.p99_s))
            ]
            rows += [("never archived", key) for key in told.never[:_SHOWN]]
            if len(told.never) > _SHOWN:
                rows.append(("never archived", f"and {len(told.never) - _SHOWN:,} more"))
        rows += [("why", f"{why}: {count:,}") for why, count in sorted(self.reasons.items(), key=lambda each: -each[1])]
        return rows
