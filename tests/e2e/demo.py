"""The main job on real servers, start to end: `make demo` runs it, and a test runs it too.

It talks to the two commands the way their users do, checks every number that it prints, and exits 0 only if
all of them were right. Everything it makes is under build/demo; the servers end with it.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from archiver.dev_servers import NatsServer, S3Server
from contracts import KitError
from contracts.toolkit import NatsAccess, close_nats, connect_nats, print_table, publish_confirmed

CHECKOUT = Path(__file__).resolve().parent.parent.parent
HOME = CHECKOUT / "build" / "demo"
PROGRAM = CHECKOUT / "fixtures" / "emitters" / "kaizen-agentic"
BIN = Path(sys.executable).parent
LARGE_BYTES = 5 << 20
RUNS = [
    ("coach", "daily", "markdown"),
    ("coach", "weekly", "json"),
    ("reviewer", "daily", "markdown"),
    ("reviewer", "monthly", "json"),
    ("historian", "weekly", "markdown"),
    ("historian", "monthly", "json"),
]


class DemoFailed(Exception):
    """A number was not what it has to be."""


@dataclass
class Emitted:
    """One event that was published, and its bundle as the emitter left it."""

    agent: str
    cadence: str
    key: str
    name: str
    bundle: bytes


def main() -> int:
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    begin = time.monotonic()
    try:
        with servers() as environment:
            last_line = run_main_job(environment)
    except (DemoFailed, KitError) as error:
        print(f"\ndemo failed: {error}", file=sys.stderr)
        return 1
    print(f"\n({time.monotonic() - begin:.1f} s; both servers stopped)\n{last_line}")
    return 0


@contextlib.contextmanager
def servers() -> Iterator[dict[str, str]]:
    """Start both servers and yield the environment that the commands need."""
    step("1. Two real servers, on loopback, on free ports, with credentials made for this run")
    bucket = "kaizen-artifacts"
    spool = HOME / "spool"
    spool.mkdir()
    with NatsServer(HOME / "nats") as nats, S3Server(HOME / "s3", bucket=bucket) as store:
        print(f"nats-server with JetStream   {NatsAccess(nats.url).place}   pid {nats.pid}")
        print(f"SeaweedFS, S3               {store.url}   pid {store.pid}   bucket {bucket}")
        yield os.environ | {
            "NATS_URL": nats.url,
            "AWS_ENDPOINT_URL_S3": store.url,
            "AWS_ACCESS_KEY_ID": store.access_key,
            "AWS_SECRET_ACCESS_KEY": store.secret_key,
            "ARCHIVER_BUCKET": bucket,
            "ARCHIVER_SPOOL": str(spool),
            "ARCHIVER_LOG_FORMAT": "json",
        }
    for pid in (nats.pid, store.pid):
        expect(f"server {pid} is gone", Path(f"/proc/{pid}").exists(), wanted=False)


def run_main_job(environment: dict[str, str]) -> str:
    command("archiver", "init", environment=environment)

    step("2. and 3. Bundles of this checkout, rendered by the stand-in kaizen-agentic and emitted")
    write_large_memory()
    emitted = [emit(environment, *run) for run in RUNS]
    expect("one bundle of 5 MB or more", max(len(each.bundle) for each in emitted) >= LARGE_BYTES, wanted=True)
    expect("events in the spool that NATS did not confirm", len(list((HOME / "spool").glob("*.event.json"))), wanted=0)

    step("4. One event broken on purpose, published past the check")
    broken = asyncio.run(publish_broken(environment))
    print(broken)

    step("5. archiver run --until-idle")
    print(command("archiver", "run", "--until-idle", environment=environment), end="")
    expect("what is left in the spool", sorted(path.name for path in (HOME / "spool").iterdir()), wanted=[])

    step("6. What is archived, each bundle fetched back and hashed")
    archived = show_archive(environment, emitted)
    one = emitted[0]
    target = HOME / f"fetched-{one.name}"
    command("archiver", "get", one.key, "-o", str(target), environment=environment)
    expect(
        f"{target.name} equals what the emitter left, byte for byte",
        target.read_bytes(),
        wanted=one.bundle,
    )
    print(f"fetched back and compared byte for byte: {target.relative_to(CHECKOUT)}")

    step("Dead letters")
    letters = asyncio.run(read_stream(environment, "KAIZEN_ARCHIVE_DLQ"))
    for letter in letters:
        print(f"#{letter['sequence']} {letter['reason']}: {letter['detail']}")
    expect("dead letters", len(letters), wanted=1)
    expect("reason", letters[0]["reason"], wanted="contract_broken")
    expect("payload kept for a redrive", base64.b64decode(letters[0]["payload_b64"]), wanted=broken.encode())

    followups = [event for event in asyncio.run(read_stream(environment, "KAIZEN_SCHEDULE")) if "archive" in event]
    expect("follow-up events", sorted(event["source_event"]["sha256"] for event in followups), wanted=sorted(archived))
    lost = {each.key for each in emitted} - archived
    expect("lost events", lost, wanted=set())
    return f"archived {len(archived)} of {len(emitted)}, {len(letters)} dead-lettered, {len(lost)} lost"


def write_large_memory() -> None:
    """Give the historian its long memory: this checkout's own files, as often as it takes to make 5 MB."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "*.py", "*.md", "*.json", "*.toml"], cwd=CHECKOUT, capture_output=True, check=True
    )
    names = [name for name in listed.stdout.decode().split("\0") if name]
    target = CHECKOUT / ".kaizen" / "agents" / "historian" / "memory.md"
    with target.open("w", encoding="utf-8") as memory:
        while memory.tell() < LARGE_BYTES:
            for name in names:
                path = CHECKOUT / name
                if path.is_file() and path != target:
                    memory.write(f"\n## {name}\n\n{path.read_text('utf-8')}")


def emit(environment: dict[str, str], agent: str, cadence: str, bundle_format: str) -> Emitted:
    said = command(
        *("contracts", "emit", agent, "--root", str(CHECKOUT), "--repo", "kaizen-event-kit", "--cadence", cadence),
        *("--format", bundle_format, "--program", str(PROGRAM), "--spool", environment["ARCHIVER_SPOOL"]),
        environment=environment,
    )
    key = said.split()[1]
    name = f"{key}.{'md' if bundle_format == 'markdown' else 'json'}"
    bundle = (Path(environment["ARCHIVER_SPOOL"]) / name).read_bytes()
    print(f"{agent:9} {cadence:7} {bundle_format:8} {len(bundle):>9} bytes   {said}", end="")
    return Emitted(agent, cadence, key, name, bundle)


async def publish_broken(environment: dict[str, str]) -> str:
    """Publish as a faulty emitter would: straight to the subject, unchecked."""
    payload = '{"event": "kaizen.schedule.prepared", "version": "1", "agent": "coach", "cadence": "fortnightly"}'
    access = NatsAccess.from_environment(environment)
    assert access is not None
    client = await connect_nats(access, name="a faulty emitter")
    try:
        await publish_confirmed(client, "kaizen.schedule.prepared", payload.encode(), message_id=secrets.token_hex(8))
    finally:
        await close_nats(client)
    return payload


def show_archive(environment: dict[str, str], emitted: list[Emitted]) -> set[str]:
    bundles = {each.key: each.bundle for each in emitted}
    rows, archived = [], set()
    for line in command("archiver", "ls", "--json", environment=environment).splitlines():
        reference = json.loads(line)
        key, event, bundle = reference["event_sha256"], reference["event"], reference["bundle"]
        fetched = subprocess.run(
            [BIN / "archiver", "get", reference["ref_key"]], env=environment, capture_output=True, check=True
        )
        expect(f"digest of {bundle['key']}", sha256(fetched.stdout).hexdigest(), wanted=bundle["sha256"])
        expect(f"bundle of event {key}", fetched.stdout, wanted=bundles[key])
        expect(f"size of event {key}", event["bundle"]["bytes"], wanted=len(fetched.stdout))
        head = (event["repo"], event["agent"], event["cadence"], str(bundle["bytes"]))
        rows.append((*head, bundle["key"], reference["ref_key"], "yes"))
        archived.add(key)
    print_table(("repo", "agent", "cadence", "bytes", "blob key", "reference key", "verified"), rows)
    expect("references", len(rows), wanted=len(emitted))
    return archived


async def read_stream(environment: dict[str, str], stream: str) -> list[dict]:
    access = NatsAccess.from_environment(environment)
    assert access is not None
    client = await connect_nats(access, name="demo")
    try:
        jetstream = client.jetstream()
        state = (await jetstream.stream_info(stream)).state
        messages = [await jetstream.get_msg(stream, number) for number in range(state.first_seq, state.last_seq + 1)]
        return [json.loads(message.data or b"") for message in messages]
    finally:
        await close_nats(client)


def command(*words: str, environment: dict[str, str]) -> str:
    """Run one of our commands; return what it printed, or say why the demo cannot go on."""
    done = subprocess.run([BIN / words[0], *words[1:]], env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DemoFailed(f"{' '.join(words)} exited {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def expect(what: str, found: object, *, wanted: object) -> None:
    if found != wanted:
        shown = [repr(value)[:200] for value in (found, wanted)]
        raise DemoFailed(f"{what}: found {shown[0]}, wanted {shown[1]}")


def step(title: str) -> None:
    print(f"\n{title}\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
