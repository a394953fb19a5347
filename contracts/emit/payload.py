"""Build the event from what the prepare command printed, without computing anything new."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from contracts.emit.program import BrokenPrepareOutput, PrepareCommand
from contracts.model.rfc3339 import format_rfc3339

FLAGS: Final = ("agent_prompt_found", "has_memory", "has_metrics", "pointers")
"""The keys of `schedule prepare --format json` that map 1:1 onto bundle.*, in the spec's words."""


def prepared_payload(
    command: PrepareCommand,
    document: Any,
    *,
    repo: str,
    cadence: str,
    bundle_bytes: int,
    now: datetime,
) -> dict[str, Any]:
    """Build the payload of `kaizen.schedule.prepared`, in the spec's order of fields.

    `document` is what `schedule prepare --format json` printed, `bundle_bytes` the octets of the bundle as
    rendered and `now` the time when it was assembled. Other keys of the document are passed over.

    Raises:
        BrokenPrepareOutput: no object, or a flag is missing; names it.
    """
    if not isinstance(document, dict):
        raise BrokenPrepareOutput(command.text, "the prepare command's JSON is not an object")
    missing = [flag for flag in FLAGS if flag not in document]
    if missing:
        raise BrokenPrepareOutput(command.text, f"the prepare command's JSON lacks {', '.join(missing)}")
    return {
        "event": "kaizen.schedule.prepared",
        "version": "1",
        "occurred_at": format_rfc3339(now),  # with milliseconds: two prepares in a second are two events
        "repo": repo,
        "root": command.root,
        "agent": command.agent,
        "cadence": cadence,
        "prepare_command": command.text,
        "bundle": {"format": command.format, **_flags(document), "bytes": bundle_bytes},
        "session_close": document.get("session_close", []),
    }


def _flags(document: Mapping[str, Any]) -> dict[str, Any]:
    return {flag: document[flag] for flag in FLAGS}
