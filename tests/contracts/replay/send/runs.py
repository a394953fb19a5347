"""Plans of made-up messages, and what a stream holds of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import nats
from nats.aio.client import Client
from nats.js.api import StreamConfig

from contracts.replay.plan.messages import PLAN, Outgoing, ReplayRun, header_line

STREAM, SUBJECT = "STAGING", "staging.kaizen.schedule.prepared"
RUN_ID = "run-1"


def key_of(number: int) -> str:
    return sha256(b"%d" % number).hexdigest()


def write_plan(folder: Path, count: int, url: str, *, stream: str | None = STREAM, **how: Any) -> Path:
    """Write a plan of `count` messages; `per_s` paces them, `subject` and `key` (of a number) may be others."""
    folder.mkdir(exist_ok=True)
    per_s, key = how.get("per_s", 0), how.get("key", key_of)
    between_s = 1 / per_s if per_s else 0.0
    run = ReplayRun(how.get("run_id", RUN_ID), "staging", url, stream, count, count * between_s, "2026-06-17T09:00:00Z")
    with (folder / PLAN).open("wb") as file:
        file.write(header_line(run))
        for number in range(count):
            payload = how.get("payload") or json.dumps({"number": number}).encode()
            subject = how.get("subject", SUBJECT)
            message = Outgoing(number, number * between_s, subject, payload, key(number), f"fixture #{number}")
            file.write(message.to_line())
    return folder


def ask(url: str, question: Callable[[Client], Awaitable[Any]]) -> Any:
    """Ask a server something, with a client of the question's own."""

    async def answer() -> Any:
        client = await nats.connect(url)
        try:
            return await question(client)
        finally:
            await client.close()

    return asyncio.run(answer())


def make_stream(url: str, name: str = STREAM, subject: str = "staging.>", **settings: Any) -> None:
    """Make a stream, or make it anew."""

    async def make(client: Client) -> None:
        context = client.jetstream()
        if name in [info.config.name for info in await context.streams_info()]:
            await context.delete_stream(name)
        await context.add_stream(StreamConfig(name=name, subjects=[subject], **settings))

    ask(url, make)


def stored(url: str, run_id: str = RUN_ID) -> dict[int, list[int]]:
    """Return which messages of a run the stream holds, number -> sequences; read without the code under test."""

    async def read(client: Client) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        context = client.jetstream()
        last = (await context.stream_info(STREAM)).state.messages
        subscription = await context.subscribe(">", stream=STREAM, ordered_consumer=True)
        for _ in range(last):
            message = await subscription.next_msg(timeout=10)
            assert message.headers is not None
            if message.headers["Kaizen-Replay"] == run_id:
                number = json.loads(message.data)["number"]
                assert message.headers["Nats-Msg-Id"] == f"{run_id}:{number}"
                assert message.headers["Kaizen-Replay-Origin"] == f"fixture #{number}"
                found.setdefault(number, []).append(message.metadata.sequence.stream)
        return found

    result: dict[int, list[int]] = ask(url, read)
    return result


def is_over(url: str, window_s: float) -> bool:
    """Say whether the stream can tell no repeat by its id any more."""

    async def last_at(client: Client) -> datetime:
        context = client.jetstream()
        last = (await context.stream_info(STREAM)).state.last_seq
        message = await context.get_msg(STREAM, last) if last else None
        return message.time if message and message.time else datetime.min.replace(tzinfo=UTC)

    return bool(datetime.now(UTC) - ask(url, last_at) > timedelta(seconds=window_s))


def outcomes(folder: Path) -> dict[int, dict[str, Any]]:
    """Return the journal's outcomes, number -> line; each number has at most one."""
    found: dict[int, dict[str, Any]] = {}
    for line in (folder / "journal.jsonl").read_text("utf-8").splitlines():
        record = json.loads(line)
        if "number" in record:
            assert record["number"] not in found
            found[record["number"]] = record
    return found


def assert_each_stored_once(folder: Path, url: str, count: int, run_id: str = RUN_ID) -> None:
    """Hold the journal against the stream: each message once, where the journal says."""
    held = stored(url, run_id)
    assert {number: len(sequences) for number, sequences in held.items()} == dict.fromkeys(range(count), 1)
    assert {number: [each["sequence"]] for number, each in outcomes(folder).items()} == held
