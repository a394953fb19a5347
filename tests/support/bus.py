"""A nats-server of any configuration, streams on it, and messages for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nats
from nats.js.api import StreamConfig

from archiver.dev_servers import NatsServer
from contracts.bus.connection import round_trip


class Bus(NatsServer):
    """A nats-server with the given settings, on a port that it chooses; `url` carries no credentials."""

    def __init__(self, home: Path, **settings: Any) -> None:
        super().__init__(home)
        self._settings = settings

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"nats://{self.place}"

    def start(self) -> None:
        settings = {"host": "127.0.0.1", "port": self.port or -1, "ports_file_dir": str(self.home), **self._settings}
        self.home.mkdir(parents=True, exist_ok=True)
        config = self.home / "nats.json"
        config.write_text(json.dumps(settings), "utf-8")
        self.run("-c", config)
        self.wait_until(self._listens)


def publish(url: str, subject: str, *payloads: bytes, headers: Mapping[str, str] | None = None) -> None:
    """Publish without confirmation, and return when the server has them all."""

    async def send() -> None:
        client = await nats.connect(url)
        for payload in payloads:
            await client.publish(subject, payload, headers=dict(headers) if headers else None)
        await round_trip(client)
        await client.close()

    asyncio.run(send())


def make_stream(url: str, name: str, subject: str) -> None:
    async def make() -> None:
        client = await nats.connect(url)
        await client.jetstream().add_stream(StreamConfig(name=name, subjects=[subject]))
        await client.close()

    asyncio.run(make())
