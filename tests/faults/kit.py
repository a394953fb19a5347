"""The rig: the end-to-end kit, a ledger of what was published, and the oracle that judges the end."""

from __future__ import annotations

import asyncio
import math
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nats.aio.client import Client

from archiver.bundles.nats_object_store import ensure_object_store
from archiver.dev_servers import NatsServer
from tests.e2e.kit import Kit, Started
from tests.faults import publisher
from tests.faults.ledger import Entry, Ledger, entries
from tests.faults.oracle import Oracle

DRAINED_WITHIN_S = 60.0


class TunedNats(NatsServer):
    """A nats-server with more in its configuration file: `settings` are added to the usual ones at each start."""

    settings: Mapping[str, Any] = MappingProxyType({})

    def write_private(self, name: str, content: Mapping[str, object]) -> Path:
        return super().write_private(name, {**content, **self.settings})

    def has_ended(self) -> bool:
        assert self._process is not None
        return self._process.poll() is not None

    def restart(self, **settings: Any) -> None:
        self.stop()
        self.settings = settings
        self.start()


@dataclass
class Rig(Kit):
    """A kit whose emitter keeps a ledger. `recovered_s` is how long the last recovery took."""

    nats: TunedNats
    ledger: Ledger = field(default_factory=Ledger)
    recovered_s: float | None = None
    healed_at: float | None = None

    @property
    def spool(self) -> Path:
        return self.home / "spool"

    @property
    def oracle(self) -> Oracle:
        return Oracle(self.nats, self.store, self.prefix)

    # Before the fault

    def emit(self, *these: Entry, spool: bool = True) -> list[Entry]:
        """Publish these events, their bundles left first unless `spool` is false; returns when all are confirmed."""
        self.ledger.note(*these)
        place = self.spool if spool else None
        asyncio.run(publisher.publish(self.nats.url, place, these, per_s=math.inf, within_s=60.0))
        return list(these)

    def emit_many(self, count: int) -> list[Entry]:
        """Spool and publish `count` events that were not there before."""
        return self.emit(*entries(count, first=len(self.ledger)))

    def emitting(self, count: int, *, per_s: float, within_s: float = 60.0) -> AbstractContextManager[None]:
        """Publish `count` events in the background while the block lasts, whatever happens to the bus."""
        these = entries(count, first=len(self.ledger))
        self.ledger.note(*these)
        return publisher.publishing(self.nats.url, self.spool, these, per_s=per_s, within_s=within_s)

    def failing_worker(self, *failpoints: str, **changes: str | None) -> Started:
        """Start a worker with failpoints, such as `after blobs: kill`; see `failpoints.py`."""
        return self.start("python", "-m", "tests.faults.failpoints", *failpoints, **changes)

    def acknowledged(self) -> int:
        """Return up to which place in the stream every event is acknowledged."""
        return self.consumer().ack_floor.stream_seq or 0

    # After it

    @contextmanager
    def recovery(self) -> Iterator[None]:
        """Measure the block: from the end of the fault until what it waits for."""
        began = time.monotonic()
        yield
        self.recovered_s = time.monotonic() - began

    def healed(self) -> None:
        """Say that the fault is over, where more is to be done before `settle`: the recovery counts from here."""
        self.healed_at = time.monotonic()

    def settle(self, within_s: float = DRAINED_WITHIN_S) -> None:
        """Have the oracle wait until all is done and judge; the recovery is from `healed`, or else from this call."""
        began = self.healed_at or time.monotonic()
        self.judge(within_s)
        self.recovered_s = time.monotonic() - began

    def judge(self, within_s: float = DRAINED_WITHIN_S) -> None:
        """Have the oracle judge; every event of the ledger has to be whole."""
        verdict = self.oracle.judge(self.ledger, within_s=within_s)
        print(verdict)
        assert not verdict.damage, f"{verdict}\n{self.said()}"

    def said(self) -> str:
        """Return the last lines of every worker, for a failure's report."""
        tails = (f"--- {each.err.name}\n" + "\n".join(each.err.read_text().splitlines()[-8:]) for each in self.started)
        return "\n".join(tails)

    def stop(self, worker: Started) -> None:
        """Tell a worker to stop; it has to end in order."""
        worker.signal(signal.SIGTERM)
        assert worker.ended() == 0, worker.err.read_text()


def is_frozen(worker: Started) -> bool:
    """Say whether a worker stands still, as after SIGSTOP."""
    return stands_still(worker.process.pid)


def stands_still(pid: int) -> bool:
    told = Path(f"/proc/{pid}/stat").read_text("ascii")
    return told.rpartition(")")[2].split()[0] == "T"


async def put(client: Client, entry: Entry) -> None:
    """Leave a bundle in the object store."""
    await ensure_object_store(client, "KAIZEN_BUNDLES")
    store = await client.jetstream().object_store("KAIZEN_BUNDLES")
    await store.put(entry.spool_name, entry.bundle)
