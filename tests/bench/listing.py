"""Benchmark: reading an archive, small and large: does it cost what is asked for, or what is there?

Two archives in one bucket of a real store. `archiver ls` of one repo that has as many references in both, in turns;
then `archiver verify --sample`, its time and its peak memory. With --imagined N no server is asked: the look of
`verify`, of `gc` and of `events` over an archive of N references that is computed as it is read, for the memory alone.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, cast

import obstore
from obstore.store import S3Store

from archiver.core.keys import blob_key, ref_key
from archiver.embedded import S3Server
from archiver.history import Span, capture_of, history
from archiver.ports import ObjectStore
from archiver.reading import Entry
from archiver.sweep import Sweep
from archiver.verification import Selection, Verification
from contracts import parse_rfc3339
from tests.bench.imagined import REPOS, ImaginedStore, bundle_of, event_of, record_of
from tests.builders import NOON
from tests.e2e.kit import BIN

AT_ONCE = 64
DIFFERENT = 256
OURS = "the-repo"


class Cost(NamedTuple):
    """Of one process: seconds, CPU seconds, peak memory in MiB."""

    taken_s: float
    cpu_s: float
    peak_mib: float


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--small", type=int, default=2_000, help="references in the small archive")
    parser.add_argument("--large", type=int, default=20_000, help="references in the large one; 1,000,000 take a while")
    parser.add_argument("--of-repo", type=int, default=1_000, help="references of the repo that is listed, in each")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--imagined", type=int, metavar="N", help="memory only, of an archive that is computed")
    parser.add_argument("--look", nargs=2, metavar=("FILE", "WHAT"), help=argparse.SUPPRESS)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        if told.look:
            asyncio.run(look(*told.look))
        elif told.imagined:
            imagined(told.imagined, Path(folder))
        else:
            on_a_store(told, Path(folder))


def on_a_store(told: argparse.Namespace, home: Path) -> None:
    counts = {"small": told.small, "large": told.large}
    commands = {
        "ls --repo": ["ls", "--json", "--repo", OURS],
        "get EVENT_KEY": ["get", event_of(0, OURS).key],
        "verify --sample 1000": ["verify", "--sample", "1000", "--seed", "1", "--json"],
    }
    with S3Server(home / "s3") as server:
        for archive, count in counts.items():
            start = time.perf_counter()
            asyncio.run(fill(server, archive, count, told.of_repo))
            print(
                f"{archive}: {count:,} references written, {count / (time.perf_counter() - start):,.0f}/s", flush=True
            )
        for name, words in commands.items():
            costs: dict[str, list[Cost]] = {archive: [] for archive in counts}
            for _ in range(told.rounds):
                for archive, measured in costs.items():
                    measured.append(command(server, archive, words))
            report(name, costs)


def report(name: str, costs: dict[str, list[Cost]]) -> None:
    print(f"archiver {name}, median of {len(costs['small'])} rounds in turns")
    for archive, measured in costs.items():
        taken, cpu, peak = (median(column) for column in zip(*measured, strict=True))
        print(f"  {archive}: {taken:6.2f} s   {cpu:6.2f} CPU s   peak {peak:5.0f} MiB")
    ratios = [large.taken_s / small.taken_s for small, large in zip(costs["small"], costs["large"], strict=True)]
    print(f"  large / small {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})", flush=True)


async def fill(server: S3Server, prefix: str, count: int, of_repo: int) -> None:
    """Write an archive, behind the archiver's back: `of_repo` references of our repo, the others of many."""
    store = S3Store(
        server.bucket,
        config={
            "aws_endpoint_url_s3": server.url,
            "region": "us-east-1",
            "access_key_id": server.access_key,
            "secret_access_key": server.secret_key,
        },
        client_options={"allow_http": True},
    )
    for number in range(DIFFERENT):
        bundle = bundle_of(number, DIFFERENT)
        await obstore.put_async(store, f"{prefix}/{blob_key(sha256(bundle).hexdigest(), 'md')}", bundle)
    numbers = iter(range(count))

    async def write() -> None:
        for number in numbers:
            event = event_of(number, OURS if number < of_repo else f"repo-{number % REPOS}")
            record = record_of(event, bundle_of(number, DIFFERENT))
            await obstore.put_async(store, f"{prefix}/{ref_key(event)}", record, use_multipart=False)

    await asyncio.gather(*(write() for _ in range(AT_ONCE)))


def command(server: S3Server, archive: str, words: list[str]) -> Cost:
    environment = os.environ | {
        "AWS_ENDPOINT_URL_S3": server.url,
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": server.secret_key,
        "AWS_REGION": "us-east-1",
        "ARCHIVER_BUCKET": server.bucket,
        "ARCHIVER_PREFIX": archive,
    }
    return run([str(BIN / "archiver"), *words], environment)


def run(words: list[str], environment: dict[str, str]) -> Cost:
    start = time.perf_counter()
    process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    taken = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(words)} ended with {process.returncode}")
    return Cost(taken, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def imagined(count: int, home: Path) -> None:
    for references in (10_000, count):
        path = home / f"{references}.sqlite"
        ImaginedStore.of(references, path)
        for what in ("sample", "gc", "verify", "events"):
            cost = run([sys.executable, "-m", __spec__.name, "--look", str(path), what], {**os.environ})
            print(
                f"{references:,} references, {what:7} {cost.taken_s:7.1f} s   peak {cost.peak_mib:5.0f} MiB", flush=True
            )


async def look(path: str, what: str) -> None:
    """Look the imagined archive over, as the commands do; ends badly where anything is found."""
    store: Any = ImaginedStore(Path(path))
    archive = cast("ObjectStore", store)
    if what == "gc":
        sweep = Sweep(archive, "bench", timedelta(0))
        await sweep.look(NOON)
        found = [*map(str, sweep.leftovers())]
    elif what == "events":
        found, last = [], datetime.min.replace(tzinfo=UTC)
        async for entry in history(archive, Span()):
            at = parse_rfc3339(capture_of(entry).event["occurred_at"]) if isinstance(entry, Entry) else last
            found += [] if isinstance(entry, Entry) and at >= last else [entry.key]
            last = at
    else:
        seen = Verification(archive, NOON, timedelta(0))
        chosen = Selection(sample=1000) if what == "sample" else Selection()
        found = [f"{flaw.id} {flaw.key} {flaw.found} {flaw.expected}" async for flaw in seen.flaws(chosen)]
    if found:
        sys.exit(f"{len(found):,} found, the first: {found[0]}")


if __name__ == "__main__":
    main()
