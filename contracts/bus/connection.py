"""Connect to NATS, and publish with confirmation."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nats.aio.client import Client
from nats.errors import AuthorizationError, NoRespondersError
from nats.errors import Error as NatsError
from nats.js.errors import APIError, ServiceUnavailableError

from contracts.bus.access import NatsAccess
from contracts.bus.client import LastingClient, NoTls
from contracts.bus.credentials import CredsFile, read_seed
from contracts.errors import BadInput, Unreachable

if TYPE_CHECKING:
    from nats.aio.client import ErrorCallback


@dataclass(frozen=True, slots=True)
class Confirmation:
    """JetStream's PubAck of a stored message; `duplicate` where it knew the message id already."""

    stream: str
    sequence: int
    duplicate: bool


async def connect_nats(access: NatsAccess, *, name: str, timeout_s: float = 5.0, **callbacks: Any) -> Client:
    """Connect, or report soon why not; once connected, reconnect indefinitely.

    `callbacks` are nats-py's own: error_cb, disconnected_cb, reconnected_cb, closed_cb.

    Raises:
        Unreachable: refused, timed out, wrong credentials, an unknown authority, or no TLS where it was asked for.
        BadInput: a file that does not hold what it should.
    """
    failures: deque[Exception] = deque(maxlen=1)

    async def remember(error: Exception) -> None:
        failures.append(error)  # the reason, where the client itself only reports "no servers available"
        if not client.stays and isinstance(error, _LASTING):
            raise error  # nats-py would try until the time is up
        if report is not None:
            await report(error)

    servers, login = access.login()
    client = LastingClient()
    report: ErrorCallback | None = callbacks.pop("error_cb", None)
    options = {
        **login,
        **_key_login(access),
        "tls": _tls_context(access),
        "tls_handshake_first": access.tls_first,
        "inbox_prefix": access.inbox_prefix,
    }
    try:
        await asyncio.wait_for(
            client.connect(
                servers,
                **options,
                name=name,
                connect_timeout=int(timeout_s),
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                ping_interval=10,
                max_outstanding_pings=2,
                error_cb=remember,
                lame_duck_mode_cb=client.leave_lame_duck,
                **callbacks,
            ),
            timeout_s + 1,
        )
    except (NatsError, OSError, TimeoutError, ValueError) as error:
        client.abort()
        why = _first_reason(failures[-1] if failures else error, access)
        raise Unreachable("NATS", access.place, why) from None
    client.stay()
    return client


_LASTING = (ssl.SSLError, AuthorizationError, NoTls)


def _key_login(access: NatsAccess) -> dict[str, Any]:
    if access.creds_file:
        creds = CredsFile(access.creds_file)
        return {"user_jwt_cb": creds.jwt, "signature_cb": creds.sign}
    return {"nkeys_seed_str": read_seed(access.nkey_seed_file)} if access.nkey_seed_file else {}


def _tls_context(access: NatsAccess) -> ssl.SSLContext | None:
    """Return a context with our own authority and certificate; None leaves the system's authorities to nats-py."""
    if not (access.ca_file or access.cert_file):
        return None
    try:
        context = ssl.create_default_context(cafile=access.ca_file)
    except ssl.SSLError:
        raise BadInput(f"{access.ca_file} holds no certificate of an authority; expected PEM") from None
    except OSError as error:
        raise BadInput(f"cannot read {access.ca_file}: {error.strerror}") from None
    if access.cert_file:
        files = f"the certificate {access.cert_file} with the key {access.key_file}"
        try:
            context.load_cert_chain(access.cert_file, access.key_file, password="")  # else OpenSSL asks the terminal
        except ssl.SSLError as error:
            why = "they do not belong together" if "MISMATCH" in str(error) else "expected PEM, the key not encrypted"
            raise BadInput(f"cannot use {files}: {why}") from None
        except OSError as error:
            raise BadInput(f"cannot read {files}: {error.strerror}") from None
    return context


def _first_reason(error: Exception, access: NatsAccess) -> str:
    """Return why the first connection failed, with what would help where a setting is the likely cause."""
    why = _reason(error)
    if isinstance(error, ssl.SSLError) and "CERTIFICATE_REQUIRED" in str(error):
        return "the server requires a client certificate: set NATS_CERT and NATS_KEY"
    if not access.tls_first and (isinstance(error, TimeoutError) or "expecting INFO" in why):
        return f"{why}; a server that expects TLS first needs NATS_TLS_FIRST=true"
    return why


async def publish_confirmed(
    client: Client,
    subject: str,
    payload: bytes,
    *,
    message_id: str,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = 5.0,
) -> Confirmation:
    """Publish to JetStream and wait until it is stored; `message_id` makes a repeat harmless.

    Raises:
        Unreachable: not confirmed; it may or may not have been stored, so publish it again with the same id.
    """
    try:
        answer = await client.request(
            subject, payload, timeout=timeout_s, headers={**(headers or {}), "Nats-Msg-Id": message_id}
        )
        said = json.loads(answer.data)
        if "error" in said:
            raise APIError.from_error(said["error"])
        return Confirmation(said["stream"], said["seq"], said.get("duplicate", False))
    except NoRespondersError:
        why = "no JetStream stream takes this subject; create it: archiver init"
        raise Unreachable(f"a stream for {subject}", place_of(client), why) from None
    except (NatsError, OSError, TimeoutError) as error:
        raise Unreachable(f"the stream of {subject}", place_of(client), _reason(error)) from None
    except (ValueError, LookupError, TypeError):
        why = "the answer is no confirmation of a stream; who else replies to this subject?"
        raise Unreachable(f"the stream of {subject}", place_of(client), why) from None


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


def place_of(client: Client) -> str:
    """Return the server's URL without credentials, for messages."""
    url = client.connected_url
    return f"{url.scheme}://{url.hostname}:{url.port}" if url else "NATS"


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return "the server ended the connection, as it does where credentials are wrong"  # before that could be read
    text = str(error) or type(error).__name__
    return text.removeprefix("nats: ")


async def describe_server(access: NatsAccess, subjects: list[str]) -> list[str]:
    """Describe a server: its version, whether JetStream is enabled, and the stream of each subject.

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
