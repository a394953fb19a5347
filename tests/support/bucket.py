"""A bucket of the NATS Object Store for one test: as other clients see it, and as the archiver does."""

from __future__ import annotations

import asyncio
import json
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import ObjectMeta, ObjectMetaOptions

from archiver.bundles.nats_object_store import ObjectStoreSource, ensure_object_store
from contracts.toolkit import NatsAccess, NatsServer, close_nats, connect_nats, spool_name
from tests.support.builders import prepared

EVENT = prepared()
NAME = spool_name(EVENT)
CHUNK = 128 * 1024
MAX_BYTES = 64 << 20


class FlaggedServer(NatsServer):
    """A nats-server whose acknowledgement subjects have more parts than nats-py counts on."""

    def write_private(self, name: str, content: Mapping[str, object]) -> Path:
        return super().write_private(name, {**content, "feature_flags": {"js_ack_fc_v2": True}})


@dataclass
class Bucket:
    """A bucket of one test alone: as other clients see it, and as the archiver does."""

    client: Client
    name: str

    @property
    def jetstream(self) -> JetStreamContext:
        return self.client.jetstream()

    @property
    def stream(self) -> str:
        return f"OBJ_{self.name}"

    def source(self, max_bytes: int = MAX_BYTES, **limits: float) -> ObjectStoreSource:
        return ObjectStoreSource(self.client, self.name, max_bytes, **limits)

    async def read(self, **limits: Any) -> bytes:
        async with self.source(**limits).open(EVENT) as bundle:
            text = bundle.file.read()
            assert (bundle.obtained_from, bundle.size_bytes) == ("object_store", len(text))
            return text

    async def put(self, data: bytes, name: str = NAME, **options: Any) -> dict[str, Any]:
        """Put an object with another client than ours, and return its metadata."""
        store = await self.jetstream.object_store(self.name)
        await store.put(name, data, ObjectMeta(options=ObjectMetaOptions(**{"max_chunk_size": CHUNK} | options)))
        return await self.meta(name)

    async def meta(self, name: str = NAME) -> dict[str, Any]:
        found = await self.jetstream.get_last_msg(self.stream, self.meta_subject(name))
        told: dict[str, Any] = json.loads(found.data or b"")
        return told

    async def tell(self, meta: Any) -> None:
        """Say of the object whatever the test likes."""
        raw = meta if isinstance(meta, bytes) else json.dumps(meta).encode()
        await self.jetstream.publish(self.meta_subject(NAME), raw, headers={"Nats-Rollup": "sub"})

    def meta_subject(self, name: str) -> str:
        return f"$O.{self.name}.M.{urlsafe_b64encode(name.encode()).decode()}"

    async def lose_chunk(self, number: int) -> None:
        subject = f"$O.{self.name}.C.{(await self.meta())['nuid']}"
        sequence = 0
        for _ in range(number):
            sequence = (await self.jetstream.get_msg(self.stream, sequence + 1, subject, next=True)).seq or 0
        await self.jetstream.delete_msg(self.stream, sequence)

    async def messages(self) -> int:
        return (await self.jetstream.stream_info(self.stream)).state.messages


Steps = Callable[[Bucket], Awaitable[Any]]


def on(server: NatsServer, steps: Steps) -> None:
    """Take the steps on a new bucket of the server."""

    async def run() -> None:
        client = await connect_nats(NatsAccess(server.url), name="test")
        try:
            bucket = Bucket(client, f"test-{uuid.uuid4().hex}")
            await ensure_object_store(client, bucket.name)
            await steps(bucket)
        finally:
            await close_nats(client)

    asyncio.run(asyncio.wait_for(run(), 60))
