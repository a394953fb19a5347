"""A replay, ready to be sent: what goes where, and when.

It is written down before the first message goes out, so that a run that was interrupted sends the very same
messages under the very same names, and needs neither its sources nor its options again. A run is a folder:
`plan.jsonl`, a line for the run and one for each message, and beside it the journal of what became of them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from contracts.errors import BadInput
from contracts.model.records import COUNT, DIGEST, TEXT, InvalidRecord, RecordSchema, record_of
from contracts.model.strict_json import Limits
from contracts.model.url import origin

PLAN: Final = "plan.jsonl"
"""The plan's name in the folder of its run."""
REPLAY: Final = "Kaizen-Replay"
"""Header of every replayed message: the id of its run."""
REPLAY_ORIGIN: Final = "Kaizen-Replay-Origin"
"""Header of every replayed message: where its event was taken from."""
_SCHEMA: Final = "kaizen.replay.plan/1"
_HEADER_BYTES: Final = 4096
_MOST_MESSAGES: Final = 100_000_000  # the journal holds a byte for each
_LONGEST_LINE_BYTES: Final = 1 << 26  # an event of 8 MiB, each letter escaped


@dataclass(frozen=True, slots=True)
class ReplayRun:
    """One replay as a whole.

    `target` is the name in the configuration; `url` is scheme, host and port only; `stream` is the JetStream stream
    that has to take the messages, None for core NATS and webhooks. `lasts_s` is how long the schedule takes at least,
    in seconds: 0 means as fast as possible. `seed` seeds its random choices, where there are any.
    """

    run_id: str
    target: str
    url: str
    stream: str | None
    messages: int
    lasts_s: float
    created_at: str
    seed: int | None = None

    def is_for(self, place: str) -> bool:
        """Return whether the plan was made for this place; one of an earlier release holds a webhook's path, too."""
        return place in {self.url, origin(self.url)}


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message of a run.

    `number` counts from 0 in the order of sending; `due_s` is when it is to go out, in seconds from the start;
    `event_key` is the identity of the event as it is sent; `origin` is where it was taken from, for people.
    `bundle_from` is the name in a spool of the bundle of an event that was rewritten: the one from before that.
    """

    number: int
    due_s: float
    subject: str
    payload: bytes
    event_key: str
    origin: str
    bundle_from: str | None = None

    def message_id(self, run_id: str) -> str:
        """The message's identity: the same at each retry, and of no other message of any run."""
        return f"{run_id}:{self.number}"

    def to_line(self) -> bytes:
        """Serialise, on one line."""
        record = asdict(self) | {"payload": self.payload.decode()}
        return (json.dumps(record, ensure_ascii=False) + "\n").encode()


def header_line(run: ReplayRun) -> bytes:
    """The first line of a plan."""
    return (json.dumps({"schema": _SCHEMA, **asdict(run)}, ensure_ascii=False) + "\n").encode()


def write_plan(folder: Path, messages: Iterable[Outgoing], run: Callable[[], ReplayRun]) -> None:
    """Write the plan of a run; `run` is called after the last message. A complete plan is renamed into place.

    Raises:
        BadInput: the folder cannot be written.
    """
    draft = folder / f"{PLAN}.part"
    try:
        with draft.open("xb") as file:
            file.write(b" " * (_HEADER_BYTES - 1) + b"\n")  # filled in at the end
            for message in messages:
                file.write(message.to_line())
            header = header_line(run()).rstrip(b"\n")
            if len(header) >= _HEADER_BYTES:
                raise BadInput(f"the target's name and URL are too long for a plan: {len(header)} bytes")
            file.seek(0)
            file.write(header)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(folder / PLAN)
        _sync(folder)
    except OSError as error:
        raise BadInput(f"cannot write {draft}: {error.strerror or error}") from None


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_run(folder: Path) -> ReplayRun:
    """Read the first line of a folder's plan, which describes its run.

    Raises:
        BadInput: there is no plan in it, or not one of this version.
    """
    path = folder / PLAN
    try:
        with path.open("rb") as file:
            record = _RUN.read(file.readline(_HEADER_BYTES))
    except OSError as error:
        raise BadInput(
            f"cannot read {path}: {error.strerror}\n  expected the folder of a run begun with --execute"
        ) from None
    except InvalidRecord as error:
        raise BadInput(f"{path} is not a replay's plan of this version: {error}\n  start the replay anew") from None
    return ReplayRun(**{name: record[name] for name in ReplayRun.__slots__ if name in record})


def read_messages(folder: Path) -> Iterator[Outgoing]:
    """Read the messages of a folder's plan one by one, in the order of sending.

    Raises:
        BadInput: a line is not a message; names the line.
    """
    with (folder / PLAN).open("rb") as file:
        file.readline()
        for index, line in enumerate(file):
            try:
                yield _message(line, index)
            except InvalidRecord as error:
                raise BadInput(f"{folder / PLAN}, line {index + 2}, is not a message: {error}") from None


def _message(line: bytes, number: int) -> Outgoing:
    record = _MESSAGE.read(line)
    if record["number"] != number:
        raise InvalidRecord(f"/number: found {record['number']}, expected {number}")
    known = {name: record[name] for name in Outgoing.__slots__ if name in record}
    return Outgoing(**known | {"number": number, "payload": record["payload"].encode()})


_OR_NULL: Final = {"type": ["string", "null"]}
_SECONDS: Final = {"type": "number", "minimum": 0}
_RUN: Final = RecordSchema(
    record_of(
        schema={"const": _SCHEMA},
        run_id=TEXT,
        target=TEXT,
        url=TEXT,
        stream=_OR_NULL,
        messages=COUNT | {"maximum": _MOST_MESSAGES},
        lasts_s=_SECONDS,
        created_at=TEXT,
        optional={"seed": {"type": ["integer", "null"]}},
    ),
    Limits(_HEADER_BYTES),
)
_MESSAGE: Final = RecordSchema(
    record_of(
        number=COUNT,
        due_s=_SECONDS,
        subject=TEXT,
        payload=TEXT,
        event_key=DIGEST,
        origin=TEXT,
        optional={"bundle_from": _OR_NULL},
    ),
    Limits(_LONGEST_LINE_BYTES),
)
