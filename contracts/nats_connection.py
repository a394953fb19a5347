"""Connect to NATS and publish with confirmation; the one module of `contracts` that knows the driver."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

import nkeys
from nats.aio.client import Client
from nats.errors import AuthorizationError
from nats.errors import Error as NatsError
from nats.js.errors import NoStreamResponseError, ServiceUnavailableError

from contracts.errors import BadInput, Unreachable

if TYPE_CHECKING:
    from nats.aio.client import ErrorCallback


@dataclass(frozen=True, slots=True)
class NatsAccess:
    """Where NATS is and how to log in: user, password or token in the URL, or a file.

    `url` may hold a password: show `place` instead.
    """

    url: str = field(repr=False)
    creds_file: Path | None = None
    nkey_seed_file: Path | None = None
    ca_file: Path | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], *, url: str | None = None) -> NatsAccess | None:
        """Read NATS_URL, NATS_CREDS, NATS_NKEY_FILE and NATS_CA; None where there is no URL at all."""
        url = url or environ.get("NATS_URL")
        if not url:
            return None
        if not _names_a_server(url):
            raise BadInput("the NATS URL names no server; expected nats://[user:password@]host:port")
        paths = {name: Path(environ[name]) for name in ("NATS_CREDS", "NATS_NKEY_FILE", "NATS_CA") if environ.get(name)}
        for name, path in paths.items():
            if not path.is_file():
                raise BadInput(f"{name} names {path}, which is not a file")
        return cls(url, paths.get("NATS_CREDS"), paths.get("NATS_NKEY_FILE"), paths.get("NATS_CA"))

    @property
    def place(self) -> str:
        """The URL without user, password or token."""
        parts = _parts(self.url)
        return f"{parts.scheme}://{parts.hostname or ''}:{parts.port or 4222}"


def _parts(url: str) -> SplitResult:
    return urlsplit(url if "://" in url else f"nats://{url}")  # a bare host:port is fine with nats-py


def _names_a_server(url: str) -> bool:
    try:
        parts = _parts(url)
        return parts.scheme in {"nats", "tls", "ws", "wss"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        return False


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What JetStream says of a stored message; `duplicate` where the message id was known already."""

    stream: str
    sequence: int
    duplicate: bool


async def connect_nats(access: NatsAccess, *, name: str, timeout_s: float = 5.0, **callbacks: Any) -> Client:
    """Connect, or say soon why not; once connected, reconnect for ever.

    `callbacks` are nats-py's own: error_cb, disconnected_cb, reconnected_cb, closed_cb.

    Raises:
        Unreachable: refused, timed out, wrong credentials, an unknown authority, or no TLS where it was asked for.
        BadInput: a file that does not hold what it should.
    """
    failures: list[Exception] = []

    async def remember(error: Exception) -> None:
        failures.append(error)  # the last one says why, where the client itself only says "no servers available"
        if not client.is_connected and not client.is_reconnecting and isinstance(error, _LASTING):
            raise error  # nats-py would try until the time is up
        if report is not None:
            await report(error)

    _require_usable(access)
    server, login = _login(access.url)
    client = _SecuredClient()
    report: ErrorCallback | None = callbacks.pop("error_cb", None)
    try:
        await asyncio.wait_for(
            client.connect(
                server,
                **login,
                name=name,
                user_credentials=str(access.creds_file) if access.creds_file else None,
                nkeys_seed=str(access.nkey_seed_file) if access.nkey_seed_file else None,
                tls=_context(access.ca_file) if access.ca_file else None,
                connect_timeout=int(timeout_s),
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                ping_interval=10,
                max_outstanding_pings=2,
                error_cb=remember,
                **callbacks,
            ),
            timeout_s + 1,
        )
    except (NatsError, OSError, TimeoutError, ValueError) as error:
        client.abort()
        raise Unreachable("NATS", access.place, _reason(failures[-1] if failures else error)) from None
    # Given at once, these would make nats-py retry a refused first connection for ever instead of saying so.
    client.options.update(max_reconnect_attempts=-1, reconnect_time_wait=0.25)
    return client


class _NoTls(NatsError):
    def __str__(self) -> str:
        return "TLS was asked for, and this server offers none"


_LASTING = (ssl.SSLError, AuthorizationError, _NoTls)


class _SecuredClient(Client):
    """nats-py speaks plainly to a server that offers no TLS, password included, whatever was asked for."""

    def _connect_command(self) -> bytes:
        asked = self.options.get("tls") or (self._current_server and self._current_server.uri.scheme == "tls")
        if asked and not self._server_info.get("tls_required"):
            raise _NoTls
        return super()._connect_command()

    def abort(self) -> None:
        """Drop the connection at once: after a handshake that failed, nats-py's `close` waits for ever."""
        for name in ("_io_writer", "_bare_io_writer"):
            writer = getattr(self._transport, name, None)
            if writer is not None:
                writer.transport.abort()


def _login(url: str) -> tuple[str, dict[str, Any]]:
    """Split off user and password, or a token: nats-py would take them as they are, %40 for an @ included."""
    parts = _parts(url)
    server = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    if parts.username is None:
        return server, {}
    if parts.password is None:
        return server, {"token": unquote(parts.username)}
    return server, {"user": unquote(parts.username), "password": unquote(parts.password)}


def _require_usable(access: NatsAccess) -> None:
    """Look into the files: nats-py reads one that is not a creds file for ever."""
    if access.creds_file:
        lines = access.creds_file.read_bytes().split(b"\n")
        starts = {kind: index for index, line in enumerate(lines) for kind in _CREDS if b"BEGIN " + kind in line}
        following = [lines[at + 1] for at in starts.values() if at + 1 < len(lines)]
        if len(following) < len(_CREDS) or not _is_seed(lines[starts[_CREDS[1]] + 1]):
            raise BadInput(f"{access.creds_file} is not a NATS credentials file")
    if access.nkey_seed_file and not _is_seed(access.nkey_seed_file.read_bytes()):
        raise BadInput(f"{access.nkey_seed_file} holds no nkey seed; expected one line that starts with SU")


_CREDS = (b"NATS USER JWT", b"USER NKEY SEED")


def _is_seed(raw: bytes) -> bool:
    try:
        nkeys.from_seed(bytearray(raw.strip()))
    except (nkeys.NkeysError, ValueError):
        return False
    return True


def _context(ca_file: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError:
        raise BadInput(f"{ca_file} holds no certificate of an authority; expected PEM") from None


async def publish_confirmed(
    client: Client, subject: str, payload: bytes, *, message_id: str, timeout_s: float = 5.0
) -> Confirmation:
    """Publish to JetStream and wait until it is stored; `message_id` makes a repeat harmless.

    Raises:
        Unreachable: not confirmed; it may or may not have been stored, so publish it again with the same id.
    """
    try:
        ack = await client.jetstream().publish(subject, payload, timeout=timeout_s, headers={"Nats-Msg-Id": message_id})
    except NoStreamResponseError:
        why = "no JetStream stream takes this subject; create it: archiver init"
        raise Unreachable(f"a stream for {subject}", _place(client), why) from None
    except (NatsError, OSError, TimeoutError) as error:
        raise Unreachable(f"the stream of {subject}", _place(client), _reason(error)) from None
    return Confirmation(ack.stream, ack.seq, bool(ack.duplicate))


async def round_trip(client: Client, timeout_s: float = 5.0) -> None:
    """Wait until the server has taken all that was sent, and we all that it had sent before.

    Twice, since nats-py 2.16 writes the PING of a flush ahead of what still waits to be written, a SUB included.

    Raises:
        nats.errors.Error, TimeoutError: the connection has gone.
    """
    for _ in range(2):
        await client.flush(timeout=int(timeout_s))


async def close_nats(client: Client) -> None:
    """Flush and close, without an error where the connection has gone already."""
    with suppress(NatsError, OSError, TimeoutError):
        await client.close()


def _place(client: Client) -> str:
    url = client.connected_url
    return f"{url.scheme}://{url.hostname}:{url.port}" if url else "NATS"


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return "the server ended the connection, as it does where credentials are wrong"  # before that could be read
    text = str(error) or type(error).__name__
    return text.removeprefix("nats: ")


async def look_around(access: NatsAccess, subjects: list[str]) -> list[str]:
    """Say what is there: the server's version, JetStream, and the stream of each subject.

    Raises:
        Unreachable: NATS does not answer.
    """
    client = await connect_nats(access, name="contracts doctor")
    try:
        server = client.connected_server_version
        found = [f"reached, version {server.major}.{server.minor}.{server.patch}"]
        jetstream = client.jetstream()
        try:
            await jetstream.account_info()
        except ServiceUnavailableError:
            return [*found, "JetStream cannot be used: this server, or this account, has none"]
        except (NatsError, OSError, TimeoutError) as error:
            return [*found, f"JetStream cannot be used: {_reason(error)}"]
        for subject in subjects:
            try:
                found.append(f"{subject} is kept by stream {await jetstream.find_stream_name_by_subject(subject)}")
            except (NatsError, OSError, TimeoutError):
                found.append(f"{subject} is kept by no stream; create it: archiver init")
        return found
    finally:
        await close_nats(client)
