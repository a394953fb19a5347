"""The names of what is stored. Each is computed from content alone, so doing the work twice is harmless.

    blobs/v1/sha256/<2 hex>/<64 hex>.md               a bundle, by the digest of its uncompressed bytes
    blobs/v1/sha256/<2 hex>/<64 hex>.md.zst           the same, compressed
    refs/v1/repo=…/agent=…/date=YYYY-MM-DD/<key>.json  a reference, by the identity of its event
    conflicts/v1/<key>/<64 hex>.json                   a second, different bundle for the same event
    probe/v1/…                                         left by a probe of what the store can do
    trash/v1/<run>/blobs/…                             a blob that `archiver gc` is about to delete
    replays/v1/<run>/…                                 a separate archive: what one replay brought

The digest's first two digits spread the load over a store's partitions; the reference's segments are read
as columns by query tools. No key is ever another key's directory, which MinIO and SeaweedFS refuse.
"""

from __future__ import annotations

import re
from datetime import UTC
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from contracts import PreparedEvent

BLOBS: Final = "blobs/v1/sha256/"
REFERENCES: Final = "refs/v1/"
CONFLICTS: Final = "conflicts/v1/"
TRASH: Final = "trash/v1/"
REPLAYS: Final = "replays/v1/"
IDENTITY: Final = "identity"
ZSTD: Final = "zstd"
_PACKED = ".zst"
_CONTENT_TYPES = {"md": "text/markdown; charset=utf-8", "json": "application/json", "zst": "application/zstd"}
_HEX = re.compile(r"[0-9a-f]{64}")
_ELSEWHERE = re.compile(r"(.+?/)(?:blobs/v1/sha256|refs/v1|conflicts/v1|probe/v1|trash/v1|replays/v1)/")
# A segment holds no dot (`key_segment`), so that no key can climb out of its prefix.
_REF_KEY = re.compile(
    rf"{REFERENCES}repo=[^/.]+/agent=[^/.]+/date=[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}/([0-9a-f]{{64}})\.json"
)


def key_segment(name: str) -> str:
    """Encode one untrusted name as one segment of an S3 key.

    The dot is encoded too, so no name can become '.' or '..', add a '/', or meet another name.
    """
    if not name:
        raise ValueError("an S3 key segment needs at least one character, got ''")
    return quote(name, safe="").replace(".", "%2E")


def blob_key(sha256: str, ending: str, codec: str = IDENTITY) -> str:
    """Name a blob by the hex digest of the uncompressed bundle, its file ending (md or json) and its codec."""
    return f"{BLOBS}{sha256[:2]}/{sha256}.{ending}{_PACKED if codec == ZSTD else ''}"


def blob_keys(sha256: str) -> list[str]:
    """Return every name that a blob of that digest may have."""
    return [blob_key(sha256, ending, codec) for ending in ("md", "json") for codec in (IDENTITY, ZSTD)]


def codec_in(key: str) -> str:
    """Return how what is under a key is packed: identity or zstd."""
    return ZSTD if key.endswith(_PACKED) else IDENTITY


def content_type(key: str) -> str:
    """Return the media type of a blob, by the ending of its key."""
    return _CONTENT_TYPES.get(key.rpartition(".")[2], "application/octet-stream")


def ref_key(event: PreparedEvent) -> str:
    """Name an event's reference: one GET finds it, and a listing by repo, agent and day is a prefix."""
    day = event.occurred_at.astimezone(UTC).date().isoformat()
    return f"{ref_prefix(event.repo, event.agent)}date={day}/{event.key}.json"


@lru_cache(256)  # an event is asked for its key a few times, and few agents send most of the events
def ref_prefix(repo: str | None = None, agent: str | None = None) -> str:
    """Return the longest prefix that all references of a repo, or of its agent, share."""
    if repo is None:
        return REFERENCES
    prefix = f"{REFERENCES}repo={key_segment(repo)}/"
    return prefix if agent is None else f"{prefix}agent={key_segment(agent)}/"


def conflict_key(event_key: str, sha256: str) -> str:
    """Name the record of a second, different bundle that came with an event already archived."""
    return f"{CONFLICTS}{event_key}/{sha256}.json"


def trash_key(run: str, blob: str) -> str:
    """Name the copy of a blob that one run of `archiver gc` sets aside."""
    return f"{TRASH}{run}/{blob}"


def replay_prefix(run: str) -> str:
    """Name the part of the archive that is one replay's own; `run` is from `core.replay.run_of`."""
    return f"{REPLAYS}{key_segment(run)}/"


def blob_in_trash(key: str) -> str:
    """Return the blob key whose copy `trash_key` named so."""
    return key.removeprefix(TRASH).partition("/")[2]


def event_key_in(ref_key: str) -> str | None:
    """Return the identity of the event that a reference's key names; None where it is not such a key."""
    found = _REF_KEY.fullmatch(ref_key)
    return found[1] if found else None


def is_blob_key(key: str) -> bool:
    """Return whether a key is the name of a blob, exactly as `blob_key` builds it."""
    return key in blob_keys(digest_in(key) or "")


def archive_around(key: str) -> str | None:
    """Return the prefix of the other archive that an object belongs to, such as `staging/`, or None."""
    found = _ELSEWHERE.match(key)
    return found[1] if found else None


def day_in(ref_key: str) -> str:
    """Return the day, in UTC, that a reference's key names, as YYYY-MM-DD; '' where it names none."""
    return ref_key.rpartition("date=")[2].partition("/")[0]


def is_digest(text: str) -> bool:
    """Return whether the text is a SHA-256 in lower-case hex, as event keys and blob names are."""
    return _HEX.fullmatch(text) is not None


def digest_in(key: str) -> str | None:
    """Return the digest that a blob's key promises, or None where the key names none."""
    name = key.rsplit("/", 1)[-1].partition(".")[0]
    return name if BLOBS in key and is_digest(name) else None
