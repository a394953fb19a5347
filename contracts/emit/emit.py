"""One emission: render, build, check, spool, publish; in that order, so that nothing is announced too early.

Bundle and event are in the spool before NATS is contacted at all, also a bundle for the Object Store: the spool is what
survives when NATS does not answer.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from contracts.checker import Result, check
from contracts.emit.payload import prepared_payload
from contracts.emit.program import PrepareCommand
from contracts.emit.spool import Draft, Spool
from contracts.errors import KitError
from contracts.event import BUNDLE_SOURCE, PreparedEvent, spool_name

Publish = Callable[[str, bytes, str, Mapping[str, str]], Awaitable[None]]
"""Publish (subject, payload, message id, headers), and return once it is stored."""
Put = Callable[[str, Path], Awaitable[None]]
"""Put (bucket of the Object Store, bundle), and return once it is stored."""


class ContractBroken(KitError):
    """The event that would be published breaks the contract; `result` has every violation."""

    def __init__(self, result: Result) -> None:
        super().__init__(result)
        self.result = result

    def __str__(self) -> str:
        violations = "".join(f"\n  {violation.severity} {violation}" for violation in self.result.violations)
        return f"not published: the event breaks {self.result.contract or 'the contract'}{violations}"


@dataclass(frozen=True, slots=True)
class Emission:
    """An event ready for the bus: its bytes, its identity, and where bundle and event lie in the spool."""

    event: PreparedEvent
    payload: bytes
    bundle_path: Path
    event_path: Path


def prepare_emission(
    command: PrepareCommand,
    spool: Spool,
    *,
    repo: str,
    cadence: str,
    timeout_s: float,
    now: Callable[[], datetime],
    bucket: str = "",
) -> Emission:
    """Render the bundle, build and check the event, and make both durable in the spool.

    `bucket` is where in the Object Store the bundle is to go when the event is published; '' leaves it in the spool.

    Raises:
        ContractBroken, BrokenPrepareOutput: nothing is left behind.
        BadInput: the program or the spool failed; nothing is left behind.
    """
    with spool.draft() as draft:
        size = command.run(draft.file, timeout_s=timeout_s)
        document = _document(command, draft, timeout_s)
        payload = prepared_payload(command, document, repo=repo, cadence=cadence, bundle_bytes=size, now=now())
        raw = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode(errors="surrogatepass")
        result = check(raw, source="the event")
        if not result.passes():
            raise ContractBroken(result)
        event = PreparedEvent.from_checked(result.payload)
        bundle_path = spool.keep(draft, spool_name(event))
    try:
        event_path = spool.keep_event(event.key, raw, bucket)
    except BaseException:
        bundle_path.unlink()
        raise
    return Emission(event, raw, bundle_path, event_path)


async def publish_spooled(spool: Spool, path: Path, publish: Publish, put: Put) -> None:
    """Publish an event from the spool under its identity, and take it away once the bus has it.

    Its bundle comes first: one that is for the Object Store is put there, and leaves the spool with its event.

    Raises:
        ContractBroken: the file is not an event; it stays.
        BadInput: its bundle has gone; it stays.
        Unreachable: not confirmed; it stays, and publishing it again is harmless.
    """
    raw = spool.read_event(path)
    result = check(raw, source=str(path))
    if not result.passes():
        raise ContractBroken(result)
    event = PreparedEvent.from_checked(result.payload)
    bundle, bucket = spool.directory / spool_name(event), spool.bucket_of(path)
    if bucket:
        await put(bucket, bundle)
    source = {BUNDLE_SOURCE: "object_store" if bucket else "spool"}
    await publish(result.payload["event"], raw, event.key, source)
    spool.confirmed(path)
    if bucket:
        bundle.unlink(missing_ok=True)


def _document(command: PrepareCommand, draft: Draft, timeout_s: float) -> Any:
    """Return what `--format json` prints: the bundle itself where it is JSON, else of a second run."""
    if command.format != "json":
        return command.document(timeout_s=timeout_s)
    draft.file.flush()
    return command.read_document(draft.path.read_bytes())
