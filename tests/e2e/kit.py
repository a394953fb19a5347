"""One archive on real servers for one test, and the two commands as their users run them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import boto3
from nats.aio.client import Client
from nats.js.api import ConsumerInfo

from archiver.bus.setup import set_up
from archiver.core.subjects import DEAD_LETTER_STREAM, stream_name
from archiver.dev_servers import NatsServer, S3Server
from contracts import PreparedEvent
from contracts.toolkit import ChildProcess, NatsAccess, close_nats, connect_nats, publish_confirmed, spool_name
from tests.support.builders import BUNDLE, PREPARED, payload_bytes

CHECKOUT = Path(__file__).resolve().parent.parent.parent
BIN = Path(sys.executable).parent
STREAM = "KAIZEN_SCHEDULE"
SOON_S = 30.0

T = TypeVar("T")


@dataclass
class Started:
    """A command that runs; what it says is in two files."""

    process: subprocess.Popen[bytes]
    out: Path
    err: Path

    def wait_for(self, text: str, *, where: str = "err") -> str:
        """Wait until it has said `text`; return all that it has said there."""
        path: Path = getattr(self, where)
        until(lambda: text in path.read_text("utf-8") or self.process.poll() is not None, f"{text!r} in {path}")
        said = path.read_text("utf-8")
        assert text in said, f"it ended with {self.process.returncode}: {said}"
        return said

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self) -> int:
        return self.process.wait(SOON_S)


@dataclass
class Kit:
    """A nats-server, a prefix in the bucket and a spool, all of this test alone."""

    nats: NatsServer
    store: S3Server
    home: Path
    environment: dict[str, str]
    prefix: str
    started: list[Started] = field(default_factory=list)
    subject_prefix: str = ""

    @classmethod
    def make(cls, nats: NatsServer, store: S3Server, home: Path, subject_prefix: str = "") -> Kit:
        """Make an archive of its own; with a `subject_prefix` it may share the nats-server with another."""
        prefix = f"e2e-{uuid.uuid4().hex}"
        (home / "spool").mkdir()
        environment = {
            "NATS_URL": nats.url,
            "AWS_ENDPOINT_URL_S3": store.url,
            "AWS_ACCESS_KEY_ID": store.access_key,
            "AWS_SECRET_ACCESS_KEY": store.secret_key,
            "ARCHIVER_BUCKET": store.bucket,
            "ARCHIVER_PREFIX": prefix,
            "ARCHIVER_SPOOL": str(home / "spool"),
            "ARCHIVER_ACK_WAIT_S": "1",
            **({"ARCHIVER_SUBJECT_PREFIX": subject_prefix} if subject_prefix else {}),
        }
        return cls(nats, store, home, environment, prefix, subject_prefix=subject_prefix)

    # Commands

    def archiver(
        self, *words: str | Path, status: int = 0, **changes: str | None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run `archiver`; its exit status has to be `status`, and a traceback has no place anywhere."""
        return self.command("archiver", *words, status=status, **changes)

    def command(
        self, name: str, *words: str | Path, status: int = 0, **changes: str | None
    ) -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run(
            [BIN / name, *words], env=self._variables(changes), capture_output=True, check=False, timeout=SOON_S
        )
        said = f"{name} {words}: exit {done.returncode}\n{done.stdout.decode()[-3000:]}{done.stderr.decode()[-3000:]}"
        assert done.returncode == status, said
        assert b"Traceback" not in done.stdout + done.stderr, said
        return done

    def start(self, *words: str | Path, **changes: str | None) -> Started:
        """Start a program of this environment and leave it running."""
        out, err = (self.home / f"{len(self.started)}.{name}" for name in ("out", "err"))
        with out.open("wb") as out_file, err.open("wb") as err_file:
            process = subprocess.Popen(
                [BIN / words[0], *words[1:]],
                env=self._variables(changes),
                stdout=out_file,
                stderr=err_file,
                cwd=CHECKOUT,
            )
        self.started.append(Started(process, out, err))
        return self.started[-1]

    def worker(self, **changes: str | None) -> Started:
        """Start `archiver run` and wait until it is ready."""
        started = self.start("archiver", "run", **changes)
        started.wait_for('"ready"')
        return started

    def close(self) -> None:
        for each in self.started:
            each.process.kill()
            each.process.wait()

    def _variables(self, changes: Mapping[str, str | None]) -> dict[str, str]:
        variables = os.environ | self.environment | changes
        return {name: value for name, value in variables.items() if value is not None}

    # The bus

    def on_the_bus(self, steps: Callable[[Client], Awaitable[T]]) -> T:
        async def connected() -> T:
            client = await connect_nats(NatsAccess(self.nats.url), name="test")
            try:
                return await steps(client)
            finally:
                await close_nats(client)

        return asyncio.run(connected())

    def init(self) -> None:
        """Do as `archiver init` does, without the half second that a process takes."""
        ack_wait_s = float(self.environment["ARCHIVER_ACK_WAIT_S"])
        self.on_the_bus(
            lambda client: set_up(client, stream=STREAM, consumer="archiver", ack_wait_s=ack_wait_s, apply=False)
        )

    def change_stream(self, **settings: object) -> None:
        async def steps(client: Client) -> None:
            jetstream = client.jetstream()
            config = (await jetstream.stream_info(STREAM)).config
            await jetstream.update_stream(config.evolve(**settings))

        self.on_the_bus(steps)

    def shorten_window(self) -> None:
        """Make the stream's duplicate window 0.1 s, the shortest there is.

        In two steps: nats-server 2.15 wakes its timer before it knows the new window, and may wait for the old one.
        """
        for seconds in (0.2, 0.1):
            self.change_stream(duplicate_window=seconds)

    def publish(
        self,
        payload: Mapping[str, Any] | bytes,
        bundle: bytes | None = BUNDLE,
        *,
        message_id: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> PreparedEvent | None:
        """Leave a bundle (None: none) and publish its event, as an emitter does; bytes go past every check."""
        if isinstance(payload, bytes):
            raw, this = payload, None
        else:
            raw, this = payload_bytes(payload), PreparedEvent.from_checked(payload)
            if bundle is not None:
                self.leave(this, bundle)
        name = message_id or (this.key if this else uuid.uuid4().hex)
        subject = self.subject_prefix + PREPARED
        self.on_the_bus(lambda client: publish_confirmed(client, subject, raw, message_id=name, headers=headers))
        return this

    def leave(self, event: PreparedEvent, bundle: bytes = BUNDLE) -> Path:
        path = self.home / "spool" / spool_name(event)
        aside = path.with_suffix(".part")
        aside.write_bytes(bundle)
        return aside.rename(path)

    def consumer(self) -> ConsumerInfo:
        stream = stream_name(STREAM, self.subject_prefix)
        return self.on_the_bus(lambda client: client.jetstream().consumer_info(stream, "archiver"))

    def is_drained(self) -> bool:
        found = self.consumer()
        return found.num_pending == 0 and found.num_ack_pending == 0

    def letters(self) -> list[dict[str, Any]]:
        return self._messages(DEAD_LETTER_STREAM, "kaizen.archive.failed")

    def follow_ups(self) -> list[dict[str, Any]]:
        return self._messages(STREAM, "kaizen.schedule.archived")

    def _messages(self, name: str, subject: str) -> list[dict[str, Any]]:
        stream = stream_name(name, self.subject_prefix)

        async def steps(client: Client) -> list[dict[str, Any]]:
            jetstream = client.jetstream()
            state = (await jetstream.stream_info(stream)).state
            numbers = range(state.first_seq, state.last_seq + 1) if state.messages else ()
            found = [await jetstream.get_msg(stream, number) for number in numbers]
            return [json.loads(each.data or b"") for each in found if each.subject == self.subject_prefix + subject]

        return self.on_the_bus(steps)

    # The bucket, seen by another client than ours

    @property
    def s3(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.store.url,
            region_name="us-east-1",
            aws_access_key_id=self.store.access_key,
            aws_secret_access_key=self.store.secret_key,
        )

    def objects(self, folder: str = "") -> dict[str, bytes]:
        """Read everything under a folder of the archive, by key without the archive's prefix."""
        client, bucket = self.s3, self.store.bucket
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{self.prefix}/{folder}")
        keys = [each["Key"] for page in pages for each in page.get("Contents", [])]
        found = {key: client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}
        client.close()
        return {key.removeprefix(f"{self.prefix}/"): body for key, body in found.items()}

    def overwrite(self, key: str, body: bytes) -> None:
        client = self.s3
        client.put_object(Bucket=self.store.bucket, Key=f"{self.prefix}/{key}", Body=body)
        client.close()


@contextmanager
def kit_in(home: Path, store: S3Server) -> Iterator[Kit]:
    """Run a nats-server for one kit, and end with it what the kit has started."""
    with NatsServer(home / "nats") as nats:
        kit = Kit.make(nats, store, home)
        try:
            yield kit
        finally:
            kit.close()


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition; fail with what was waited for."""
    deadline = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {SOON_S:.0f} s: {what}"
        time.sleep(0.02)


@contextmanager
def frozen(server: ChildProcess) -> Iterator[None]:
    """Stop a server's clock: it holds its connections and answers nothing."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)
