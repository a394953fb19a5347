"""The shared vocabulary of the tests: valid events, messages, and the ports other than the store in memory.

Each fake writes what is asked of it into a `journal`, so that a test can say in which order things happened,
and fails when told to: `fails[call]` is raised by that call.
"""

from __future__ import annotations

import asyncio
import io
import json
import shlex
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from archiver.core.errors import BundleMissing
from archiver.core.outcome import Outcome
from archiver.core.reference import Reference, read_reference
from archiver.core.values import Folder
from archiver.ports import Backlog, Body, Bundle, Message, Stored
from archiver.stores.memory import MemoryStore
from archiver.worker.archive import Archive, Identity
from archiver.worker.health import Health
from archiver.worker.pipeline import Pipeline
from archiver.worker.source_watch import SourceWatch
from contracts import PreparedEvent
from contracts.fixtures.corpus import ROOT
from contracts.toolkit import spool_name

PREPARED = "kaizen.schedule.prepared"
SPEC_EXAMPLE = (ROOT / PREPARED / "1" / "valid" / "spec-example.json").read_bytes()
NOON = datetime(2026, 6, 17, 12, tzinfo=UTC)
BUNDLE = b"# Coach\n\nWhat has changed since last week?\n"


def event(**changes: Any) -> dict[str, Any]:
    """Build a valid payload: the spec's own, with changes. The commands follow agent, root and format.

    `bundle` may name some of its fields only; its `bytes` is the size of `BUNDLE` unless given.
    """
    payload = json.loads(SPEC_EXAMPLE)
    bundle = payload["bundle"] | {"bytes": len(BUNDLE)} | changes.pop("bundle", {})
    payload |= {"bundle": bundle} | changes
    agent = payload["agent"]
    command = f"kaizen-agentic schedule prepare {agent} --target {shlex.quote(payload['root'])}"
    if bundle["format"] != "markdown":
        command += f" --format {bundle['format']}"
    payload["prepare_command"] = changes.get("prepare_command", command)
    payload["session_close"] = changes.get("session_close", [f"kaizen-agentic metrics record {agent} --success"])
    return payload


def payload_bytes(payload: Mapping[str, Any]) -> bytes:
    """Serialise a payload as an emitter does."""
    return json.dumps(payload, ensure_ascii=False).encode()


def prepared(**changes: Any) -> PreparedEvent:
    """Build a typed event; see `event`."""
    return PreparedEvent.from_checked(event(**changes))


def message(payload: bytes | Mapping[str, Any] | None = None, **changes: Any) -> Message:
    """Build a message that the stream took at noon and delivers for the first time."""
    raw = payload if isinstance(payload, bytes) else payload_bytes(event() if payload is None else payload)
    told = {"stream": "KAIZEN_SCHEDULE", "sequence": 7, "deliveries": 1, "received_at": NOON}
    return Message(subject=PREPARED, payload=raw, **told | changes)


@dataclass
class FixedClock:
    """A clock that stands still until it is put forward."""

    time: datetime = NOON

    def now(self) -> datetime:
        return self.time

    def forward(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@dataclass
class _Fake:
    journal: list[str] = field(default_factory=list)
    fails: dict[str, Exception] = field(default_factory=dict)

    def note(self, call: str) -> None:
        """Write a call down, and fail if it was told to."""
        self.journal.append(call)
        if call in self.fails:
            raise self.fails[call]


@dataclass
class MemoryBundles(_Fake):
    """A BundleSource in a dict."""

    bundles: dict[str, bytes] = field(default_factory=dict)
    said: list[str | None] = field(default_factory=list)

    def leave(self, event: PreparedEvent, bundle: bytes = BUNDLE) -> None:
        self.bundles[spool_name(event)] = bundle

    @asynccontextmanager
    async def open(self, event: PreparedEvent, said: str | None = None) -> AsyncIterator[Bundle]:
        self.said.append(said)
        self.note("open bundle")
        name = spool_name(event)
        if name not in self.bundles:
            raise BundleMissing(name)
        data = self.bundles[name]

        async def release() -> None:
            self.note("release bundle")
            del self.bundles[name]

        yield Bundle(io.BytesIO(data), len(data), "spool", release)
        self.note("close bundle")

    async def check(self) -> None:
        self.note("check bundles")


@dataclass
class RecordingAnnouncer(_Fake):
    """An Announcer that keeps what it was told: (subject, event, message id), and the headers beside it."""

    said: list[tuple[str, dict[str, Any], str]] = field(default_factory=list)
    headers: list[Any] = field(default_factory=list)

    async def announce(
        self, subject: str, payload: bytes, *, message_id: str, headers: Any = None, is_ours: Any = None
    ) -> None:
        assert is_ours is None or is_ours(payload), "what is published is ours"
        self.note(f"announce {subject}")
        self.said.append((subject, json.loads(payload), message_id))
        self.headers.append(headers)


@dataclass
class RecordingStore(_Fake):
    """A MemoryStore that writes down each call as verb and kind: `create blobs`, `read refs`, ….

    `keeps` changes what is kept of a body: a store that says 200 and holds something else.
    """

    memory: MemoryStore = field(default_factory=MemoryStore)
    keeps: Callable[[str, bytes], bytes] = lambda _, data: data

    @property
    def objects(self) -> dict[str, bytes]:
        return self.memory.objects

    async def check(self) -> None:
        self.note("check")

    async def create(self, key: str, body: Body, **about: Any) -> Stored:
        return await self._write("create", key, body, about)

    async def replace(self, key: str, body: Body, **about: Any) -> Stored:
        return await self._write("replace", key, body, about)

    async def _write(self, verb: str, key: str, body: Body, about: dict[str, Any]) -> Stored:
        call = f"{verb} {key.partition('/')[0]}"
        self.note(call)
        stored = await getattr(self.memory, verb)(key, body, **about)
        self.objects[key] = self.keeps(call, self.objects[key])
        return stored

    async def read(self, key: str) -> AsyncIterator[bytes]:
        self.note(f"read {key.partition('/')[0]}")
        async for chunk in self.memory.read(key):
            yield chunk

    async def holds(self, key: str) -> bool:
        self.note(f"look for {key.partition('/')[0]}")
        return await self.memory.holds(key)

    def list(self, prefix: str, after: str = "") -> Any:
        return self.memory.list(prefix, after)

    async def folder(self, prefix: str) -> Folder:
        return await self.memory.folder(prefix)

    async def delete(self, key: str) -> None:
        self.note(f"delete {key.partition('/')[0]}")
        await self.memory.delete(key)

    async def close(self) -> None:
        self.note("close")


@dataclass
class MemoryDelivery(_Fake):
    """A Delivery that keeps its answers; `answer` is the last one."""

    message: Message = field(default_factory=message)

    @property
    def answer(self) -> str | None:
        said = [call for call in self.journal if call not in self.fails and call != "still working"]
        return said[-1] if said else None

    async def acknowledge(self) -> None:
        self.note("acknowledge")

    async def retry(self, after_s: float) -> None:
        self.note("retry")
        self.after_s = after_s

    async def terminate(self) -> None:
        self.note("terminate")

    async def still_working(self) -> None:
        self.note("still working")


@dataclass
class MemoryInbox(_Fake):
    """An Inbox over a list of deliveries; `unanswered` is what the bus still waits for, delayed retries included."""

    waiting: list[MemoryDelivery] = field(default_factory=list)
    unanswered: Callable[[], int] = lambda: 0
    asked: list[int] = field(default_factory=list)

    async def fetch(self, limit: int, wait_s: float) -> Sequence[MemoryDelivery]:
        self.asked.append(limit)
        await asyncio.sleep(0 if self.waiting else min(wait_s, 0.01))
        self.note("fetch")
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        return taken

    async def resubscribe(self) -> None:
        self.note("resubscribe")

    async def reconnect(self) -> None:
        self.note("reconnect")

    async def backlog(self) -> Backlog:
        self.note("backlog")
        return Backlog(undelivered=len(self.waiting), unanswered=self.unanswered())


@dataclass
class House:
    """A pipeline over fakes that share one journal; the bundle of `event()` is in its place."""

    chance: float = 0.5
    prefix: str = ""
    deadline_s: float = 900.0
    release: bool = False
    create_only: bool = True
    journal: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = RecordingStore(self.journal)
        self.bundles = MemoryBundles(self.journal)
        self.announcer = RecordingAnnouncer(self.journal)
        self.clock = FixedClock()
        self.bundles.leave(prepared())
        self.outstanding = 1
        self.seconds = 0.0
        self.health = Health(structlog.wrap_logger(structlog.testing.ReturnLogger()))
        self.watch = SourceWatch("spool", self.health, self.deadline_s, self._outstanding, now_s=lambda: self.seconds)
        identity = Identity("archive", self.prefix, "w", "0")
        self.archive = Archive(self.store, self.clock, identity, create_only=self.create_only)
        self.pipeline = Pipeline(
            self.archive,
            self.bundles,
            self.watch,
            self.announcer,
            deadline_s=self.deadline_s,
            release=self.release,
            chance=lambda: self.chance,
        )

    async def _outstanding(self) -> int:
        return self.outstanding

    def process(self, message: Message) -> Outcome:
        self.journal.clear()
        return asyncio.run(self.pipeline.process(message))

    def fail(self, call: str, error: Exception) -> None:
        for fake in (self.store, self.bundles, self.announcer):
            fake.fails[call] = error

    def recover(self) -> None:
        for fake in (self.store, self.bundles, self.announcer):
            fake.fails.clear()

    def reference(self, key: str) -> Reference:
        return read_reference(self.store.objects[key])
