"""`contracts emit` publishes to a real nats-server and believes only a confirmation; `resend` makes up for it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.client import Client

from archiver.dev_servers import NatsServer
from contracts import PreparedEvent, check, event_key
from contracts.fixtures.corpus import ROOT
from contracts.toolkit import spool_name
from tests.support.emitter import STAND_IN, interrupt_a_render, wait_for, write_emitter
from tests.support.payloads import SPEC_EXAMPLE
from tests.support.servers import require_binary

CONTRACTS = Path(sys.executable).parent / "contracts"
STREAM, SUBJECT = "KAIZEN_SCHEDULE", "kaizen.schedule.prepared"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    """A server of this test's own: some tests stop it, and some need it to hold no stream."""
    require_binary(NatsServer.binary)
    with NatsServer(tmp_path / "nats") as server:
        yield server


@pytest.fixture
def stream(server: NatsServer) -> NatsServer:
    _create_stream(server)
    return server


def _ask(server: NatsServer, question: Callable[[Client], Awaitable[Any]]) -> Any:
    async def ask() -> Any:
        client = await nats.connect(server.url)
        try:
            return await question(client)
        finally:
            await client.close()

    return asyncio.run(ask())


def _create_stream(server: NatsServer) -> None:
    _ask(server, lambda client: client.jetstream().add_stream(name=STREAM, subjects=["kaizen.schedule.>"]))


def _stored(server: NatsServer) -> list[Any]:
    async def read(client: Client) -> list[Any]:
        context = client.jetstream()
        state = (await context.stream_info(STREAM)).state
        return [await context.get_msg(STREAM, number) for number in range(1, state.messages + 1)]

    return _ask(server, read)


def test_an_event_is_published_under_its_identity_and_its_bundle_is_spooled(
    stream: NatsServer, usual: list[Any], spool: Path, run_contracts: Any
) -> None:
    status, out, err = run_contracts("emit", *usual, "--program", STAND_IN, "--nats", stream.url)

    (message,) = _stored(stream)
    payload = json.loads(message.data)
    assert (status, err) == (0, "")
    assert out == f"published {event_key(payload)} to {SUBJECT}: {STREAM} #1\n"
    assert check(message.data).violations == ()
    assert message.subject == SUBJECT
    assert message.headers == {"Nats-Msg-Id": event_key(payload), "Kaizen-Bundle-Source": "spool"}
    assert [path.name for path in spool.iterdir()] == [spool_name(PreparedEvent.from_checked(payload))]


def test_the_server_may_be_named_in_the_environment(
    stream: NatsServer, usual: list[Any], run_contracts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NATS_URL", stream.url)

    assert run_contracts("emit", *usual, "--program", STAND_IN)[0] == 0
    assert len(_stored(stream)) == 1


def test_without_a_server_named_nothing_is_rendered(usual: list[Any], tmp_path: Path, run_contracts: Any) -> None:
    program = write_emitter(tmp_path / "bin", before=f"touch {tmp_path}/rendered")

    status, _, err = run_contracts("emit", *usual, "--program", program)

    assert status == 2
    assert "give --nats nats://host:4222, set NATS_URL, or print with --stdout" in err
    assert not (tmp_path / "rendered").exists()


@pytest.mark.parametrize("url", ["nats://user:hunter2hunter2@127.0.0.1:1", "nats://127.0.0.1:1", "127.0.0.1:1"])
def test_a_server_that_is_down_leaves_bundle_and_event_in_the_spool(
    url: str, usual: list[Any], spool: Path, run_contracts: Any
) -> None:
    status, out, err = run_contracts("emit", *usual, "--program", STAND_IN, "--nats", url)

    assert (status, out) == (4, "")
    assert "cannot reach NATS at nats://127.0.0.1:1: " in err
    assert "hunter2" not in err
    assert "Traceback" not in err
    assert f"contracts resend --spool {spool}" in err
    assert_spooled(spool)


def assert_spooled(spool: Path) -> None:
    """One bundle and its event are there, and nothing half-written."""
    bundle, event = sorted(spool.iterdir(), key=lambda path: path.name.endswith(".event.json"))
    payload = json.loads(event.read_bytes())
    assert event.name.startswith(event_key(payload))
    assert bundle.name == spool_name(PreparedEvent.from_checked(payload))


def test_what_was_spooled_while_the_server_was_down_is_published_by_a_resend(
    stream: NatsServer, usual: list[Any], spool: Path, run_contracts: Any
) -> None:
    run_contracts("emit", *usual, "--program", STAND_IN, "--nats", "nats://127.0.0.1:1")
    (event,) = spool.glob("*.event.json")
    raw = event.read_bytes()

    status, _, _ = run_contracts("resend", "--spool", spool, "--nats", stream.url)

    (message,) = _stored(stream)
    assert (status, message.data) == (0, raw)


def test_an_interrupt_while_nats_is_silent_leaves_bundle_and_event_in_the_spool(usual: list[Any], spool: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"nats://127.0.0.1:{silent.getsockname()[1]}"
        with subprocess.Popen(
            [CONTRACTS, "emit", *usual, "--program", STAND_IN, "--nats", url], stderr=subprocess.PIPE, text=True
        ) as process:
            connection, _ = silent.accept()
            with connection:
                process.send_signal(signal.SIGINT)
                _, err = process.communicate(timeout=60)

    assert process.returncode == 130
    assert f"contracts resend --spool {spool}" in err
    assert_spooled(spool)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
@pytest.mark.parametrize(("arguments", "mode"), [([], 0o640), (["--mode", "0664"], 0o664)])
def test_files_in_the_spool_have_the_chosen_mode_whatever_the_umask(
    usual: list[Any], spool: Path, run_contracts: Any, umask: int, arguments: list[str], mode: int
) -> None:
    before = os.umask(umask)
    try:
        run_contracts("emit", *usual, *arguments, "--program", STAND_IN, "--nats", "nats://127.0.0.1:1")
    finally:
        os.umask(before)

    assert [stat.S_IMODE(path.stat().st_mode) for path in spool.iterdir()] == [mode, mode]


def test_an_event_whose_first_copy_was_deleted_within_the_window_is_stored_again(
    stream: NatsServer, usual: list[Any], spool: Path, run_contracts: Any
) -> None:
    run_contracts("emit", *usual, "--program", STAND_IN, "--nats", stream.url)
    (message,) = _stored(stream)
    _ask(stream, lambda client: client.jetstream().purge_stream(STREAM))
    (spool / f"{event_key(json.loads(message.data))}.event.json").write_bytes(message.data)

    status, out, _ = run_contracts("resend", "--spool", spool, "--nats", stream.url)

    assert (status, out.rpartition(": ")[2]) == (0, f"{STREAM} #2\n")
    assert _ask(stream, lambda client: client.jetstream().get_msg(STREAM, 2)).data == message.data


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "nats://u:hunter2hunter2@host:seven", "nats://", ""])
def test_a_url_that_names_no_server_is_said_so(url: str, usual: list[Any], run_contracts: Any) -> None:
    status, _, err = run_contracts("emit", *usual, "--program", STAND_IN, "--nats", url)

    assert status == 2
    assert ("the NATS URL names no server" if url else "no NATS server is named") in err
    assert "hunter2" not in err


def test_wrong_credentials_are_said_so_and_not_shown(
    server: NatsServer, usual: list[Any], spool: Path, run_contracts: Any
) -> None:
    url = f"nats://archiver:hunter2hunter2@127.0.0.1:{server.port}"

    status, _, err = run_contracts("emit", *usual, "--program", STAND_IN, "--nats", url)

    assert status == 4
    # The refusal and the hang-up race; which is seen first differs from run to run.
    assert re.search("authorization violation|where credentials are wrong", err.lower())
    assert "hunter2" not in err
    assert_spooled(spool)


def test_without_a_stream_the_event_is_kept_and_resend_keeps_its_identity(
    server: NatsServer, usual: list[Any], spool: Path, run_contracts: Any
) -> None:
    status, out, err = run_contracts("emit", *usual, "--program", STAND_IN, "--nats", server.url)

    assert (status, out) == (4, "")
    assert "no JetStream stream takes this subject; create it: archiver init\n" in err
    assert f"event and bundle are safe; publish them with: contracts resend --spool {spool}\n" in err
    bundle, event = sorted(spool.iterdir(), key=lambda path: path.name.endswith(".event.json"))
    payload = json.loads(event.read_bytes())
    assert event.name == f"{event_key(payload)}.event.json"
    assert bundle.name == spool_name(PreparedEvent.from_checked(payload))
    assert bundle.stat().st_size == payload["bundle"]["bytes"]

    raw = event.read_bytes()
    _create_stream(server)
    status, out, _ = run_contracts("resend", "--spool", spool, "--nats", server.url)

    (message,) = _stored(server)
    assert (status, out) == (0, f"published {event_key(payload)} to {SUBJECT}: {STREAM} #1\n")
    headers = {"Nats-Msg-Id": event_key(payload), "Kaizen-Bundle-Source": "spool"}
    assert (message.data, message.headers) == (raw, headers)
    assert list(spool.iterdir()) == [bundle]
    assert run_contracts("resend", "--spool", spool, "--nats", server.url)[0] == 3


def test_an_event_that_had_arrived_after_all_is_not_stored_twice(
    stream: NatsServer, usual: list[Any], spool: Path, run_contracts: Any
) -> None:
    run_contracts("emit", *usual, "--program", STAND_IN, "--nats", stream.url)
    (message,) = _stored(stream)
    (spool / f"{event_key(json.loads(message.data))}.event.json").write_bytes(message.data)

    status, out, _ = run_contracts("resend", "--spool", spool, "--nats", stream.url)

    assert status == 0
    assert out.endswith("#1, stored before\n")
    assert len(_stored(stream)) == 1


def test_a_server_that_goes_down_while_the_bundle_is_rendered_loses_nothing(
    stream: NatsServer, usual: list[Any], spool: Path, tmp_path: Path
) -> None:
    here, go = tmp_path / "here", tmp_path / "go"
    program = write_emitter(tmp_path / "bin", before=f"touch {here}; until [ -e {go} ]; do sleep 0.02; done")
    with subprocess.Popen(
        [CONTRACTS, "emit", *usual, "--program", program, "--nats", stream.url], stderr=subprocess.PIPE, text=True
    ) as process:
        wait_for(here.exists)
        stream.stop()
        go.touch()
        _, err = process.communicate(timeout=60)

    assert process.returncode == 4
    assert "contracts resend" in err
    assert "Traceback" not in err
    assert len(list(spool.glob("*.event.json"))) == 1
    stream.start()
    resent = subprocess.run([CONTRACTS, "resend", "--spool", spool, "--nats", stream.url], check=True, text=True)
    assert resent.returncode == 0
    assert len(_stored(stream)) == 1


def test_an_event_that_breaks_the_contract_is_never_published(
    stream: NatsServer, usual: list[Any], spool: Path, run_contracts: Any
) -> None:
    status, _, err = run_contracts("emit", *usual, "--cadence", "x", "--program", STAND_IN, "--nats", stream.url)

    assert status == 1
    assert "[cadence/enum]" in err
    assert _stored(stream) == []
    assert list(spool.iterdir()) == []


def test_what_lies_in_the_spool_is_checked_again_before_it_is_published(
    stream: NatsServer, spool: Path, run_contracts: Any
) -> None:
    broken = spool / "a.event.json"
    broken.write_text(json.dumps(SPEC_EXAMPLE | {"cadence": "hourly"}), "utf-8")

    status, _, err = run_contracts("resend", "--spool", spool, "--nats", stream.url)

    assert status == 1
    assert "[cadence/enum]" in err
    assert _stored(stream) == []
    assert broken.exists()


def test_a_spooled_event_that_cannot_be_read_is_named(stream: NatsServer, spool: Path, run_contracts: Any) -> None:
    (spool / "a.event.json").mkdir()

    status, _, err = run_contracts("resend", "--spool", spool, "--nats", stream.url)

    assert status == 2
    assert f"cannot read the event {spool / 'a.event.json'}: Is a directory" in err


@pytest.mark.parametrize(("folder", "status"), [("spool", 3), ("nowhere", 2)])
def test_a_spool_without_events_is_said_so_without_a_server(
    folder: str, status: int, spool: Path, run_contracts: Any
) -> None:
    done, _, err = run_contracts("resend", "--spool", spool.parent / folder, "--nats", "nats://127.0.0.1:1")

    assert done == status
    assert str(spool.parent / folder) in err


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_render_and_leaves_nothing_behind(
    how: signal.Signals, stream: NatsServer, usual: list[Any], spool: Path, tmp_path: Path
) -> None:
    status, err = interrupt_a_render([*usual, "--nats", stream.url], tmp_path, how)

    assert (status, err.strip()) == (130, "interrupted")
    assert list(spool.iterdir()) == []
    assert _stored(stream) == []


def test_the_stand_in_says_what_it_is() -> None:
    assert "A STAND-IN" in (ROOT / "emitters" / "kaizen-agentic").read_text("utf-8").splitlines()[1]
