"""What the pipeline asks of the world: a store, a bundle source, a bus and a clock.

Every store implementation passes `tests/support/store_suite.py`. Adapters translate their driver's errors
into those of `archiver.core.errors`, and never let a driver's exception or retry policy through: how long
to try is the pipeline's decision.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Protocol

from archiver.core.values import Backlog, Folder, Listed, Message, Stored
from contracts import PreparedEvent

Body = bytes | BinaryIO
"""What is stored: bytes, or a seekable binary file read from its start."""


class BlobStore(Protocol):
    """A bucket, or the part of one under a prefix. Keys are relative to that prefix."""

    async def check(self) -> None:
        """Confirm that the bucket is there and answers to these credentials; create nothing.

        Raises:
            BucketMissing: there is no such bucket.
            StoreUnavailable: anything else, in the store's own words.
        """

    async def create(
        self, key: str, body: Body, *, sha256: str, content_type: str, metadata: Mapping[str, str]
    ) -> Stored:
        """Store `body` under a key that must be new; all of it or nothing.

        `sha256` is the hex digest of `body`; the store is made to verify it. `metadata` is ASCII.

        Raises:
            KeyTaken: the key exists. Proof of nothing: it may be one's own lost answer, or other bytes.
            StoreUnavailable: nothing is known of the outcome; the same call may be made again.
        """

    async def replace(
        self, key: str, body: Body, *, sha256: str, content_type: str, metadata: Mapping[str, str]
    ) -> Stored:
        """Store `body` under the key, replacing any object; for repairs, whose key is their digest."""

    def read(self, key: str) -> AsyncIterator[bytes]:
        """Stream an object in chunks of at most 1 MiB.

        Raises:
            KeyMissing: nothing there, before the first chunk.
            StoreUnavailable: at any chunk, also when the body ends early.
        """

    async def holds(self, key: str) -> bool:
        """Return whether an object is stored under a key, without reading it.

        Raises:
            StoreUnavailable: nothing is known.
        """

    def list(self, prefix: str, after: str = "") -> AsyncIterator[Listed]:
        """List keys that start with `prefix`, page by page; given `after`, only those that are listed after that key.

        They come folder by folder, in ascending order of their UTF-8 bytes, but a store may have the folder `a/`
        before `a-b/`.

        Raises:
            StoreUnavailable: at any page. What was listed stands, and its last key is where to go on.
        """

    async def folder(self, prefix: str) -> Folder:
        """List what is directly in a folder; `prefix` ends with a slash, or is ''. Held whole: for folders of folders.

        Raises:
            StoreUnavailable: the store failed.
        """

    async def delete(self, key: str) -> None:
        """Remove an object; nothing happens where there is none. For `archiver gc` alone: workers need no such right.

        Raises:
            StoreUnavailable: refused, or nothing is known of the outcome.
        """

    async def close(self) -> None:
        """Give back connections and threads; the store is not used again."""


async def keep() -> None:
    """Leave the source's copy where it is."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle opened for reading: a seekable file, its size in bytes and where it came from.

    `release` takes the source's copy away, if it is still the one that was opened; for use after the block
    of `open`, once the reference is durable. It raises `SourceUnavailable` where the source refuses.
    """

    file: BinaryIO
    size_bytes: int
    obtained_from: str
    release: Callable[[], Awaitable[None]] = keep


class BundleSource(Protocol):
    """Where emitters leave bundles. Only emitters may write there; that is the trust boundary."""

    def open(self, event: PreparedEvent, said: str | None = None) -> AbstractAsyncContextManager[Bundle]:
        """Open the bundle that the event announces.

        `said` is the value of the message's header `Kaizen-Bundle-Source`: the name of a source, an
        untrusted word, or None.

        Raises:
            BundleMissing: not there (yet).
            BundleUnreadable: there, and this one cannot be read, or it changed while it was read.
            BundleRefused: it exists, and is unsafe to read; gives the reason.
            SourceUnavailable: the source as a whole failed (no mount, no file handles left); no event is to blame.
        """

    async def check(self) -> None:
        """Confirm that the source can be reached; read no bundle.

        Raises:
            SourceUnavailable: it cannot.
        """


class Announcer(Protocol):
    """Publishes our events, and returns only when the bus has them on disk."""

    async def announce(
        self,
        subject: str,
        payload: bytes,
        *,
        message_id: str,
        headers: Mapping[str, str] | None = None,
        is_ours: Callable[[bytes], bool] | None = None,
    ) -> None:
        """Publish and wait for the confirmation.

        A confirmation that reports a duplicate counts only if the stored message is ours: the same bytes, or what
        `is_ours` accepts. Otherwise the message is published under another id.

        Raises:
            BusUnavailable: not confirmed; it may or may not have been stored.
        """


class Clock(Protocol):
    """The time, so that decisions can be tested at any."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""


class Delivery(Protocol):
    """One message in our hands, until it is answered. Unanswered, the bus delivers it again."""

    @property
    def message(self) -> Message:
        """What was delivered."""

    async def acknowledge(self) -> None:
        """Acknowledge it, and wait until the bus has confirmed that.

        Raises:
            BusUnavailable: not noted; it will be delivered again.
        """

    async def retry(self, after_s: float) -> None:
        """Hand it back, to be delivered again after `after_s` seconds."""

    async def terminate(self) -> None:
        """Terminate it (no further delivery); only after its dead letter is stored."""

    async def still_working(self) -> None:
        """Ask for more time."""


class Inbox(Protocol):
    """The durable consumer: many workers may fetch from it."""

    async def fetch(self, limit: int, wait_s: float) -> Sequence[Delivery]:
        """Take up to `limit` messages; none where none came within `wait_s` seconds.

        Raises:
            BusSilent: the connection is open, and the bus sent nothing.
            BusUnavailable: the bus cannot be asked just now.
        """

    async def resubscribe(self) -> None:
        """Ask from a new address: after a restart of the bus, the old one may be known to nobody."""

    async def reconnect(self) -> None:
        """Give the connection up and make a new one."""

    async def backlog(self) -> Backlog:
        """Ask how much is waiting.

        Raises:
            ConsumerMissing: the consumer or its stream does not exist (any more).
            BusUnavailable: the bus cannot be asked just now.
        """
