"""Benchmark: reading an archive, small and large: does it cost what is asked for, or what is there?

Small and large in one bucket of a real store, where one repo has as many references in both. A million references
take too long to write, so that archive is computed as it is read: no server is asked, and the costs are ours alone.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from archiver.core.keys import blob_key, ref_key
from archiver.dev_servers import S3Server
from archiver.maintenance.gc import Collection
from archiver.maintenance.history import Span, capture_of, history
from archiver.maintenance.reading import Entry, Stray, references
from archiver.maintenance.verify import Selection, Verification
from archiver.ports import BlobStore
from archiver.stores.s3.direct import DirectStore
from contracts import parse_rfc3339
from tests.bench.imagined import OURS, REPOS, ImaginedStore, bundle_of, event_of, record_of
from tests.bench.process import Took, run
from tests.bench.rows import Row, ratios
from tests.e2e.kit import BIN
from tests.support.builders import NOON
from tests.support.servers import access_to
from tests.support.store_calls import replace

FULL = 1_000_000
AT_ONCE = 64
DIFFERENT = 256


def measure(arguments: list[str]) -> list[Row]:
    parser = argparse.ArgumentParser()
    parser.add_argument("--small", type=int, default=10_000, help="references in the small archives")
    parser.add_argument("--large", type=int, default=FULL, help="references in the large imagined one")
    parser.add_argument("--stored", type=int, default=20_000, help="references in the large one on a real store")
    parser.add_argument("--of-repo", type=int, default=1_000, help="references of the repo that is listed there")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--everything", action="store_true", help="gc and verify of the whole imagined archive too")
    told = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        return [*imagined(told, Path(folder)), *on_a_store(told, Path(folder))]


def on_a_store(told: argparse.Namespace, home: Path) -> list[Row]:
    counts = {"small": told.stored // 10, "large": told.stored}
    commands = {
        "ls --repo": ["ls", "--json", "--repo", OURS],
        "get EVENT_KEY": ["get", event_of(0, OURS).key],
        "verify --sample 1000": ["verify", "--sample", "1000", "--seed", "1", "--json"],
    }
    rows = []
    with S3Server(home / "s3") as server:
        for archive, count in counts.items():
            asyncio.run(fill(server, archive, count, told.of_repo))
        for name, words in commands.items():
            costs: dict[str, list[Took]] = {archive: [] for archive in counts}
            for _ in range(told.rounds):
                for archive, measured in costs.items():
                    measured.append(command(server, archive, words, home))
            note = f"SeaweedFS, {told.stored:,} references"
            times = {archive: [each.wall_s for each in measured] for archive, measured in costs.items()}
            rows.append(
                Row(f"`{name}`, of its time with a tenth of them", ratios(times["large"], times["small"]), note=note)
            )
            rows.append(Row(f"`{name}`", times["large"], "s", note=note))
    return rows


async def fill(server: S3Server, prefix: str, count: int, of_repo: int) -> None:
    """Write an archive, behind the archiver's back: `of_repo` references of our repo, the others of many."""
    store = DirectStore(access_to(server, prefix=prefix))
    for number in range(DIFFERENT):
        bundle = bundle_of(number, DIFFERENT)
        await replace(store, blob_key(sha256(bundle).hexdigest(), "md"), bundle)
    numbers = iter(range(count))

    async def write() -> None:
        for number in numbers:
            event = event_of(number, OURS if number < of_repo else f"repo-{number % REPOS}")
            record = record_of(event, bundle_of(number, DIFFERENT))
            await replace(store, ref_key(event), record)

    await asyncio.gather(*(write() for _ in range(AT_ONCE)))
    await store.close()


def command(server: S3Server, archive: str, words: list[str], home: Path) -> Took:
    environment = os.environ | {
        "AWS_ENDPOINT_URL_S3": server.url,
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": server.secret_key,
        "AWS_REGION": "us-east-1",
        "ARCHIVER_BUCKET": server.bucket,
        "ARCHIVER_PREFIX": archive,
    }
    return run([BIN / "archiver", *words], log=home / "log", env=environment)


def imagined(told: argparse.Namespace, home: Path) -> list[Row]:
    """Look over archives that are computed as they are read: one repo has as many references in both."""
    took: dict[tuple[str, int], list[Took]] = defaultdict(list)
    for count in (told.small, told.large):
        ImaginedStore.of(count, home / f"{count}.sqlite")
    for number in range(told.rounds):
        for what in ("ls", "sample", *(("gc", "verify", "events") if told.everything and not number else ())):
            for count in (told.small, told.large):
                look = [sys.executable, "-m", "tests.bench.listing", str(home / f"{count}.sqlite"), what]
                took[what, count].append(run(look, log=home / "log"))
    note, full = f"{told.large:,} references, beside {told.small:,}", told.large >= FULL

    def compared(what: str, name: str, unit: str, bar: float) -> Row:
        large, small = ([getattr(each, unit) for each in took[what, count]] for count in (told.large, told.small))
        return Row(name, ratios(large, small), bar=bar, at_most=True, note=note, is_full=full)

    return [
        compared("ls", "`ls` of one repo among a million references: its time among 10,000", "wall_s", 1.5),
        compared("sample", "`verify --sample 1000` of a million: memory of that of 10,000", "peak_mib", 1.1),
        *(
            Row(f"`{what}` of an imagined archive: {name}", [getattr(took[what, told.large][0], unit)], sign, note=note)
            for what in (("gc", "verify", "events") if told.everything else ())
            for name, unit, sign in (("time", "wall_s", "s"), ("memory", "peak_mib", "MiB"))
        ),
    ]


async def look(path: str, what: str) -> None:
    """Look the imagined archive over, as the commands do; ends badly where anything is found."""
    store: Any = ImaginedStore(Path(path))
    archive = cast("BlobStore", store)
    if what == "ls":
        found = [each.key async for each in references(archive, repo=OURS) if isinstance(each, Stray)]
    elif what == "gc":
        collection = Collection(archive, "bench", timedelta(0))
        await collection.scan(NOON)
        found = [*map(str, collection.leftovers())]
    elif what == "events":
        found, last = [], datetime.min.replace(tzinfo=UTC)
        async for entry in history(archive, Span()):
            at = parse_rfc3339(capture_of(entry).event["occurred_at"]) if isinstance(entry, Entry) else last
            found += [] if isinstance(entry, Entry) and at >= last else [entry.key]
            last = at
    else:
        seen = Verification(archive, NOON, timedelta(0))
        chosen = Selection(sample=1000) if what == "sample" else Selection()
        found = [f"{damage.id} {damage.key} {damage.found} {damage.expected}" async for damage in seen.damage(chosen)]
    if found:
        sys.exit(f"{len(found):,} found, the first: {found[0]}")


if __name__ == "__main__":  # one look, in a process of its own: see `imagined`
    asyncio.run(look(sys.argv[1], sys.argv[2]))
