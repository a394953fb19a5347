"""Benchmark: large bundles through one worker, beside tools that only upload.

Three of ours beside s5cmd, rclone and boto3, in turns, each round on servers of its own: `upload` is the worker's
store alone, hash and PUT as the peers do it; `upload and read back` is what the archive does with a bundle, in
which each read-back runs beside the next uploads; `archiver run` is the whole order. MB are 1,000,000 bytes; the best
peer is the one with the best median. Bundles are random bytes, which no compression helps, or with --text Markdown.

All store the same object, `text/markdown`: s5cmd and rclone tell that from the name, boto3 is told. SeaweedFS tries
to compress text, which costs an eighth of its rate.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from statistics import median

import boto3

from archiver.cli.run import fastest_loop
from archiver.core.keys import content_type
from archiver.dev_servers import NatsServer, S3Server
from contracts import PreparedEvent
from contracts.toolkit import spool_name
from tests.bench.process import Took, run
from tests.bench.rows import Row, ratios
from tests.e2e.kit import BIN, Kit
from tests.support.builders import event, payload_bytes

MIB = 1 << 20
AT_ONCE = 4
CONTENT_TYPE = content_type(".md")
PEERS = ("s5cmd", "rclone", "boto3")


@dataclass
class Round:
    """Servers of one round, and the bundles in the spool with their events."""

    kit: Kit
    bundles: list[Path]
    payloads: list[bytes]

    def environment(self) -> dict[str, str]:
        return os.environ | self.kit.environment | {"AWS_REGION": "us-east-1"}

    def run(self, *command: str | Path) -> tuple[Took, str]:
        """Run to its end; its log lines come with what it took."""
        said = self.kit.home / "said"
        took = run(command, log=said, env=self.environment())
        return took, said.read_text("utf-8")

    def measured_inside(self, what: str) -> Took:
        """Run one of the functions below in a process of its own, which says how long its work took."""
        took, said = self.run(sys.executable, "-m", "tests.bench.large_bundles", "--inside", what, *self.bundles)
        return took._replace(wall_s=float(said))

    def worked(self, archiver: Path = BIN / "archiver") -> Took:
        """Have a worker archive all of them: from `ready` to the last `archived`."""
        took, said = self.run(archiver, "run", "--until-idle")
        told = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
        moments = [datetime.fromisoformat(each["timestamp"]) for each in told if each["event"] in {"ready", "archived"}]
        assert len(moments) == len(self.bundles) + 1, said
        return took._replace(wall_s=(max(moments) - min(moments)).total_seconds())

    def contenders(self) -> dict[str, Took]:
        url, bucket, spool = self.kit.store.url, self.kit.store.bucket, self.kit.home / "spool"
        remote = f":s3,provider=Other,env_auth=true,endpoint='{url}':{bucket}/rclone"
        rclone = ("--transfers", str(AT_ONCE), "--no-traverse", "--s3-no-check-bucket", "--config", "/dev/null")
        turns = {
            "upload": lambda: self.measured_inside("upload"),
            "upload and read back": lambda: self.measured_inside("upload and read back"),
            "archiver run": self.worked,
            "s5cmd": lambda: self.run(BIN / "s5cmd", "--endpoint-url", url, "cp", f"{spool}/*", f"s3://{bucket}/s/")[0],
            "rclone": lambda: self.run(BIN / "rclone", "copy", spool, remote, *rclone)[0],
            "boto3": lambda: self.measured_inside("boto3"),
        }
        names = list(turns)
        random.shuffle(names)
        # The worker comes last: it takes its bundles out of the spool.
        names.sort(key=lambda name: name == "archiver run")
        return {name: turns[name]() for name in names}


def measure(arguments: list[str]) -> list[Row]:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bundles", type=int, default=20)
    parser.add_argument("--mib", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--text", action="store_true", help="Markdown, instead of what no compression helps")
    told = parser.parse_args(arguments)
    results: dict[str, list[Took]] = defaultdict(list)
    for number in range(told.rounds):
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            home = Path(folder)
            with NatsServer(home / "nats") as nats, S3Server(home / "s3") as store:
                made = make_round(Kit.make(nats, store, home), told.bundles, told.mib, number, text=told.text)
                for name, took in made.contenders().items():
                    results[name].append(took)
    full = told.rounds >= 5 and (told.bundles, told.mib) in {(20, 16), (1, 1024)}
    return rows(results, told.bundles, told.mib, is_full=full)


def make_round(kit: Kit, bundles: int, mib: int, seed: int, *, text: bool) -> Round:
    kit.environment |= {"ARCHIVER_ACK_WAIT_S": "60"}
    kit.init()
    dice = random.Random(seed)
    made = Round(kit, [], [])
    for number in range(bundles):
        moment = datetime.fromtimestamp(1_700_000_000 + seed * 1000 + number, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        payload = event(bundle={"bytes": mib * MIB}, occurred_at=moment)
        path = kit.home / "spool" / spool_name(PreparedEvent.from_checked(payload))
        with path.open("wb") as file:
            for _ in range(mib):
                file.write(markdown(dice) if text else dice.randbytes(MIB))
        made.bundles.append(path)
        made.payloads.append(payload_bytes(payload))
        kit.publish(payload, None)
    return made


def markdown(dice: random.Random) -> bytes:
    words = [f"{dice.getrandbits(24):x}" for _ in range(4000)]
    lines = (f"- {' '.join(dice.choices(words, k=10))}\n" for _ in range(MIB // 40))
    return "".join(lines).encode().ljust(MIB)[:MIB]


def inside(what: str, files: list[Path]) -> float:
    """Do one contender's work in this process; returns the seconds that it took, without start and imports."""
    if what == "boto3":
        return boto3_uploads(files)
    with asyncio.Runner(loop_factory=fastest_loop()) as runner:  # the worker's own
        return runner.run(ours(what, files))


def boto3_uploads(files: list[Path]) -> float:
    """Upload as whoever knows boto3 would: `put_object` of open files, several at once."""
    client, bucket = boto3.client("s3", region_name="us-east-1"), os.environ["ARCHIVER_BUCKET"]

    def upload(path: Path) -> None:
        with path.open("rb") as file:
            client.put_object(Bucket=bucket, Key=f"boto3/{path.name}", Body=file, ContentType=CONTENT_TYPE)

    client.list_objects_v2(Bucket=bucket, MaxKeys=1)
    start = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as threads:
        list(threads.map(upload, files))
    return time.perf_counter() - start


async def ours(what: str, files: list[Path]) -> float:
    """Store each file as the worker does, to the end of step (4), or of step (5)."""
    from archiver.ports import Bundle
    from archiver.settings import load_settings
    from archiver.wiring import make_archive, open_store
    from archiver.worker.archive import digest_of

    settings = load_settings().model_copy(update={"prefix": what.replace(" ", "-") + "/"})
    prepared = PreparedEvent.from_checked(event())
    async with open_store(settings) as store:
        archive, slots = make_archive(settings, store), asyncio.Semaphore(AT_ONCE)

        async def one(path: Path) -> None:
            async with slots:
                with path.open("rb") as file:
                    bundle = Bundle(file, os.fstat(file.fileno()).st_size, "file")
                    if what == "upload and read back":
                        await archive.store_bundle(prepared, bundle)
                        return
                    digest = await digest_of(bundle)
                    await store.create(f"blobs/{digest}", file, sha256=digest, content_type=CONTENT_TYPE, metadata={})

        with tempfile.TemporaryFile() as first:  # which makes the client that sends files
            await store.create("first", first, sha256=sha256().hexdigest(), content_type="text/plain", metadata={})
        start = time.perf_counter()
        await asyncio.gather(*map(one, files))
        return time.perf_counter() - start


def rows(results: dict[str, list[Took]], bundles: int, mib: int, *, is_full: bool) -> list[Row]:
    what, megabytes = f"{bundles} of {mib} MiB", bundles * mib * MIB / 1e6
    rates = {name: [megabytes / each.wall_s for each in took] for name, took in results.items()}
    best = max(PEERS, key=lambda peer: median(rates[peer]))
    note = f"the best peer is {best}"

    def of_the_best(name: str, bar: float | None = None) -> Row:
        of = ratios(rates[name], rates[best])
        return Row(f"{what}, {name}: MB/s of the best peer's", of, bar=bar, note=note, is_full=is_full)

    memory = [each.peak_mib for each in results["archiver run"]]
    return [
        of_the_best("upload", 0.95),
        of_the_best("upload and read back"),
        of_the_best("archiver run"),
        Row(f"{what}: the worker's peak memory", memory, "MiB", bar=110, at_most=True, is_full=is_full),
        *(Row(f"{what}: {name}", each, "MB/s") for name, each in rates.items()),
        *(
            Row(f"{what}: {name}, CPU for one GB", [each.cpu_s / megabytes * 1000 for each in took], "s")
            for name, took in results.items()
        ),
    ]


if __name__ == "__main__":  # one contender, in a process of its own: see `measured_inside`
    print(inside(sys.argv[2], [Path(each) for each in sys.argv[3:]]), file=sys.stderr)
