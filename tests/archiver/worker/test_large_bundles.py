"""Large bundles: no more memory than for small ones, and patience with a slow store, not with a silent one."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from archiver.core.errors import StoreUnavailable
from archiver.stores.s3.access import S3Access
from tests.support.drivers import every_driver, opened
from tests.support.servers import access_to

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from archiver.dev_servers import S3Server

MIB = 1 << 20
OK = b'HTTP/1.1 200 OK\r\nETag: "a"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'

STORE_AND_TELL_PEAK = """
import asyncio, json, sys
from pathlib import Path
from archiver.stores.s3.access import S3Access
from archiver.stores.s3.direct import DirectStore
from archiver.worker.archive import Archive, Identity
from archiver.ports import Bundle
from tests.support.builders import FixedClock, prepared

async def main():
    access, path = S3Access(**json.loads(sys.argv[1])), Path(sys.argv[2])
    store = DirectStore(access)
    archive = Archive(store, FixedClock(), Identity("archive", "", "w", "0"))
    with path.open("rb") as file:
        stored = await archive.store_bundle(prepared(), Bundle(file, path.stat().st_size, "file"))
    await store.close()
    assert stored.bytes == path.stat().st_size
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(int(peak.split()[1]))

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_bundle_of_96_mib_takes_no_more_memory_than_one_of_2(tmp_path: Path, s3_server: S3Server) -> None:
    access = access_to(s3_server)
    told = {name: getattr(access, name) for name in ("bucket", "prefix", "endpoint_url", "access_key_id")}
    told |= {"secret_access_key": access.secret_access_key}
    peaks_kib = []
    for mib in (2, 96):
        path = tmp_path / f"{mib}.md"
        with path.open("wb") as file:
            for number in range(mib):
                file.write(f"{number:08}".encode() * (MIB // 8))
        command = [sys.executable, "-c", STORE_AND_TELL_PEAK, json.dumps(told), str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        peaks_kib.append(int(done.stdout))

    assert peaks_kib[1] - peaks_kib[0] < 12 * 1024, f"{peaks_kib} KiB"


@every_driver
def test_an_upload_that_is_slow_and_goes_on_is_not_cut_off(tmp_path: Path, driver: type) -> None:
    began = time.monotonic()

    with taking(bytes_a_step=512 * 1024, pause_s=0.1) as access:
        asyncio.run(upload(driver, access, sparse(tmp_path)))

    assert time.monotonic() - began > access.connect_timeout_s + access.read_timeout_s, "it was not slow"


@every_driver
def test_an_upload_that_stands_still_is_given_up_on_long_before_a_slow_one_would_be(
    tmp_path: Path, driver: type
) -> None:
    began = time.monotonic()

    with taking(bytes_a_step=0, pause_s=0.1) as access, pytest.raises(StoreUnavailable, match="is it running"):
        asyncio.run(upload(driver, access, sparse(tmp_path)))

    assert time.monotonic() - began < 10


def sparse(home: Path) -> Path:
    """Make a file that is larger than what a socket buffers."""
    path = home / "large.md"
    with path.open("wb") as file:
        file.truncate(16 * MIB)
    return path


async def upload(driver: type, access: S3Access, path: Path) -> None:
    async with opened(driver, access) as store:
        with path.open("rb") as file:
            await store.create("blobs/a.md", file, sha256="ab" * 32, content_type="text/markdown", metadata={})


@contextmanager
def taking(*, bytes_a_step: int, pause_s: float) -> Iterator[S3Access]:
    """A store that takes one upload so many bytes at a time, with pauses longer than it may take to connect."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        stop = threading.Event()
        thread = threading.Thread(target=_take, args=(listening, bytes_a_step, pause_s, stop))
        thread.start()
        try:
            yield S3Access(
                bucket="archive",
                endpoint_url=f"http://127.0.0.1:{listening.getsockname()[1]}",
                access_key_id="id",
                secret_access_key="secret",
                connect_timeout_s=0.05,
                read_timeout_s=1.5,
            )
        finally:
            stop.set()
            thread.join()


def _take(listening: socket.socket, bytes_a_step: int, pause_s: float, stop: threading.Event) -> None:
    connection, _ = listening.accept()
    with connection, connection.makefile("rb") as received:
        length = 0
        while line := received.readline().strip().lower():
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        while length and not stop.wait(pause_s):
            length -= len(received.read(min(bytes_a_step, length)))
        if not length:
            connection.sendall(OK)
