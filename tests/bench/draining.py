"""A stream in which events wait, and when a worker archived each of them."""

from __future__ import annotations

import asyncio
import json
import math
from datetime import datetime
from pathlib import Path

from tests.bench.process import Seen, run
from tests.bench.small_bundles import environment, forget, made
from tests.e2e.kit import BIN
from tests.faults import publisher
from tests.faults.kit import Rig

_AT_A_TIME = 5000


def waiting(rig: Rig, count: int, *, seed: int, slots: int) -> None:
    """Make a stream in which `count` events wait, and an archive that knows none of them."""
    rig.prefix = f"bench-{seed}"
    rig.environment |= {"ARCHIVER_PREFIX": rig.prefix, "ARCHIVER_ACK_WAIT_S": "60", "ARCHIVER_SLOTS": str(slots)}
    asyncio.run(forget(rig))
    rig.init()
    for start in range(0, count, _AT_A_TIME):
        these = made(min(_AT_A_TIME, count - start), seed=seed, first=start)
        asyncio.run(publisher.publish(rig.nats.url, rig.spool, these, per_s=math.inf, within_s=300))


def archived(log: Path) -> list[float]:
    """Return when each event was archived, in order."""
    with log.open(encoding="utf-8") as lines:
        told = (json.loads(line) for line in lines if '"archived"' in line)
        moments = [each["timestamp"] for each in told if each["event"] == "archived"]
    return sorted(datetime.fromisoformat(moment).timestamp() for moment in moments)


def drained(rig: Rig) -> tuple[list[float], list[tuple[float, float]]]:
    """Have one worker drain the stream; return when each event was archived, and (when, MiB) of its memory."""
    log, seen = rig.home / "worker.log", Seen()
    run([BIN / "archiver", "run", "--until-idle"], log=log, env=environment(rig), seen=seen)
    return archived(log), seen.memory
