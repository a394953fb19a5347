"""The follow-up event `kaizen.schedule.archived`, and the record of a dead letter; both as bytes for the bus."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from archiver.core.outcome import Dead
from archiver.core.reference import Reference
from archiver.core.replay import run_of
from archiver.core.values import Message
from contracts.toolkit import format_rfc3339

ARCHIVED: Final = "kaizen.schedule.archived"
FAILED: Final = "kaizen.archive.failed"
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_KEPT_BYTES: Final = 256 * 1024  # four times the contract's limit: a redrive needs the original bytes


def archived_event(reference: Reference, ref_key: str, *, prefix: str) -> bytes:
    """Build the follow-up event. It is made of the reference alone, so it is the same at every redelivery.

    `prefix` is the part of the bucket that the archive lives in, with a trailing slash, or ''. Source:
    contract kaizen.schedule.archived@1.
    """
    event, bundle = reference.event, reference.bundle
    return _json(
        {
            "event": ARCHIVED,
            "version": "1",
            "occurred_at": reference.archived_at,
            "repo": event["repo"],
            "agent": event["agent"],
            "cadence": event["cadence"],
            "source_event": {
                "sha256": reference.event_sha256,
                "stream": reference.source.stream,
                "sequence": reference.source.sequence,
                "occurred_at": event["occurred_at"],
            },
            "archive": {
                "bucket": bundle.bucket,
                "key": prefix + bundle.key,
                "version_id": bundle.version_id,
                "ref_key": prefix + ref_key,
                "sha256": bundle.sha256,
                "bytes": bundle.bytes,
                "codec": bundle.codec,
                "format": event["bundle"]["format"],
                "obtained_from": bundle.obtained_from,
            },
        }
    )


def archived_id(event_key: str, run: str | None = None) -> str:
    """Name the follow-up event's message: a repeat within the stream's window is stored once.

    A replay's id includes its run, so that each run gets its announcement, also of an event that was replayed before.
    """
    return f"archived:{event_key}" + (f":{run}" if run else "")


def dead_letter(message: Message, dead: Dead, *, failed_at: datetime, worker: str) -> bytes:
    """Build a dead letter: the reason, where the message came from, and a bounded copy of its payload."""
    return _json(
        {
            "schema": "kaizen.archive.failed",
            "version": "1",
            "reason": dead.reason,
            "detail": dead.detail[:4096],
            "subject": message.subject,
            "stream": message.stream,
            "sequence": message.sequence,
            "deliveries": message.deliveries,
            "failed_at": format_rfc3339(failed_at, "auto"),
            "worker": worker,
            "msg_id": message.headers.get("Nats-Msg-Id", ""),
            "replay": run_of(message) or "",
            "payload_bytes": len(message.payload),
            "payload_sha256": sha256(message.payload).hexdigest(),
            "payload_b64": base64.b64encode(message.payload[:_KEPT_BYTES]).decode(),
        }
    )


def dead_letter_id(message: Message) -> str:
    """Name a dead letter's message by the message that it is about, so that a redelivery adds no second one.

    A sequence alone does not identify a message: a stream that is deleted and recreated, restored, or kept in memory
    counts from 1 again. The time at which the stream took the message and its digest are the same at each redelivery.
    """
    taken_at = format_rfc3339(message.received_at, "auto")
    return f"dlq:{message.stream}:{message.sequence}:{taken_at}:{sha256(message.payload).hexdigest()[:16]}"


def _json(record: dict[str, Any]) -> bytes:
    return _ENCODER.encode(record).encode()
