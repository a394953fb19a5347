"""The table of docs/reliability.md: a row for each fault whose tests ran and passed.

A test says which fault it is and what was done: `@pytest.mark.fault(5, "injection", "outcome")`; the rig adds how
long the recovery took. Tests of one fault make one row together. A table with a gap is not written.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FAULTS = {
    1: "Worker killed before the blob is stored",
    2: "Worker killed between blob and reference",
    3: "Worker killed between reference and follow-up event",
    4: "Worker killed between follow-up event and acknowledgement",
    5: "nats-server killed under load",
    6: "nats-server frozen",
    7: "Link to NATS silently dead, or flapping",
    8: "Acknowledgements lost",
    9: "nats-server in lame-duck mode, another takes over",
    10: "Follow-up stream full or missing",
    11: "Consumer or stream deleted and recreated",
    12: "Store down",
    13: "Store answers 503, 500, 429, 507",
    14: "Object stored, answer lost",
    15: "Answer slower than the time-out; the write lands later",
    16: "Upload cut short",
    17: "Bit flipped in flight",
    18: "Store confirms a write and holds something else",
    19: "Store ignores or refuses conditional writes",
    20: "Several workers get one event",
    21: "Credentials rotated, access denied, clock wrong",
    22: "Worker's disk full",
    23: "Store's disk full",
    24: "Bundle late, half-written, replaced, deleted",
    25: "Hostile spool",
    26: "Hostile events",
    28: "Events published twice",
    29: "Burst; workers added, removed, restarted",
    30: "Wrong certificates",
    31: "nats-server with js_ack_fc_v2",
    32: "Power loss: the end of the stream's file is gone",
    33: "Stream deleted and recreated: ids count from 1 again",
    34: "Bundles, or the spool, that the worker may not read",
    35: "Archiver away for longer than the bundle deadline; spool not mounted",
}
"""Number in the project's list of faults -> what goes wrong. 27 is about re-running commands, which is not built."""

_STEPS_S = (1, 2, 5, 10, 20, 30, 60, 120, 300)
_HEAD = """\
# Reliability

The promise: every event that was published ends as exactly one reference whose blob reads back with the right
SHA-256, and at least one follow-up event; or, if it can never be archived, as exactly one dead letter with the
reason. Trouble of the store or of NATS never costs an event.

A row with **does not hold** has a test that shows that the promise is not kept yet.

Each row is one or more tests against a real nats-server, a real SeaweedFS and real worker processes. After each run
an oracle, with separate clients, checks every event in the publisher's ledger: its reference, blob and follow-up event,
or its dead letter; a drained consumer; and no object that no event accounts for.

The time to recover is measured from the end of the fault (for a killed worker: from when the next one is ready) to the
oracle's verdict. It is the longest of the row's tests, rounded up to 1, 2, 5, 10, … seconds. Some tests use a shorter
setting than production (ack wait 1 s instead of 60 s).

`make faults` runs all tests and writes this page.

| # | fault | injection | outcome | time to recover (s) |
|--:|---|---|---|--:|
"""


@dataclass(frozen=True)
class Told:
    """What one test has to say of its fault; `recovered_s` is None where nothing has to recover.

    `broken` is why the test is expected to fail, or '': the promise is known not to hold there.
    """

    number: int
    injection: str
    outcome: str
    recovered_s: float | None
    broken: str = ""


def gaps(told: Iterable[Told]) -> list[int]:
    """List the faults of which no test passed."""
    return sorted(FAULTS.keys() - {each.number for each in told if not each.broken})


def write(path: Path, told: list[Told]) -> None:
    """Write the page."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(_HEAD + "".join(_row(number, told) for number in FAULTS), "utf-8")


def rounded(seconds: float) -> str:
    """Round up, so that the page stays the same on a busier machine."""
    place = bisect_left(_STEPS_S, seconds)
    return f"≤ {_STEPS_S[place]}" if place < len(_STEPS_S) else f"> {_STEPS_S[-1]}"


def _outcome(told: Told) -> str:
    return f"**does not hold** for {told.injection}: {told.broken}" if told.broken else told.outcome


def _row(number: int, told: list[Told]) -> str:
    mine = sorted((each for each in told if each.number == number), key=lambda each: (each.injection, each.outcome))
    times = [each.recovered_s for each in mine if each.recovered_s is not None and not each.broken]
    cells: list[Any] = [
        number,
        FAULTS[number],
        "<br>".join(dict.fromkeys(each.injection for each in mine)),
        "<br>".join(dict.fromkeys(_outcome(each) for each in mine)),
        rounded(max(times)) if times else "",
    ]
    return f"| {' | '.join(str(cell) for cell in cells)} |\n"
