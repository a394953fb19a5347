"""`rclone serve s3` on a directory: an S3 server that nobody would call one, for the tests of conformance."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from archiver.stores.s3.access import S3Access
from contracts.toolkit import find_program

KEY_ID, SECRET = "rclone-key", "rclone-secret"


@contextmanager
def serving(folder: Path) -> Iterator[S3Access]:
    """Start the server with one bucket, and stop it."""
    (folder / "archive").mkdir(parents=True)
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    program = [find_program("rclone"), "serve", "s3", "--addr", f"127.0.0.1:{port}", "--config", str(folder / "none")]
    options = ["--auth-key", f"{KEY_ID},{SECRET}", "--vfs-cache-mode", "off", str(folder)]
    with subprocess.Popen([*program, *options], stderr=subprocess.PIPE) as server:
        try:
            _wait_for(port, server)
            yield S3Access("archive", "", f"http://127.0.0.1:{port}", access_key_id=KEY_ID, secret_access_key=SECRET)
        finally:
            server.terminate()
            server.communicate()


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert server.poll() is None, server.stderr and server.stderr.read()
            assert time.monotonic() < until, "rclone does not listen"
            time.sleep(0.02)
        else:
            return
