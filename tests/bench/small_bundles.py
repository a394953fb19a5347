"""Benchmark: small bundles through the whole order of one worker, beside tools that only upload.

Ours validates, uploads blob and reference, reads the blob back, announces and acknowledges with confirmation; s5cmd
and rclone upload the same two objects per event from files. In turns, on the same two servers. The worker's CPU is
that of its process but for its start. The store's own is told beside each, since all share the machine's cores.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import random
import shutil
import tempfile
from collections import defaultdict
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import nats
from nats.js.errors import NotFoundError

from archiver.dev_servers import NatsServer, S3Server
from tests.bench.process import Seen, cpu_s_of, run
from tests.bench.rows import Row, ratios
from tests.e2e.kit import BIN, STREAM
from tests.faults import publisher
from tests.faults.kit import Rig
from tests.faults.ledger import Entry, alive

BYTES = 8192
AT_ONCE = 16
THREADS = {"main": "the event loop", "others": "all other threads"}


def measure(arguments: list[str]) -> list[Row]:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    told = parser.parse_args(arguments)
    rates: dict[str, list[float]] = defaultdict(list)
    cpu_s: dict[str, list[float]] = defaultdict(list)
    store_cpu_s: dict[str, list[float]] = defaultdict(list)
    threads: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        home = Path(folder)
        with NatsServer(home / "nats") as bus, S3Server(home / "s3") as store:
            rig = Rig.make(bus, store, home)
            for number in range(told.rounds):
                these = made(told.events, seed=number)
                worked = archived(rig, these, number)
                for name, cost in {"archiver run": worked.cost, **uploaded(rig, these, number)}.items():
                    rates[name].append(cost.rate)
                    cpu_s[name].append(1000 * cost.cpu_s / told.events)
                    store_cpu_s[name].append(1000 * cost.store_cpu_s / told.events)
                for name, cpu in worked.by_thread.items():
                    threads[name].append(1000 * cpu / told.events)
    size = {"note": f"{told.events:,} events of {BYTES:,} bytes", "is_full": told.events >= 2000 and told.rounds >= 5}
    ours = rates["archiver run"]
    return [
        Row("8 KB bundles, whole order, events/s of what s5cmd uploads", ratios(ours, rates["s5cmd"]), bar=1.0, **size),
        Row("8 KB bundles, events/s of what rclone uploads", ratios(ours, rates["rclone"]), bar=1.2, **size),
        Row("worker's CPU for 1,000 events", cpu_s.pop("archiver run"), "s", bar=1.3, at_most=True, **size),
        *(
            Row(f"worker's CPU for 1,000 events, of these: {THREADS.get(name, name)}", each, "s", **size)
            for name, each in threads.items()
        ),
        *(Row(f"small bundles: {name}", each, "events/s", **size) for name, each in rates.items()),
        *(Row(f"CPU for 1,000 events: {name}", each, "s", **size) for name, each in cpu_s.items()),
        *(Row(f"the store's CPU for 1,000 events: {name}", each, "s", **size) for name, each in store_cpu_s.items()),
    ]


def made(count: int, *, seed: int, first: int = 0) -> list[Entry]:
    """Make events, each with a bundle of its own: number `first` of this seed, and those after it."""
    dice = random.Random(f"{seed} {first}")
    moments = (datetime.fromtimestamp(1_700_000_000 + seed * 1_000_000 + first + each, UTC) for each in range(count))
    return [alive(text(dice), occurred_at=moment.strftime("%Y-%m-%dT%H:%M:%SZ")) for moment in moments]


def text(dice: random.Random) -> bytes:
    words = " ".join(f"{dice.getrandbits(32):08x}" for _ in range(BYTES // 9 + 1))
    return words.encode()[:BYTES]


class Cost(NamedTuple):
    """Events a second, and CPU seconds: its own and the store's."""

    rate: float
    cpu_s: float
    store_cpu_s: float


def uploaded(rig: Rig, these: list[Entry], number: int) -> dict[str, Cost]:
    """Have each peer upload what the worker stored; return what it cost."""
    files = rig.home / f"files-{number}"
    files.mkdir()
    references = rig.objects("refs/").values()
    for index, (entry, reference) in enumerate(zip(these, references, strict=True)):
        (files / f"{entry.digest}.md").write_bytes(entry.bundle)
        (files / f"{index}.json").write_bytes(reference)
    measured = {}
    for name, command in peers(rig, files, number).items():
        before_s = cpu_s_of(rig.store.pid)
        took = run(command, log=rig.home / "peer.log", env=environment(rig))
        measured[name] = Cost(len(these) / took.wall_s, took.cpu_s, cpu_s_of(rig.store.pid) - before_s)
    shutil.rmtree(files)
    return measured


def peers(rig: Rig, files: Path, number: int) -> dict[str, list[str | Path]]:
    url, bucket = rig.store.url, rig.store.bucket
    remote = f":s3,provider=Other,env_auth=true,endpoint='{url}':{bucket}/rclone-{number}"
    return {
        "s5cmd": [
            *(BIN / "s5cmd", "--endpoint-url", url, "--numworkers", str(AT_ONCE), "cp"),
            *(f"{files}/*", f"s3://{bucket}/s5cmd-{number}/"),
        ],
        "rclone": [
            *(BIN / "rclone", "copy", files, remote, "--transfers", str(AT_ONCE), "--checkers", str(AT_ONCE)),
            *("--no-traverse", "--s3-no-check-bucket", "--config", "/dev/null"),
        ],
    }


class Worked(NamedTuple):
    """Of one worker, from first to last event: what it cost, and its CPU seconds by thread; all without its start.

    Its peak memory is of the whole process.
    """

    cost: Cost
    by_thread: dict[str, float]
    peak_mib: float


def archived(rig: Rig, these: list[Entry], number: int, archiver: Path = BIN / "archiver") -> Worked:
    """Have a worker archive these; what it needs to start, measured with nothing to do, is taken off its CPU time."""
    rig.prefix = f"bench-{number}"
    rig.environment |= {"ARCHIVER_PREFIX": rig.prefix, "ARCHIVER_ACK_WAIT_S": "60", "ARCHIVER_SLOTS": str(AT_ONCE)}
    asyncio.run(forget(rig))
    rig.init()
    log, started, seen = rig.home / "worker.log", Seen(), Seen()
    start = run([archiver, "run", "--until-idle"], log=log, env=environment(rig), seen=started)
    asyncio.run(publisher.publish(rig.nats.url, rig.spool, these, per_s=math.inf, within_s=120))
    before_s = cpu_s_of(rig.store.pid)
    took = run([archiver, "run", "--until-idle"], log=log, env=environment(rig), seen=seen)
    store_cpu_s = cpu_s_of(rig.store.pid) - before_s
    told = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    moments = [datetime.fromisoformat(each["timestamp"]) for each in told if each["event"] in {"ready", "archived"}]
    assert len(moments) == len(these) + 1, f"{len(moments) - 1} of {len(these)} archived"
    rate = len(these) / (max(moments) - min(moments)).total_seconds()
    at_start = started.cpu_s_by_thread()
    by_thread = {name: cpu_s - at_start.get(name, 0) for name, cpu_s in seen.cpu_s_by_thread().items()}
    return Worked(Cost(rate, took.cpu_s - start.cpu_s, store_cpu_s), by_thread, took.peak_mib)


def environment(rig: Rig) -> dict[str, str]:
    return os.environ | rig.environment | {"AWS_REGION": "us-east-1"}


async def forget(rig: Rig) -> None:
    client = await nats.connect(rig.nats.url)
    with suppress(NotFoundError):
        await client.jetstream().delete_stream(STREAM)
    await client.close()
