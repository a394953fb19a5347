"""Send to a JetStream stream: many messages under way at once, each with its PubAck, each stored once.

A message without an answer is looked for in the stream before it goes again, under the same identity. One task
watches over all of them; a task or a future for each would halve the rate.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError
from nats.js.api import Header
from nats.js.errors import NotFoundError, ServiceUnavailableError

from contracts.bus.access import NatsAccess
from contracts.bus.connection import close_nats, connect_nats, round_trip
from contracts.bus.stored import consumes, get_stored
from contracts.errors import Unreachable
from contracts.replay.plan.messages import REPLAY, REPLAY_ORIGIN, Outgoing, ReplayRun
from contracts.replay.send.sender import Recalled, SendOutcome, Settle, Status
from contracts.replay.send.stream_lookup import look_up, number_in

_ANSWER_WITHIN_S: Final = 5.0
_SETTLED_WITHIN_S: Final = 1.0  # after a reconnection: what the client had kept has been sent, and is answered
_TICK_S: Final = 0.25
_WAITS_S: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
_NO_RESPONDERS: Final = "503"
_FORBIDDEN: Final = "permissions violation for "  # publish, or the subscription to the answers


class _UnderWay:
    __slots__ = ("again_at", "first_at", "floor", "message", "sent_at", "tries")

    def __init__(self, message: Outgoing, at: float, floor: int) -> None:
        self.message, self.floor = message, floor
        self.first_at = self.sent_at = at
        self.tries = 1
        self.again_at: float | None = None  # the server refused to store it


class JetStreamSender:
    """See `Sender`. At most `most` messages are under way at once."""

    def __init__(self, run: ReplayRun, stream: str, most: int, settle: Settle, place: str) -> None:
        self._run, self._stream, self._most, self._settle, self._place = run, stream, most, settle, place
        self._client: Client
        self._inbox = ""
        self._under_way: dict[int, _UnderWay] = {}
        self._waiter: asyncio.Future[None] | None = None
        self._enough = 0
        self._failure: Exception | None = None
        self._watching: asyncio.Task[None] | None = None
        self._reconnected_at = 0.0
        self._highest = 0
        self._window_s = 0.0
        self._is_consumed = False
        self._checks: set[asyncio.Task[None]] = set()
        self._clock = asyncio.get_running_loop().time
        self.position: int | None = None

    @classmethod
    async def open(cls, access: NatsAccess, run: ReplayRun, *, most: int, settle: Settle) -> JetStreamSender:
        """Connect, and read the state of the stream.

        Raises:
            Unreachable: NATS does not answer, or has no JetStream or no such stream.
        """
        assert run.stream is not None, "core_nats.py sends without"
        sender = cls(run, run.stream, most, settle, access.place)
        sender._client = client = await connect_nats(
            access, name="contracts replay", error_cb=sender._told, reconnected_cb=sender._reconnected
        )
        try:
            info = await client.jetstream().stream_info(run.stream)
            sender.position = sender._highest = info.state.last_seq
            sender._window_s = info.config.duplicate_window or 0.0
            sender._is_consumed = consumes(info)
            sender._inbox = client.new_inbox() + "."
            await client.subscribe(sender._inbox + "*", cb=sender._answered)
            await round_trip(client)
        except NotFoundError:
            await close_nats(client)
            raise Unreachable(f"stream {run.stream}", access.place, "there is no such stream") from None
        except ServiceUnavailableError:
            await close_nats(client)
            raise Unreachable("JetStream", access.place, "this server, or this account, has none") from None
        except (NatsError, OSError, TimeoutError) as error:
            await close_nats(client)
            raise Unreachable(f"stream {run.stream}", access.place, str(error) or type(error).__name__) from None
        sender._watching = asyncio.create_task(sender._watch())
        return sender

    @property
    def client(self) -> Client:
        """The connection, which other subscriptions may use."""
        return self._client

    async def recall(self, after: int | None, is_wanted: Callable[[int], bool]) -> Recalled:
        """See `Sender.recall`."""
        try:
            return await self._look_up(after or 0, is_wanted)
        except (NatsError, OSError, TimeoutError) as error:
            why = f"what it holds of this run cannot be read: {str(error) or type(error).__name__}"
            raise Unreachable(f"stream {self._stream}", self._place, why) from None

    async def _look_up(self, after: int, is_wanted: Callable[[int], bool]) -> Recalled:
        return await look_up(self._client, self._stream, self._run.run_id, after=after, is_wanted=is_wanted)

    async def send(self, message: Outgoing) -> None:
        """See `Sender.send`."""
        while self._failure or len(self._under_way) >= self._most or not self._client.is_connected:
            await self._until(self._most - 1)
        entry = _UnderWay(message, self._clock(), self._highest)
        self._under_way[message.number] = entry
        await self._publish(entry)

    async def finish(self) -> None:
        """See `Sender.finish`."""
        while self._failure or self._under_way:
            await self._until(0)

    async def close(self) -> None:
        """See `Sender.close`."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, *self._checks, return_exceptions=True)
        await close_nats(self._client)

    async def _publish(self, entry: _UnderWay) -> None:
        message = entry.message
        try:
            await self._client.publish(
                message.subject,
                message.payload,
                self._inbox + str(message.number),
                {
                    Header.MSG_ID: message.message_id(self._run.run_id),
                    Header.EXPECTED_STREAM: self._stream,
                    REPLAY: self._run.run_id,
                    REPLAY_ORIGIN: message.origin,
                },
            )
        except MaxPayloadError:
            self._close(entry, Status.REFUSED, detail="larger than the server takes")
        except NatsError:  # closing, or its buffer is full while it reconnects: the watch sends it later
            entry.again_at = entry.sent_at + _TICK_S

    async def _answered(self, answer: Msg) -> None:
        entry = self._under_way.get(int(answer.subject[len(self._inbox) :]))
        if entry is None:
            return  # the answer to an earlier try
        if answer.headers and answer.headers.get("Status") == _NO_RESPONDERS:
            self._later(entry, f"no stream takes {entry.message.subject}")
            return
        said = json.loads(answer.data)
        error = said.get("error")
        if error:
            why = str(error.get("description", error))
            if error.get("code", 500) < 500:
                self._close(entry, Status.REFUSED, detail=why)
            else:
                self._later(entry, why)
            return
        sequence = said["seq"]
        self._highest = max(self._highest, sequence)
        if said.get("duplicate"):
            checking = asyncio.create_task(self._check_duplicate(entry, sequence))
            self._checks.add(checking)
            checking.add_done_callback(self._checks.discard)
        else:
            self._close(entry, Status.CONFIRMED, sequence)

    async def _check_duplicate(self, entry: _UnderWay, sequence: int) -> None:
        """Settle a message that was dropped as a repeat by what the stream holds as the first one.

        The stream remembers an identity longer than a message that was purged, and another program may have used it.
        """
        number = entry.message.number
        try:
            held = await get_stored(self._client, self._stream, sequence)
        except (NatsError, OSError, TimeoutError):
            return  # the watch takes care of a message that is not settled in time
        if self._under_way.get(number) is not entry:
            return
        if held is None or held.sequence != sequence:
            if self._is_consumed:
                self._close(entry, Status.DUPLICATE, sequence)
            else:
                self._close(entry, Status.UNKNOWN, detail="the stream had it and does not hold it any more")
        elif number_in(held, self._run.run_id) == number:
            self._close(entry, Status.DUPLICATE, sequence)
        else:
            self._close(entry, Status.REFUSED, detail="the stream holds another message under its identity")

    def _later(self, entry: _UnderWay, why: str) -> None:
        """Send it again in a while: it was not stored, for a reason that is not its own; stop when that goes on."""
        if entry.tries > len(_WAITS_S):
            self._fail(Unreachable(f"stream {self._stream}", self._place, why))
        else:
            entry.again_at = self._clock() + _WAITS_S[entry.tries - 1]

    def _close(self, entry: _UnderWay, status: Status, sequence: int | None = None, detail: str = "") -> None:
        del self._under_way[entry.message.number]
        self._settle(entry.message, SendOutcome(status, sequence, detail, entry.tries))
        if self._waiter is not None and len(self._under_way) <= self._enough:
            self._wake()

    async def _until(self, enough: int) -> None:
        """Wait until no more than `enough` messages are under way, or something else has changed."""
        if self._failure is not None:
            raise self._failure
        self._enough = enough
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _told(self, error: Exception) -> None:
        if _FORBIDDEN in str(error).lower():
            self._fail(Unreachable(f"stream {self._stream}", self._place, str(error).removeprefix("nats: ")))

    def _fail(self, failure: Exception) -> None:
        self._failure = failure
        self._wake()

    async def _reconnected(self) -> None:
        self._reconnected_at = self._clock()
        self._wake()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            try:
                if self._client.is_connected:
                    await self._look_after()
            except NotFoundError:
                self._fail(Unreachable(f"stream {self._stream}", self._place, "it was deleted"))
            except (NatsError, OSError, TimeoutError):
                continue  # the connection went away meanwhile: once more
            except Exception as defect:  # noqa: BLE001 - raised where somebody waits
                self._fail(defect)
            self._wake()

    async def _look_after(self) -> None:
        now = self._clock()
        waited_for = [entry for entry in self._under_way.values() if entry.again_at is None]
        silent = [entry for entry in waited_for if now >= self._answer_by(entry)]
        if silent:
            await self._find(silent, now)
        for entry in list(self._under_way.values()):
            if entry.again_at is not None and now >= entry.again_at and self._client.is_connected:
                entry.tries, entry.sent_at, entry.again_at = entry.tries + 1, now, None
                await self._publish(entry)

    def _answer_by(self, entry: _UnderWay) -> float:
        if entry.sent_at <= self._reconnected_at:
            return self._reconnected_at + _SETTLED_WITHIN_S  # its answer, if there was one, has been lost
        return entry.sent_at + _ANSWER_WITHIN_S

    async def _find(self, silent: list[_UnderWay], now: float) -> None:
        """Settle messages that arrived without an answer; send the others again."""
        await round_trip(self._client)
        floor = min(entry.floor for entry in silent)
        recalled = await self._look_up(floor, self._under_way.__contains__)
        for entry in silent:
            number = entry.message.number
            if number not in self._under_way:
                continue
            if number in recalled.found:
                self._close(entry, Status.CONFIRMED, recalled.found[number])
            elif recalled.may_go_again or now - entry.first_at < self._window_s / 2:
                entry.again_at = now
            else:
                self._close(entry, Status.UNKNOWN, detail="no answer, and the stream does not keep what it took")
