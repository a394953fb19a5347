"""`contracts emit --object-store`: the bundle is in the bucket before its event is on the bus, and never lost."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext

from contracts import PreparedEvent, event_key
from contracts.toolkit import NatsServer, spool_name
from tests.support.emitter import STAND_IN, write_emitter
from tests.support.servers import require_binary

STREAM, SUBJECT, BUCKET = "KAIZEN_SCHEDULE", "kaizen.schedule.prepared", "KAIZEN_BUNDLES"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    """A server of this test's own, that holds the bucket and no stream yet."""
    require_binary(NatsServer.binary)
    with NatsServer(tmp_path / "nats") as server:
        on(server, lambda jetstream: jetstream.create_object_store(BUCKET))
        yield server


def on(server: NatsServer, question: Callable[[JetStreamContext], Awaitable[Any]]) -> Any:
    async def ask() -> Any:
        client: Client = await nats.connect(server.url)
        try:
            return await question(client.jetstream())
        finally:
            await client.close()

    return asyncio.run(ask())


def create_stream(server: NatsServer) -> None:
    on(server, lambda jetstream: jetstream.add_stream(name=STREAM, subjects=["kaizen.schedule.>"]))


def published(server: NatsServer) -> list[Any]:
    async def read(jetstream: JetStreamContext) -> list[Any]:
        count = (await jetstream.stream_info(STREAM)).state.messages
        return [await jetstream.get_msg(STREAM, number) for number in range(1, count + 1)]

    return on(server, read)


def put(server: NatsServer) -> dict[str, bytes]:
    async def read(jetstream: JetStreamContext) -> dict[str, bytes]:
        store = await jetstream.object_store(BUCKET)
        if not (await jetstream.stream_info(f"OBJ_{BUCKET}")).state.messages:
            return {}
        return {str(info.name): (await store.get(str(info.name))).data or b"" for info in await store.list()}

    return on(server, read)


@pytest.fixture
def emit(server: NatsServer, usual: list[Any], run_contracts: Any) -> Callable[..., tuple[int, str, str]]:
    words = ["emit", *usual, "--object-store", BUCKET, "--nats", server.url]
    return lambda *more: run_contracts(*words, "--program", STAND_IN, *more)


def test_the_bundle_is_in_the_bucket_and_nothing_stays_in_the_spool(emit: Any, server: NatsServer, spool: Path) -> None:
    create_stream(server)

    status, out, err = emit()

    (message,) = published(server)
    event = PreparedEvent.from_checked(json.loads(message.data))
    ((name, bundle),) = put(server).items()
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        f"put {name} into the object store: {BUCKET}",
        f"published {event.key} to {SUBJECT}: {STREAM} #1",
    ]
    assert name == spool_name(event)
    assert len(bundle) == event.bundle.bytes > 0
    assert message.headers == {"Nats-Msg-Id": event.key, "Kaizen-Bundle-Source": "object_store"}
    assert list(spool.iterdir()) == []


def test_an_unconfirmed_event_waits_in_the_spool_and_resend_knows_its_bucket(
    emit: Any, server: NatsServer, spool: Path, run_contracts: Any
) -> None:
    status, _, err = emit()

    assert status == 4
    assert f"event and bundle are safe; publish them with: contracts resend --spool {spool}\n" in err
    bundle, event = sorted(spool.iterdir(), key=lambda path: path.name.endswith(".event.json"))
    rendered, key = bundle.read_bytes(), event_key(json.loads(event.read_bytes()))
    assert event.name == f"{key}@{BUCKET}.event.json"

    on(server, lambda jetstream: jetstream.delete_object_store(BUCKET))
    on(server, lambda jetstream: jetstream.create_object_store(BUCKET))
    create_stream(server)
    status, out, _ = run_contracts("resend", "--spool", spool, "--nats", server.url)

    (message,) = published(server)
    assert (status, len(out.splitlines())) == (0, 2)
    assert put(server) == {bundle.name: rendered}
    assert message.headers == {"Nats-Msg-Id": key, "Kaizen-Bundle-Source": "object_store"}
    assert list(spool.iterdir()) == []


def test_a_bucket_that_is_not_there_leaves_bundle_and_event_in_the_spool(
    emit: Any, server: NatsServer, spool: Path
) -> None:
    create_stream(server)

    status, out, err = emit("--object-store", "OTHER")

    assert (status, out) == (4, "")
    assert f"cannot reach bucket OTHER of the object store at nats://127.0.0.1:{server.port}: it does not exist" in err
    assert "archiver init" in err
    assert "contracts resend" in err
    assert sorted(path.suffix for path in spool.iterdir()) == [".json", ".md"]
    assert published(server) == []


def test_a_bucket_that_goes_while_the_bundle_is_rendered_announces_nothing(
    emit: Any, server: NatsServer, spool: Path, tmp_path: Path
) -> None:
    create_stream(server)
    delete = tmp_path / "delete.py"
    delete.write_text(
        "import asyncio, nats\n"
        "async def delete():\n"
        f"    client = await nats.connect({server.url!r})\n"
        f"    await client.jetstream().delete_object_store({BUCKET!r})\n"
        "    await client.close()\n"
        "asyncio.run(delete())\n"
    )
    program = write_emitter(tmp_path / "bin", before=f"{sys.executable} {delete}")

    status, _, err = emit("--program", program)

    assert status == 4
    assert "it does not exist" in err
    assert "contracts resend" in err
    assert published(server) == []
    assert sorted(path.suffix for path in spool.iterdir()) == [".json", ".md"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--object-store", "a.b"], "'a.b' cannot be a bucket; expected letters, digits, '-' and '_'"),
        (["--object-store", "../up"], "'../up' cannot be a bucket"),
    ],
)
def test_a_name_that_no_bucket_can_have_is_said_so(arguments: list[str], message: str, emit: Any, spool: Path) -> None:
    status, out, err = emit(*arguments)

    assert (status, out) == (2, "")
    assert message in err
    assert list(spool.iterdir()) == []


def test_printing_and_the_object_store_exclude_each_other(usual: list[Any], run_contracts: Any) -> None:
    status, _, err = run_contracts("emit", *usual, "--stdout", "--object-store", BUCKET, "--program", STAND_IN)

    assert status == 2
    assert "--stdout and --object-store exclude each other" in err


def test_a_resend_whose_bundle_has_gone_says_so_and_announces_nothing(
    emit: Any, server: NatsServer, spool: Path, run_contracts: Any
) -> None:
    emit()
    create_stream(server)
    (bundle,) = spool.glob("*.md")
    bundle.unlink()

    status, _, err = run_contracts("resend", "--spool", spool, "--nats", server.url)

    assert status == 2
    assert f"cannot read the bundle {bundle}: No such file or directory" in err
    assert published(server) == []
    assert len(list(spool.iterdir())) == 1
