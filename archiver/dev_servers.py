"""The two real servers behind `archiver dev`, the demo and the tests: nats-server and SeaweedFS.

Both listen on loopback only, keep everything under one folder, and end with the process that started them:
with the block, at a signal, and (on Linux) when that process is killed. Both come from the extra `dev`.

For development: SeaweedFS checks credentials at its S3 port, but its filer, master and volume ports take
orders from every program that can reach loopback.
"""

from __future__ import annotations

import http.client
import secrets
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from contracts.toolkit import ChildProcess, NatsServer, ServerDidNotStart

if TYPE_CHECKING:
    import signal

__all__ = ["NatsServer", "S3Server"]

_LOOPBACK = "127.0.0.1"
_ADMIN_GRPC_OFFSET = 10_000  # weed's own worker dials it, ignoring -admin.port.grpc


class _Ports(NamedTuple):
    s3: int
    filer: int
    master: int
    volume: int
    admin: int
    s3_grpc: int
    filer_grpc: int
    master_grpc: int
    volume_grpc: int


class S3Server(ChildProcess):
    """SeaweedFS with one bucket and one identity, which may read, write and list but not make buckets.

    With `admin` it may, and a PUT to a missing bucket then makes it silently. An empty `bucket` makes none.
    With `port` None a free one is chosen at the first start, and kept.
    """

    binary = "weed"

    def __init__(
        self,
        home: Path,
        *,
        bucket: str = "archive",
        access_key: str | None = None,
        secret_key: str | None = None,
        admin: bool = False,
        port: int | None = None,
    ) -> None:
        super().__init__(home)
        self.bucket, self.admin, self.port = bucket, admin, port
        self.access_key = access_key or secrets.token_hex(10)
        self.secret_key = secret_key or secrets.token_urlsafe(30)
        self._ports: _Ports | None = None

    @property
    def url(self) -> str:
        """As AWS_ENDPOINT_URL_S3 wants it: http://host:port."""
        return f"http://{_LOOPBACK}:{self.port}"

    def start(self) -> None:
        """See `ChildProcess.start`. Ports that somebody took meanwhile are chosen anew, twice at most."""
        for attempt in (1, 2, 3):
            self._ports = self._ports or _free_ports(self.port)
            try:
                self._start(self._ports)
            except ServerDidNotStart as failure:
                self._remove_sockets()
                asked_for = f"port {self.port} for S3" in str(failure)
                if attempt == 3 or asked_for or "Port allocation failed" not in str(failure):
                    raise
                self._ports = None
            else:
                self.port = self._ports.s3
                return

    def end(self, how: signal.Signals, grace_s: float | None) -> None:
        """See `ChildProcess.end`; removes the sockets that weed leaves behind."""
        super().end(how, grace_s)
        self._remove_sockets()

    def _start(self, ports: _Ports) -> None:
        actions = ["Read", "Write", "List", "Tagging", *(["Admin"] if self.admin else [])]
        credentials = [{"accessKey": self.access_key, "secretKey": self.secret_key}]
        identities = [{"name": "archiver", "credentials": credentials, "actions": actions}]
        data = self.home / "data"
        data.mkdir(parents=True, exist_ok=True)
        (data / "mini.options").unlink(missing_ok=True)  # flags of an earlier run, which weed would add
        self.run(
            f"-logdir={self.home}",
            "mini",
            f"-dir={data}",
            f"-bucket={self.bucket}",
            f"-ip={_LOOPBACK}",
            f"-ip.bind={_LOOPBACK}",
            f"-s3.port={ports.s3}",
            f"-filer.port={ports.filer}",
            f"-master.port={ports.master}",
            f"-volume.port={ports.volume}",
            f"-admin.port={ports.admin}",
            f"-s3.port.grpc={ports.s3_grpc}",
            f"-filer.port.grpc={ports.filer_grpc}",
            f"-master.port.grpc={ports.master_grpc}",
            f"-volume.port.grpc={ports.volume_grpc}",
            f"-s3.config={self.write_private('s3.json', {'identities': identities})}",
            # Relative: the path of a socket is limited to 108 bytes, and by default they lie in /tmp.
            "-filer.localSocket=filer.sock",
            "-s3.localSocket=s3.sock",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-webdav=false",
            "-admin.ui=false",
            "-master.telemetry=false",
            "-volume.preStopSeconds=0",
        )
        self.wait_until(lambda: self._serves(ports))

    def _serves(self, ports: _Ports) -> bool:
        """Return whether the S3 port answers, the bucket exists, and a volume for it can be written.

        The last two are asked of the filer (a bucket is its folder under /buckets) and of the master (which
        makes the bucket's first volume on being asked where to write), so no signed request is needed.
        """
        return (
            _get(ports.s3, "/healthz")
            and (not self.bucket or _get(ports.filer, f"/buckets/{self.bucket}/?limit=1"))
            and _get(ports.master, f"/dir/assign?collection={self.bucket}")
        )

    @property
    def sockets(self) -> list[Path]:
        """The sockets that weed 4.48 puts in /tmp, ignoring TMPDIR, and leaves there when it is killed."""
        if self._ports is None:
            return []
        grpc = {
            "s3": self._ports.s3_grpc,
            "filer": self._ports.filer_grpc,
            "master": self._ports.master_grpc,
            "volume": self._ports.volume_grpc,
            "admin": self._ports.admin + _ADMIN_GRPC_OFFSET,
        }
        return [Path(f"/tmp/seaweedfs-{part}-grpc-{port}.sock") for part, port in grpc.items()]  # noqa: S108

    def _remove_sockets(self) -> None:
        for path in self.sockets:
            path.unlink(missing_ok=True)


def _free_ports(s3: int | None) -> _Ports:
    """Choose ports that are free now; held together until the last is chosen, so that none comes twice."""
    with ExitStack() as held:

        def take(port: int = 0) -> int:
            taken = held.enter_context(socket.socket())
            taken.bind((_LOOPBACK, port))
            return int(taken.getsockname()[1])

        admin = take()
        while True:
            try:
                take(admin + _ADMIN_GRPC_OFFSET)
                break
            except (OSError, OverflowError):  # in use, or above 65535
                admin = take()
        return _Ports(s3 or take(), take(), take(), take(), admin, take(), take(), take(), take())


def _get(port: int, path: str) -> bool:
    """Return whether a GET on loopback is answered with 200; no proxy of the environment is asked."""
    connection = http.client.HTTPConnection(_LOOPBACK, port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
