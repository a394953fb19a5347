"""The dead-letter stream: read dead letters, redrive and drop them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.api import RawStreamMsg
from nats.js.errors import APIError, NotFoundError

from archiver.core.announcement import FAILED
from archiver.core.dead_letter import DeadLetter, NotADeadLetter, read_dead_letter
from archiver.core.errors import BusUnavailable
from archiver.core.subjects import DEAD_LETTER_STREAM, PREPARED, stream_name
from contracts import KitError
from contracts.toolkit import REPLAY, Unreachable, publish_stored


@dataclass(frozen=True, slots=True)
class Filed:
    """One message of the dead-letter stream: its number there, and when the stream took it (aware, in UTC).

    `letter` is None where the message is no dead letter of this version; `problem` then describes what it is.
    """

    number: int
    filed_at: datetime
    letter: DeadLetter | None
    problem: str = ""


class DeadLetterMissing(KitError):
    """No dead letter has this number (any more)."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    def __str__(self) -> str:
        return f"there is no dead letter {self.number}; archiver dead list shows those that exist"


class NotRedriven(KitError):
    """A dead letter cannot be redriven, or not now; it stays where it is."""

    def __init__(self, number: int, why: str) -> None:
        super().__init__(number, why)
        self.number, self.why = number, why

    def __str__(self) -> str:
        return f"dead letter {self.number} stays where it is: {self.why}"


class DeadLetters:
    """The dead letters of one stream of events, whose subjects have `prefix` before them."""

    def __init__(self, client: Client, stream: str, prefix: str) -> None:
        self._client, self._jetstream = client, client.jetstream()
        self._stream, self._letters = stream, stream_name(DEAD_LETTER_STREAM, prefix)
        self._prepared, self._failed = prefix + PREPARED, prefix + FAILED

    @classmethod
    async def bind(cls, client: Client, *, stream: str, subject_prefix: str = "") -> DeadLetters:
        """Bind to the dead-letter stream; create nothing.

        Raises:
            BusUnavailable: it is missing (with what to do), or NATS does not answer.
        """
        found = cls(client, stream, subject_prefix)
        what = f"find stream {found._letters!r}"
        with _asked(what):
            try:
                await client.jetstream().stream_info(found._letters)
            except NotFoundError:
                raise BusUnavailable(what, "not there\n  create it: archiver init") from None
        return found

    async def all(self) -> AsyncIterator[Filed]:
        """Read every letter, oldest first.

        Raises:
            BusUnavailable: NATS does not answer.
        """
        number = 1
        while True:
            with _asked("read the dead letters"):
                try:
                    found = await self._jetstream.get_msg(self._letters, number, self._failed, next=True)
                except NotFoundError:
                    return
            filed = _filed(found)
            yield filed
            number = filed.number + 1

    async def one(self, number: int) -> Filed:
        """Read one letter.

        Raises:
            DeadLetterMissing: there is none of this number.
            BusUnavailable: NATS does not answer.
        """
        with _asked(f"read dead letter {number}"):
            try:
                return _filed(await self._jetstream.get_msg(self._letters, number))
            except NotFoundError:
                raise DeadLetterMissing(number) from None

    async def redrive(self, filed: Filed, broken: Callable[[bytes], str]) -> int:
        """Publish the original again, drop its dead letter once that is confirmed, and return its new sequence.

        `broken` returns why a payload can never be archived, or ''; such an original is not published. Repeated,
        or interrupted in between and repeated, this stores the original once within the stream's duplicate window;
        beyond, the pipeline finds the event archived. See `DeadLetter.redrive_id`.

        Raises:
            NotRedriven: it must not be published, or its bytes no longer exist; the message has what to do.
            BusUnavailable: NATS does not answer, or does not take it. The dead letter is still there.
        """
        letter = self._ours(filed)
        original = await self._still_there(letter, letter.sequence)
        if original is None and not letter.is_payload(letter.payload):
            kept = f"it keeps {len(letter.payload)} of {letter.payload_bytes} bytes"
            why = f"{kept}, and stream {letter.stream} no longer holds the original, #{letter.sequence}"
            raise NotRedriven(filed.number, f"{why}\n  have its emitter publish the event again, then drop this one")
        payload = letter.payload if original is None else original.data or b""
        if why := broken(payload):
            raise NotRedriven(
                filed.number,
                f"it can never be archived: {why}\n"
                f"  correct a copy: archiver dead show {filed.number} -o FILE, then"
                f" archiver dead redrive {filed.number} --with FILE\n"
                f"  or publish it anyway: archiver dead redrive {filed.number} --force",
            )
        sequence = await self._publish(filed, payload, letter.redrive_id, _headers(original) | _marks(letter))
        await self.drop(filed.number)
        return sequence

    async def redrive_corrected(self, filed: Filed, corrected: bytes) -> int:
        """Publish a corrected copy of the original, and return its sequence; the dead letter stays.

        The copy's header `Kaizen-Corrected-From` names the original: STREAM#SEQUENCE and the SHA-256 of its payload.

        Raises:
            NotRedriven, BusUnavailable: as `redrive`.
        """
        letter = self._ours(filed)
        headers = _headers(await self._still_there(letter, letter.sequence)) | _marks(letter)
        headers["Kaizen-Corrected-From"] = f"{letter.stream}#{letter.sequence} sha256:{letter.payload_sha256}"
        name = f"{letter.redrive_id}:{sha256(corrected).hexdigest()[:16]}"
        return await self._publish(filed, corrected, name, headers)

    def _ours(self, filed: Filed) -> DeadLetter:
        letter = filed.letter
        if letter is None:
            raise NotRedriven(filed.number, filed.problem)
        # Any publisher can write a dead letter with any stream and subject, and the operator may publish anywhere.
        if (letter.stream, letter.subject) != (self._stream, self._prepared):
            about = f"{letter.subject!r} of stream {letter.stream!r}, not {self._prepared!r} of {self._stream!r}"
            hint = "if that is right, set ARCHIVER_STREAM and ARCHIVER_SUBJECT_PREFIX"
            raise NotRedriven(filed.number, f"it is about {about}\n  {hint}")
        return letter

    async def _publish(self, filed: Filed, payload: bytes, name: str, headers: Mapping[str, str]) -> int:
        def is_ours(found: RawStreamMsg) -> bool:
            # Stored after its dead letter: the dead message itself, under any id, is not our repeat.
            is_later = found.time is not None and found.time.astimezone(UTC) > filed.filed_at
            return is_later and (found.data or b"") == payload

        try:
            stored = await publish_stored(
                self._client,
                self._prepared,
                payload,
                message_id=name,
                headers={**headers, "Nats-Expected-Stream": self._stream},
                is_ours=is_ours,
            )
        except Unreachable as error:
            raise BusUnavailable(f"store dead letter {filed.number} again", error.why) from None
        return stored.sequence

    async def drop(self, number: int) -> None:
        """Erase a letter; one that is gone already is no error.

        Raises:
            BusUnavailable: NATS does not answer, or refuses.
        """
        with _asked(f"drop dead letter {number}"):
            try:
                await self._jetstream.delete_msg(self._letters, number)
            except APIError:
                # For one that does not exist nats-server 2.15 answers 500 "stream store EOF".
                with suppress(NotFoundError):
                    await self._jetstream.get_msg(self._letters, number)
                    raise

    async def _still_there(self, letter: DeadLetter, sequence: int) -> RawStreamMsg | None:
        """Return the message, if it is there and holds the letter's original bytes."""
        with _asked(f"read {self._stream} #{sequence}"):
            try:
                found = await self._jetstream.get_msg(self._stream, sequence)
            except NotFoundError:
                return None
        return found if letter.is_payload(found.data or b"") else None


def _filed(found: RawStreamMsg) -> Filed:
    assert found.seq is not None, "every message of a stream has a number and a time"
    assert found.time is not None, "nats-py's types leave it open"
    number, filed_at = found.seq, found.time.astimezone(UTC)
    try:
        return Filed(number, filed_at, read_dead_letter(found.data or b""))
    except NotADeadLetter as error:
        return Filed(number, filed_at, None, str(error))


def _headers(original: RawStreamMsg | None) -> dict[str, str]:
    """Return an emitter's own headers; those of NATS are orders to the stream, given and done."""
    told = (original.headers or {}) if original else {}
    return {name: value for name, value in told.items() if not name.lower().startswith("nats-") and value.isprintable()}


def _marks(letter: DeadLetter) -> dict[str, str]:
    """Return the headers that name the origin of a redriven message."""
    marks = {
        "Kaizen-Original-Msg-Id": letter.msg_id,
        REPLAY: letter.replay,
    }  # REPLAY also where only the letter is left
    return {name: value for name, value in marks.items() if value and value.isprintable()}


@contextmanager
def _asked(what: str) -> Iterator[None]:
    try:
        yield
    except (NatsError, OSError, TimeoutError) as error:
        raise BusUnavailable(what, (str(error) or type(error).__name__).removeprefix("nats: ")) from None
