"""Recordings: events captured live, as fixtures with their provenance. A golden written by hand proves its author.

What was seen is kept byte for byte unless something had to be scrubbed; where from, when, from which version of the
emitter and what was taken out stand in `provenance.json` beside the payloads.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

from contracts.check import check_payload
from contracts.errors import BadInput
from contracts.identity import event_key
from contracts.registry import Contract
from contracts.scrub import Removed, scrub, scrub_named, scrub_text
from contracts.strict_json import Limits, MalformedPayload, parse_payload
from contracts.timestamps import format_rfc3339

PROVENANCE: Final = "provenance.json"


class Seen(Protocol):
    """An event as it was observed: its bytes, and what the transport says of it."""

    @property
    def raw(self) -> bytes:
        """The payload as it came."""

    @property
    def where(self) -> str:
        """Where it was seen, for a person."""

    @property
    def subject(self) -> str | None:
        """The NATS subject, where there is one."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, where there are any."""


@dataclass(slots=True)
class Recording:
    """What one run recorded: payload files by name, an entry for each, and what could not be recorded and why."""

    files: dict[str, bytes] = field(default_factory=dict)
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


def record(
    seen: Iterable[Seen], *, emitter_version: str, now: Callable[[], datetime], contract: Contract | None = None
) -> Recording:
    """Turn observations into files and provenance; repeats of one event (by its event key) are counted, not kept.

    `now` is asked once for each event and must be aware. What is no JSON object has no identity and is left out. An
    event that breaks its contract is recorded as it came, and its entry names the rules in `breaks`.
    """
    recording = Recording()
    for each in seen:
        where = scrub_text(each.where)[0]
        try:
            payload = parse_payload(each.raw, contract.limits if contract else Limits())
        except MalformedPayload as error:
            recording.left_out.append(f"{where}: {', '.join(sorted({item.rule for item in error.malformations}))}")
            continue
        if not isinstance(payload, dict):
            recording.left_out.append(f"{where}: payload/type")
            continue
        clean, removed = scrub(payload)
        key = event_key(clean)
        if key in recording.entries:
            recording.entries[key]["seen"] += 1
            continue
        # The identity of what is kept: a digest of what was scrubbed would let its secret be guessed.
        raw = _written(clean) if removed else each.raw
        recording.files[_name(key)] = raw
        recording.entries[key] = _entry(each, key, where, removed) | {
            "breaks": sorted({violation.rule for violation in check_payload(raw, contract=contract).violations}),
            "emitter_version": emitter_version,
            "recorded_at": format_rfc3339(now(), "seconds"),
        }
    return recording


def keep(recording: Recording, into: Path) -> int:
    """Write a recording into a directory, beside what was recorded there before; returns how many events are new.

    Raises:
        BadInput: the directory cannot be written, or its provenance cannot be read.
    """
    path = into / PROVENANCE
    try:
        into.mkdir(parents=True, exist_ok=True)
        known = json.loads(path.read_bytes())["events"] if path.exists() else []
        have = {entry["event_key"] for entry in known}
        new = [entry for key, entry in recording.entries.items() if key not in have]
        for entry in new:
            (into / entry["file"]).write_bytes(recording.files[entry["file"]])
        path.write_bytes(_written({"events": [*known, *new]}))
    except OSError as error:
        raise BadInput(f"cannot record into {into}: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"{path} cannot be read as provenance: {type(error).__name__}: {error}\n  record into another directory"
        ) from None
    return len(new)


def keep_golden(recording: Recording, scenario: Path) -> None:
    """Make the one event of a recording a scenario's golden `event.json`, with its provenance beside it.

    Raises:
        BadInput: the directory cannot be written.
    """
    ((entry, raw),) = ((entry, recording.files[entry["file"]]) for entry in recording.entries.values())
    try:
        (scenario / "event.json").write_bytes(_written(json.loads(raw)))
        (scenario / PROVENANCE).write_bytes(_written({"events": [entry | {"file": "event.json"}]}))
    except OSError as error:
        raise BadInput(f"cannot record into {scenario}: {error.strerror or error}") from None


def _entry(seen: Seen, key: str, where: str, removed: list[Removed]) -> dict[str, Any]:
    return {
        "file": _name(key),
        "event_key": key,
        "from": where,
        "subject": seen.subject and scrub_text(seen.subject)[0],
        "headers": {name: scrub_named(name, value)[0] for name, value in sorted(seen.headers.items())},
        "seen": 1,
        "scrubbed": [{"pointer": at, "rule": rule} for at, rule in removed],
    }


def _name(key: str) -> str:
    return f"{key[:16]}.json"


def _written(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
