"""A staging server, a configuration that names it, and what lies in its streams."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.client import Client
from nats.js.errors import NotFoundError

from archiver.dev_servers import NatsServer
from contracts.fixtures.corpus import cases
from tests.support.servers import require_binary

STREAM = "STAGING_KAIZEN_SCHEDULE"
SUBJECT = "kaizen.schedule.prepared"
GOLDEN = sum(1 for _ in cases(f"{SUBJECT}@1", "valid"))
"""How many messages a replay of the golden fixtures has."""


@dataclass
class Staging:
    """A nats-server of a test's own."""

    server: NatsServer

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def place(self) -> str:
        """The URL without credentials."""
        return f"nats://{self.url.rpartition('@')[2]}"

    def ask(self, question: Callable[[Client], Awaitable[Any]]) -> Any:
        async def ask() -> Any:
            client = await nats.connect(self.url)
            try:
                return await question(client)
            finally:
                await client.close()

        return asyncio.run(ask())

    def make_stream(self, name: str = STREAM, *subjects: str) -> None:
        wanted = list(subjects or ["staging.kaizen.schedule.>"])
        self.ask(lambda client: client.jetstream().add_stream(name=name, subjects=wanted))

    def publish(self, subject: str, *payloads: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Publish to a stream, and return once all of it is stored there."""

        async def publish(client: Client) -> None:
            for payload in payloads:
                await client.jetstream().publish(subject, payload, headers=dict(headers) if headers else None)

        self.ask(publish)

    def empty(self, name: str = STREAM) -> None:
        """Make a stream anew: its numbers begin at 1 again."""

        async def empty(client: Client) -> None:
            jetstream = client.jetstream()
            info = await jetstream.stream_info(name)
            await jetstream.delete_stream(name)
            await jetstream.add_stream(info.config)

        self.ask(empty)

    def messages(self, name: str = STREAM) -> list[Any]:
        """Everything that lies in a stream: subject, data and headers of each message."""

        async def read(client: Client) -> list[Any]:
            jetstream, found, sequence = client.jetstream(), [], 1
            while True:
                try:
                    found.append(await jetstream.get_msg(name, sequence, ">", next=True))
                except NotFoundError:
                    return found
                sequence = found[-1].seq + 1

        return self.ask(read)


@pytest.fixture
def staging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Staging]:
    """An empty server with the stream of the target `staging`; the working directory has the configuration."""
    require_binary(NatsServer.binary)
    home = tmp_path / "work"
    home.mkdir()
    monkeypatch.chdir(home)
    with NatsServer(tmp_path / "nats") as server:
        configure(home, server.url)
        yield Staging(server)


@pytest.fixture
def rehearsal(staging: Staging) -> Staging:
    """The same, with the stream that the target expects."""
    staging.make_stream()
    return staging


def configure(home: Path, url: str, *, stream: str | None = STREAM, more: str = "") -> None:
    """Write a configuration with the target `staging`."""
    named = f'stream = "{stream}"\n' if stream else ""
    (home / "contracts.toml").write_text(f'[targets.staging]\nurl = "{url}"\n{named}{more}', "utf-8")
