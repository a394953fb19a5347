"""Benchmark: small bundles through the whole order of one worker, beside tools that only upload.

Ours validates, uploads blob and reference, reads the blob back, announces and acknowledges with confirmation; s5cmd
and rclone upload the same two objects per event from files. In turns, on the same two servers; prints medians,
ratios with their spread, and the worker's CPU time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from archiver.embedded import NatsServer, S3Server
from tests.e2e.kit import BIN, STREAM
from tests.faults import publisher
from tests.faults.kit import Rig
from tests.faults.ledger import Entry, alive

BYTES = 8192
AT_ONCE = 16


@dataclass
class Measured:
    """One contender: events a second and CPU seconds for 1,000 events, by round."""

    rates: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    told = parser.parse_args()
    results: dict[str, Measured] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        home = Path(folder)
        with NatsServer(home / "nats") as nats, S3Server(home / "s3") as store:
            rig = Rig.make(nats, store, home)
            for number in range(told.rounds):
                these = made(told.events, seed=number)
                for name, rate, cpu_s in one_round(rig, these, number):
                    measured = results.setdefault(name, Measured())
                    measured.rates.append(rate)
                    measured.cpu_s.append(cpu_s / told.events * 1000)
    print(f"{told.events:,} events of {BYTES:,} bytes, median of {told.rounds} rounds in turns")
    ours = results["archiver run"]
    for name, measured in results.items():
        ratios = [mine / theirs for mine, theirs in zip(ours.rates, measured.rates, strict=True)]
        print(
            f"{name:14} {median(measured.rates):6.0f} events/s   {median(measured.cpu_s):5.2f} CPU s per 1,000   "
            f"ours / this {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        )


def made(count: int, *, seed: int) -> list[Entry]:
    dice = random.Random(seed)
    moments = (datetime.fromtimestamp(1_700_000_000 + seed * 1_000_000 + each, UTC) for each in range(count))
    return [alive(text(dice), occurred_at=moment.strftime("%Y-%m-%dT%H:%M:%SZ")) for moment in moments]


def text(dice: random.Random) -> bytes:
    words = " ".join(f"{dice.getrandbits(32):08x}" for _ in range(BYTES // 9 + 1))
    return words.encode()[:BYTES]


def one_round(rig: Rig, these: list[Entry], number: int) -> list[tuple[str, float, float]]:
    """Return (name, events a second, CPU seconds) of each contender."""
    measured = [("archiver run", *archived(rig, these, number))]
    files = rig.home / f"files-{number}"
    files.mkdir()
    references = [body for key, body in rig.objects("refs/").items() if key]
    for index, (entry, reference) in enumerate(zip(these, references, strict=False)):
        (files / f"{entry.digest}.md").write_bytes(entry.bundle)
        (files / f"{index}.json").write_bytes(reference)
    for name, command in peers(rig, files, number).items():
        taken, cpu_s = timed(command, rig)
        measured.append((name, len(these) / taken, cpu_s))
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


def archived(rig: Rig, these: list[Entry], number: int) -> tuple[float, float]:
    """Return events a second between the first and the last, and the CPU time of the whole process but its start."""
    rig.prefix = f"bench-{number}"
    rig.environment |= {"ARCHIVER_PREFIX": rig.prefix, "ARCHIVER_ACK_WAIT_S": "60", "ARCHIVER_SLOTS": str(AT_ONCE)}
    asyncio.run(forget(rig))
    rig.init()
    _, start_s = timed([BIN / "archiver", "run", "--until-idle"], rig)
    asyncio.run(publisher.publish(rig.nats.url, rig.spool, these, per_s=math.inf, within_s=120))
    log = rig.home / "worker.log"
    _, cpu_s = timed([BIN / "archiver", "run", "--until-idle"], rig, log)
    told = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    moments = [datetime.fromisoformat(each["timestamp"]) for each in told if each["event"] in {"ready", "archived"}]
    assert len(moments) == len(these) + 1, f"{len(moments) - 1} of {len(these)} archived"
    return len(these) / (max(moments) - min(moments)).total_seconds(), cpu_s - start_s


async def forget(rig: Rig) -> None:
    from contextlib import suppress

    import nats
    from nats.js.errors import NotFoundError

    client = await nats.connect(rig.nats.url)
    with suppress(NotFoundError):
        await client.jetstream().delete_stream(STREAM)
    await client.close()


def timed(command: list[str | Path], rig: Rig, log: Path | None = None) -> tuple[float, float]:
    """Run to its end; return wall seconds and CPU seconds."""
    environment = os.environ | rig.environment | {"AWS_REGION": "us-east-1"}
    log = log or rig.home / "peer.log"
    with log.open("wb") as errors:
        start = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        taken = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command[0]} ended with {process.returncode}: {log.read_text('utf-8')[-1000:]}")
    return taken, usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
