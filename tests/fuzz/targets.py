"""What is fuzzed. A target takes a source of chance, makes an input of it, and raises where a promise is broken.

Never status 5, never a report that its reader refuses, never a planted secret in an output, and never a second of
CPU for less than 64 KiB.
"""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Final

from contracts.cli import contracts
from contracts.cli.run import run
from contracts.errors import Exit, KitError
from tests.fuzz.costly import costly_payloads
from tests.fuzz.inputs import EXAMPLE, as_bytes, mutated, planted, structured
from tests.fuzz.readers import READERS

MOST_CPU_S: Final = 3.0
"""A second, and what a loaded machine may add to it."""

Kept = Callable[[str, bytes], None]
"""Keeps a part of the input under a name, to repeat a failure."""


class Broken(Exception):
    """A promise that an input broke."""


def check_bytes(random: Random, keep: Kept) -> None:
    """Any bytes, in any kind of file, with any options, in every report."""
    raw = as_bytes(random, structured(random)) if random.random() < 0.4 else mutated(random)
    _check(random, keep, raw, None)


def check_planted(random: Random, keep: Kept) -> None:
    """A payload that holds a credential: no report and no message shows it."""
    payload, secret = planted(random)
    _check(random, keep, as_bytes(random, payload), secret)


def check_costly(random: Random, keep: Kept) -> None:
    """A payload just under the limit, of a shape that costs much somewhere."""
    name, raw = random.choice(_costly())
    keep("shape", name.encode())
    _check(random, keep, raw, None)


def configuration(random: Random, keep: Kept) -> None:
    """A configuration file and a file of waivers of any bytes."""
    with _folder() as folder:
        for name, seed in (("contracts.toml", _CONFIG), ("waivers.toml", _WAIVERS)):
            raw = mutated(random, seed) if random.random() < 0.7 else seed
            keep(name, raw)
            (folder / name).write_bytes(raw)
        (folder / "x.json").write_bytes(EXAMPLE)
        _run(folder, ["check", "x.json", "--waivers", "waivers.toml", "--report", "json=out/report.json"], None)
        _read_reports(folder / "out")


def replay_plan(random: Random, keep: Kept) -> None:
    """A plan of captures and payloads of any bytes; nothing is sent."""
    payload, secret = planted(random) if random.random() < 0.3 else (structured(random), None)
    raw = as_bytes(random, payload) if secret or random.random() < 0.5 else mutated(random)
    keep("x.jsonl", raw)
    with _folder() as folder:
        (folder / "x.jsonl").write_bytes(raw)
        rewrite = ["--rewrite", "--map-repo", "kaizen-agentic=other"] if random.random() < 0.5 else []
        shape = random.choice(
            [[], ["--speed", "10x"], ["--shuffle", "3", "--seed", "1"], ["--duplicate", "50%"], ["--invalid"]]
        )
        _run(folder, ["replay", "http://127.0.0.1:9/x", "--from-file", "x.jsonl", *rewrite, *shape], secret)


def verify_emitter(random: Random, keep: Kept) -> None:
    """Events of any bytes as the output of an emitter."""
    payload, secret = planted(random) if random.random() < 0.3 else (structured(random), None)
    raw = as_bytes(random, payload) if secret or random.random() < 0.5 else mutated(random)
    name = random.choice(["x.json", "x.jsonl"])
    keep(name, raw)
    with _folder() as folder:
        (folder / name).write_bytes(raw)
        reports = [word for each in READERS for word in ("--report", f"{each}=out/{each}")]
        _run(folder, ["verify-emitter", f"file:{name}", *reports], secret)
        _read_reports(folder / "out")


def reference_records(random: Random, keep: Kept) -> None:
    """Reference records of any bytes through every reader of an archive."""
    from archiver.maintenance.history import Span, history
    from archiver.maintenance.reading import find, references, resolve
    from archiver.maintenance.verify import Selection
    from tests.archiver.maintenance.test_verify import archive, verification

    house = archive()
    keys = [key for key in house.store.objects if key.startswith("refs/")]
    for key in random.sample(keys, random.randrange(1, len(keys) + 1)):
        raw = house.store.objects[key]
        raw = as_bytes(random, structured(random, json.loads(raw))) if random.random() < 0.7 else mutated(random, raw)
        keep(key.replace("/", "_"), raw)
        house.store.objects[key] = raw

    async def read() -> None:
        store: Any = house.store
        async for _ in references(store):
            pass
        async for _ in history(store, Span()):
            pass
        async for _ in verification(house).damage(Selection()):
            pass
        for call in (find, resolve):
            for name in keys:
                with suppress(KitError):
                    await call(store, name)

    with _timed():
        asyncio.run(read())


def store_answers(random: Random, keep: Kept) -> None:
    """Answers of any bytes to the client of the store."""
    answer = mutated(random, random.choice(_ANSWERS)) if random.random() < 0.9 else mutated(random)
    keep("answer", answer)
    asyncio.run(_ask_everything(answer, hang_up=random.random() < 0.5))


async def _ask_everything(answer: bytes, *, hang_up: bool) -> None:
    from archiver.stores.s3.access import S3Access
    from archiver.stores.s3.direct import DirectStore
    from tests.support.store_calls import create, keys, read, replace

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
            if not hang_up:
                await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    secret = "do-not-show-me"
    store = DirectStore(
        S3Access(
            bucket="archive",
            endpoint_url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}",
            access_key_id="id",
            secret_access_key=secret,
            connect_timeout_s=0.2,
            read_timeout_s=0.05,
        )
    )
    calls = (
        lambda: read(store, "blobs/a.md"),
        lambda: keys(store, "blobs/"),
        lambda: store.folder("blobs/"),
        lambda: store.holds("blobs/a.md"),
        lambda: create(store, "blobs/a.md", b"x"),
        lambda: replace(store, "blobs/a.md", io.BytesIO(b"x")),
        lambda: store.delete("blobs/a.md"),
        store.check,
    )
    try:
        for call in calls:
            with _timed():
                try:
                    await asyncio.wait_for(call(), 20)
                except TimeoutError:
                    raise Broken("a call to the store does not end") from None
                except KitError as error:
                    if secret in str(error):
                        raise Broken("an error shows the secret key") from None
    finally:
        await store.close()
        server.close()


TARGETS: Final[tuple[Callable[[Random, Kept], None], ...]] = (
    check_bytes,
    check_planted,
    check_costly,
    configuration,
    replay_plan,
    verify_emitter,
    reference_records,
    store_answers,
)
"""Every target; they take turns."""

_CONFIG: Final = b"""
contract = "kaizen.schedule.prepared@1"
fail_on = "warning"
ignore = ["cadence/enum"]
reports = ["text", "json=out/more.json"]
[emitters.x]
uri = "cmd:true"
timeout = 3
[targets.y]
url = "nats://bob:${PATH}@127.0.0.1:1"
"""
_WAIVERS: Final = b"""
[[waivers]]
rule = "cadence/enum"
pointer = "/cadence"
reason = "r"
owner = "o"
expires = 2126-12-31
"""
_LISTING: Final = (
    b'<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>archive</Name>'
    b"<Prefix>blobs/</Prefix><KeyCount>1</KeyCount><MaxKeys>1000</MaxKeys><EncodingType>url</EncodingType>"
    b"<IsTruncated>false</IsTruncated><Contents><Key>blobs/a%2B.md</Key><LastModified>2026-06-17T09:00:12.000Z"
    b"</LastModified><Size>1</Size></Contents><CommonPrefixes><Prefix>blobs/x/</Prefix></CommonPrefixes>"
    b"</ListBucketResult>"
)
_REFUSAL: Final = b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code><Message>m</Message><Region>eu</Region></Error>"


def _answer(status: bytes, body: bytes, *headers: bytes) -> bytes:
    head = b"\r\n".join((b"HTTP/1.1 " + status, *headers, b"Content-Length: %d" % len(body)))
    return head + b"\r\n\r\n" + body


_ANSWERS: Final = [
    _answer(b"200 OK", b"x", b'ETag: "a"', b"x-amz-request-id: 1"),
    _answer(b"200 OK", _LISTING, b"Content-Type: application/xml", b"x-amz-request-id: 1"),
    _answer(
        b"200 OK", _LISTING.replace(b"false", b"true</IsTruncated><NextContinuationToken>t</NextContinuationToken><A>")
    ),
    _answer(b"404 Not Found", _REFUSAL, b"x-amz-request-id: 1"),
    _answer(b"301 Moved Permanently", _REFUSAL.replace(b"NoSuchKey", b"PermanentRedirect"), b"Location: http://x/y"),
    _answer(b"503 Slow Down", b"", b"Retry-After: 1"),
    _answer(b"200 OK", b"<html><title>Console</title></html>", b"Content-Type: text/html"),
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + _answer(b"204 No Content", b""),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\nto the end of the connection",
    b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n",
]


def _costly() -> list[tuple[str, bytes]]:
    if not _COSTLY:
        _COSTLY.extend(costly_payloads())
    return _COSTLY


_COSTLY: Final[list[tuple[str, bytes]]] = []


def _check(random: Random, keep: Kept, raw: bytes, secret: str | None) -> None:
    keep("raw", raw)
    with _folder() as folder:
        name, content = random.choice(
            [
                *[("x.json", raw)] * 6,
                ("x.jsonl", raw + b"\n" + EXAMPLE.replace(b"\n", b"")),
                ("x.jsonl", b"\r\n\r\n" + raw.replace(b"\n", b" ") + b"\r\n" + raw),
                ("x.json.gz", gzip.compress(raw, 1)),
                ("invalid/x.json", raw),
                ("wire/x.bin", raw),
                ("-", raw),
                (".", raw),
            ]
        )
        (folder / "valid").mkdir()
        (folder / "valid" / "spec-example.json").write_bytes(EXAMPLE)
        path = folder / ("d/x.json" if name in {"-", "."} else name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        options = [
            *random.choice(
                [[], [], ["--jsonl"], ["--profile", "consumer"], ["--contract", "kaizen.schedule.archived"]]
            ),
            *random.choice([[], [], ["--fail-on", "warning"], ["--select", "boundary/*"], ["--ignore", "*/required"]]),
        ]
        keep("arguments", " ".join(["check", name, *options]).encode())
        reports = [word for each in READERS for word in ("--report", f"{each}=out/{each}")]
        _run(folder, ["check", name, *options, *reports], secret, stdin=raw if name == "-" else b"")
        _read_reports(folder / "out", must_exist=True)


def _read_reports(folder: Path, *, must_exist: bool = False) -> None:
    for name, read in READERS.items():
        path = folder / name
        if not path.exists():
            if must_exist:
                raise Broken(f"there is no {name} report")
            continue
        try:
            read(path.read_bytes())
        except Exception as error:
            raise Broken(f"the {name} report is refused by its reader: {type(error).__name__}: {error}") from error


def _run(folder: Path, arguments: list[str], secret: str | None, *, stdin: bytes = b"") -> None:
    """Run `contracts` in this process and in a folder; check its status, and that no output has the secret."""
    streams = {
        name: io.TextIOWrapper(io.BytesIO(), "utf-8", errors="backslashreplace") for name in ("stdout", "stderr")
    }
    before = {name: getattr(sys, name) for name in ("stdin", *streams)}
    here, status = Path.cwd(), None
    os.chdir(folder)
    try:
        sys.stdin = io.TextIOWrapper(io.BytesIO(stdin), "utf-8")
        for name, stream in streams.items():
            setattr(sys, name, stream)
        with _timed():
            try:
                run(contracts, arguments)
            except SystemExit as ended:
                status = ended.code
    finally:
        os.chdir(here)
        for name, stream in before.items():
            setattr(sys, name, stream)
    written = {name: stream.buffer.getvalue() for name, stream in streams.items() if not stream.flush()}
    if status not in {Exit.OK, Exit.BROKEN, Exit.USAGE, Exit.NOTHING, Exit.UNREACHABLE}:
        raise Broken(f"status {status}\n{written['stderr'].decode()}")
    out = folder / "out"
    if secret:
        written |= {path.name: path.read_bytes() for path in out.iterdir()} if out.is_dir() else {}
        shown = [name for name, content in written.items() if secret.encode() in content]
        if shown:
            raise Broken(f"the planted secret {secret!r} is shown in: {', '.join(shown)}")


@contextmanager
def _timed() -> Iterator[None]:
    began = time.process_time()
    yield
    took = time.process_time() - began
    if took > MOST_CPU_S:
        raise Broken(f"{took:.1f} s of CPU")


@contextmanager
def _folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="fuzz-") as name:
        yield Path(name)
