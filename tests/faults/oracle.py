"""The oracle: what a run left behind, judged by the publisher's ledger.

For every event exactly one reference, at its key; the blob that it names, of the right content; a follow-up event
that names both. Or exactly one dead letter, for the expected reason, and nothing else. The consumer is drained,
and the bucket holds nothing that no event accounts for. It looks with clients of its own (boto3 and nats-py, never
through the archiver), at the servers themselves, never through a proxy.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from http import HTTPStatus
from typing import Any

import boto3
import nats
import urllib3
from nats.aio.client import Client
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.api import AckPolicy, ConsumerConfig

from archiver.dev_servers import NatsServer, S3Server
from tests.faults.ledger import Entry, Ledger

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_AT_ONCE = 16
_BATCH = 500


@dataclass
class Found:
    """All that a run left behind. Keys are without the archive's prefix; `pending` is the consumer's
    (num_pending, num_ack_pending)."""

    objects: dict[str, bytes] = field(default_factory=dict)
    follow_ups: list[dict[str, Any]] = field(default_factory=list)
    letters: list[dict[str, Any]] = field(default_factory=list)
    pending: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Verdict:
    """What is wrong, by what it is wrong with: an entry's name, an object's key, or `consumer`."""

    events: int
    whole: int
    damage: dict[str, list[str]]

    def __str__(self) -> str:
        told = [f"  {name}: {'; '.join(what)}" for name, what in sorted(self.damage.items())]
        return "\n".join([f"{self.whole:,} of {self.events:,}", *told[:20], *(["  …"] if len(told) > 20 else [])])


@dataclass(frozen=True)
class Oracle:
    """Looks at one archive: a prefix of a bucket, and a nats-server with its stream and consumer."""

    nats: NatsServer
    store: S3Server
    prefix: str
    tls: ssl.SSLContext | None = None
    stream: str = "KAIZEN_SCHEDULE"
    consumer: str = "archiver"

    def judge(self, ledger: Ledger, *, within_s: float = 30.0) -> Verdict:
        """Wait until the consumer is drained, `within_s` seconds at most; then look at everything and judge."""
        found = asyncio.run(self._look_at_the_bus(time.monotonic() + within_s))
        found.objects = self.objects()
        return judge(ledger, found, bucket=self.store.bucket, prefix=self.prefix)

    def objects(self) -> dict[str, bytes]:
        client = boto3.client(
            "s3",
            endpoint_url=self.store.url,
            region_name="us-east-1",
            aws_access_key_id=self.store.access_key,
            aws_secret_access_key=self.store.secret_key,
        )
        retries = urllib3.Retry(5, status_forcelist=[500, 503], backoff_factor=0.1)

        def read(key: str) -> bytes:
            # boto3 signs, urllib3 reads: half of the time of `get_object`, and after a storm that is 10,000 objects.
            url = client.generate_presigned_url("get_object", {"Bucket": self.store.bucket, "Key": key})
            answer = pool.request("GET", url, retries=retries)
            assert answer.status == HTTPStatus.OK, (key, answer.status, answer.data)
            return answer.data

        try:
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=self.store.bucket, Prefix=f"{self.prefix}/")
            keys = [each["Key"] for page in pages for each in page.get("Contents", [])]
            with urllib3.PoolManager(maxsize=_AT_ONCE) as pool, ThreadPoolExecutor(_AT_ONCE) as threads:
                bodies = threads.map(read, keys)
                return {key.removeprefix(f"{self.prefix}/"): body for key, body in zip(keys, bodies, strict=True)}
        finally:
            client.close()

    async def _look_at_the_bus(self, deadline: float) -> Found:
        client = await nats.connect(self.nats.url, name="oracle", tls=self.tls)
        try:
            return Found(
                pending=await self._drained(client, deadline),
                follow_ups=await _messages(client, self.stream, "kaizen.schedule.archived"),
                letters=await _messages(client, "KAIZEN_ARCHIVE_DLQ", "kaizen.archive.failed"),
            )
        finally:
            await client.close()

    async def _drained(self, client: Client, deadline: float) -> tuple[int, int]:
        while True:
            info = await client.jetstream().consumer_info(self.stream, self.consumer)
            pending = (info.num_pending or 0, info.num_ack_pending or 0)
            if pending == (0, 0) or time.monotonic() > deadline:
                return pending
            await asyncio.sleep(0.05)


def judge(ledger: Ledger, found: Found, *, bucket: str, prefix: str) -> Verdict:
    """Judge what was found; pure, so that every kind of damage can be tried on it."""
    damage: dict[str, list[str]] = defaultdict(list)
    follow_ups, letters = defaultdict(list), defaultdict(list)
    for each in found.follow_ups:
        follow_ups[each["source_event"]["sha256"]].append(each)
    for each in found.letters:
        letters[each["payload_sha256"]].append(each["reason"])
    for entry in ledger:
        said, dead = follow_ups.pop(entry.key, []), letters.pop(sha256(entry.payload).hexdigest(), [])
        wrong = (
            _dead(entry, said, dead) if entry.reason else _archived(entry, found.objects, said, dead, bucket, prefix)
        )
        if wrong:
            damage[entry.name] = wrong
    for key, what in (*_unexpected(ledger, found.objects), *_unknown(follow_ups, letters)):
        damage[key].append(what)
    if found.pending != (0, 0):
        damage["consumer"].append(f"{found.pending[0]} not delivered, {found.pending[1]} not answered")
    whole = sum(1 for each in ledger if each.name not in damage)
    return Verdict(len(ledger), whole, dict(damage))


def _archived(
    entry: Entry, objects: dict[str, bytes], said: list[dict[str, Any]], dead: list[str], bucket: str, prefix: str
) -> list[str]:
    wrong = [f"has a dead letter, {reason}" for reason in dead]
    blob_key = next((key for key in entry.blob_keys if key in objects), entry.blob_key)
    blob = objects.get(blob_key)
    if blob is None:
        wrong.append("its blob is missing")
    elif digest_of(blob_key, blob) != entry.digest:
        wrong.append("its blob holds other bytes")
    raw = objects.get(entry.ref_key)
    if raw is None:
        wrong.append("its reference is missing")
    else:
        wrong += _differences("reference", _reference(raw), _expected_reference(entry, bucket, blob_key))
    if not said:
        wrong.append("no follow-up event names it")
    for each in said:
        wrong += _differences(
            "follow-up event",
            each["archive"],
            _expected_archive(entry, bucket, f"{prefix}/{blob_key}", f"{prefix}/{entry.ref_key}"),
        )
    return wrong


def _expected_reference(entry: Entry, bucket: str, blob_key: str) -> dict[str, Any]:
    bundle = {"bucket": bucket, "key": blob_key, "sha256": entry.digest, "bytes": len(entry.bundle)}
    return {"event_sha256": entry.key, "event": entry.fields, **bundle}


def _expected_archive(entry: Entry, bucket: str, key: str, ref_key: str) -> dict[str, Any]:
    return {
        "bucket": bucket,
        "key": key,
        "ref_key": ref_key,
        "sha256": entry.digest,
        "bytes": len(entry.bundle),
    }


def digest_of(key: str, body: bytes) -> str:
    """Hash what a blob holds: a key that ends in .zst holds one zstd frame."""
    try:
        return sha256(zstd.decompress(body) if key.endswith(".zst") else body).hexdigest()
    except zstd.ZstdError:
        return ""


def _reference(raw: bytes) -> dict[str, Any]:
    try:
        record = json.loads(raw)
        return record | record["bundle"]
    except (ValueError, KeyError, TypeError):
        return {}


def _differences(what: str, found: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    return [f"its {what} has another {name}" for name, value in expected.items() if found.get(name) != value]


def _dead(entry: Entry, said: list[dict[str, Any]], dead: list[str]) -> list[str]:
    wrong = [] if dead == [entry.reason] else [f"expected one dead letter, {entry.reason}; found {dead}"]
    return wrong + ["a follow-up event says that it is archived"] * bool(said)


def _unexpected(ledger: Ledger, objects: dict[str, bytes]) -> Iterable[tuple[str, str]]:
    archived = [each for each in ledger if not each.reason]
    expected = {key for each in archived for key in (*each.blob_keys, each.ref_key)}
    for key, body in objects.items():
        name = key.rpartition("/")[2].partition(".")[0]
        if key in expected:
            continue
        if key.startswith("refs/") and name in ledger.entries:
            yield name, f"has another reference, {key}"
        elif not (key.startswith("blobs/") and name in ledger.strays and digest_of(key, body) == name):
            yield key, "no event accounts for it"


def _unknown(follow_ups: dict[str, list[dict[str, Any]]], letters: dict[str, list[str]]) -> Iterable[tuple[str, str]]:
    for key in follow_ups:
        yield key, "a follow-up event names it, and nobody published it"
    for digest, reasons in letters.items():
        yield digest, f"has a dead letter, {reasons[0]}, and nobody published it"


async def _messages(client: Client, stream: str, subject: str) -> list[dict[str, Any]]:
    """Read a subject's messages by pull: one request for five hundred."""
    jetstream = client.jetstream()
    config = ConsumerConfig(ack_policy=AckPolicy.NONE, filter_subject=subject, mem_storage=True)
    subscription = await jetstream.pull_subscribe(subject, stream=stream, config=config)
    missing = (await subscription.consumer_info()).num_pending or 0
    found: list[dict[str, Any]] = []
    while missing > len(found):
        try:
            batch = await subscription.fetch(min(_BATCH, missing - len(found)), timeout=5)
        except NatsTimeoutError:
            break  # what is not there then is damage, and told as such
        found += [json.loads(each.data) for each in batch]
    await subscription.unsubscribe()
    return found
