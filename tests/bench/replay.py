"""Benchmark: 100,000 events replayed to a real stream, beside what nats-py publishes bare; and 200/s for a minute.

The peer is nats-py's own `publish_async` with the same payloads and headers and the same window of PubAcks, and does
nothing else; ours reads a plan, keeps the journal and accounts for each message. In turns, each in a process of its
own, from connected to the last PubAck; ours includes reading the plan.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
from itertools import cycle
from pathlib import Path
from time import perf_counter, process_time
from typing import NamedTuple

import nats

from contracts import event_key
from contracts.bus.access import NatsAccess
from contracts.fixtures.corpus import cases
from contracts.replay.plan.messages import PLAN, REPLAY, REPLAY_ORIGIN, Outgoing, ReplayRun, header_line
from contracts.replay.send.run import execute
from tests.bench.rows import Row, ratios
from tests.support.bus import Bus, make_stream

STREAM, SUBJECT = "STAGING", "staging.kaizen.schedule.prepared"
EVENTS, ROUNDS, WINDOW = 100_000, 5, 256
PER_S = 200


class Took(NamedTuple):
    """One process: seconds from connected to the last PubAck, CPU seconds in that time, peak memory in KiB."""

    seconds: float
    cpu: float
    peak_kib: int


def measure(arguments: list[str]) -> list[Row]:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--pace", type=float, default=60, help="seconds at 200/s")
    told = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        home = Path(folder)
        with Bus(home / "nats", jetstream={"store_dir": str(home / "jetstream")}) as bus:
            make_stream(bus.url, STREAM, "staging.>")
            return [*as_fast_as_it_goes(home, bus, told.events, told.rounds), *at_a_pace(home, bus, told.pace)]


def as_fast_as_it_goes(home: Path, bus: Bus, events: int, rounds: int) -> list[Row]:
    runs: dict[str, list[Took]] = {"bare": [], "ours": []}
    tenths: list[Took] = []
    for number in range(rounds):
        for arm in ("bare", "ours") if number % 2 else ("ours", "bare"):
            runs[arm].append(measured(arm, plan(home / f"{arm}-{number}", events, bus)))
        tenths.append(measured("ours", plan(home / f"tenth-{number}", events // 10, bus)))
    rates = {arm: [events / each.seconds for each in took] for arm, took in runs.items()}
    memory = [each.peak_kib / 1024 for each in runs["ours"]]
    note, is_full = f"{events:,} events, {WINDOW} without PubAck at most", events >= EVENTS and rounds >= ROUNDS
    return [
        Row(
            "`contracts replay`: its rate, of nats-py's `publish_async`",
            ratios(rates["ours"], rates["bare"]),
            bar=0.7,
            note=note,
            is_full=is_full,
        ),
        Row(
            "`contracts replay`: memory, of that for a tenth",
            ratios(memory, [each.peak_kib / 1024 for each in tenths]),
            bar=1.1,
            at_most=True,
            note=f"at most {max(memory):.1f} MiB",
            is_full=is_full,
        ),
        Row("`contracts replay`", rates["ours"], "events/s", note=note),
        Row(
            "`contracts replay`: CPU for an event, of nats-py's",
            ratios([each.cpu for each in runs["ours"]], [each.cpu for each in runs["bare"]]),
        ),
    ]


def at_a_pace(home: Path, bus: Bus, lasts_s: float) -> list[Row]:
    count = int(PER_S * lasts_s)
    folder = plan(home / "paced", count, bus, per_s=PER_S)
    report = asyncio.run(execute(folder, access=NatsAccess(bus.url), concurrency=WINDOW))
    off = abs(report.sent / (PER_S * report.took_s) - 1)
    note = f"{report.sent:,} sent in {report.took_s:.2f} s"
    return [
        Row(
            f"`contracts replay --rate {PER_S}/s`: how far off, in percent",
            [100 * off],
            "%",
            bar=2.0,
            at_most=True,
            note=note,
            is_full=lasts_s >= 60,
        ),
        Row(f"`contracts replay --rate {PER_S}/s`: the longest gap", [1000 * report.longest_gap_s], "ms"),
    ]


def plan(folder: Path, count: int, bus: Bus, *, per_s: float = 0) -> Path:
    """Write a plan of valid fixtures, over and over."""
    folder.mkdir()
    events = [(case.raw, event_key(json.loads(case.raw))) for case in cases("kaizen.schedule.prepared@1", "valid")]
    between_s = 1 / per_s if per_s else 0.0
    with (folder / PLAN).open("wb") as file:
        file.write(header_line(ReplayRun(folder.name, "staging", bus.url, STREAM, count, count * between_s, "")))
        for number, (raw, key) in zip(range(count), cycle(events), strict=False):
            file.write(Outgoing(number, number * between_s, SUBJECT, raw, key, f"fixture #{number}").to_line())
    return folder


def measured(arm: str, folder: Path) -> Took:
    command = [sys.executable, "-m", "tests.bench.replay", arm, str(folder)]
    return Took(*json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))


async def ours(folder: Path) -> Took:
    url = json.loads((folder / PLAN).open("rb").readline())["url"]
    start, cpu = perf_counter(), process_time()
    report = await execute(folder, access=NatsAccess(url), concurrency=WINDOW)
    took = Took(perf_counter() - start, process_time() - cpu, peak_kib())
    if report.confirmed != report.messages:
        sys.exit(f"{report.confirmed} of {report.messages} confirmed")
    return took


async def bare(folder: Path) -> Took:
    """Publish as many of the same, made beforehand one by one as they are needed, and count the PubAcks."""
    with (folder / PLAN).open("rb") as file:
        run = json.loads(file.readline())
        payloads = [json.loads(line)["payload"].encode() for line, _ in zip(file, range(100), strict=False)]
    start, cpu = perf_counter(), process_time()
    client = await nats.connect(run["url"])
    context = client.jetstream(publish_async_max_pending=WINDOW)
    confirmed = 0

    def count(answer: asyncio.Future[object]) -> None:
        nonlocal confirmed
        confirmed += answer.exception() is None

    for number, payload in zip(range(run["messages"]), cycle(payloads), strict=False):
        headers = {
            "Nats-Msg-Id": f"{run['run_id']}:{number}",
            "Nats-Expected-Stream": STREAM,
            REPLAY: run["run_id"],
            REPLAY_ORIGIN: f"fixture #{number}",
        }
        (await context.publish_async(SUBJECT, payload, headers=headers)).add_done_callback(count)
    await context.publish_async_completed()
    await asyncio.sleep(0)  # the last callbacks
    took = Took(perf_counter() - start, process_time() - cpu, peak_kib())
    await client.close()
    if confirmed != run["messages"]:
        sys.exit(f"{confirmed} of {run['messages']} confirmed")
    return took


def peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    print(json.dumps(asyncio.run({"ours": ours, "bare": bare}[sys.argv[1]](Path(sys.argv[2])))))
