"""Calls to an BlobStore, short enough to be read in a test."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archiver.ports import BlobStore, Body, Stored

MARKDOWN = "text/markdown; charset=utf-8"


async def create(store: BlobStore, key: str, body: Body, *, sha256: str | None = None) -> Stored:
    return await store.create(
        key,
        body,
        sha256=sha256 or digest_of_body(body),
        content_type=MARKDOWN,
        metadata={"content-sha256": digest_of_body(body)},
    )


async def replace(store: BlobStore, key: str, body: Body, *, sha256: str | None = None) -> Stored:
    return await store.replace(key, body, sha256=sha256 or digest_of_body(body), content_type=MARKDOWN, metadata={})


async def read(store: BlobStore, key: str) -> bytes:
    return b"".join([chunk async for chunk in store.read(key)])


async def keys(store: BlobStore, prefix: str) -> list[str]:
    return [listed.key async for listed in store.list(prefix)]


def digest_of_body(body: Body) -> str:
    data = body if isinstance(body, bytes) else body.getvalue()  # type: ignore[attr-defined] # BytesIO
    return hashlib.sha256(data).hexdigest()
