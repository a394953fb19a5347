"""The fault proxy does to a TCP link what each fault says, and to no more of it than was asked."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import nats
import pytest

from archiver.dev_servers import NatsServer
from contracts.toolkit import close_nats
from tests.e2e.kit import until
from tests.faults.proxy import LOOPBACK, Blackhole, Delay, Drop, NatsProxy, Proxy, Refuse, Reset

SOON_S = 10.0
A_WHILE_S = 0.2


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that sends back what it is sent."""
    with socket.create_server((LOOPBACK, 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                threading.Thread(target=send_back, args=[connection]).start()

        def send_back(connection: socket.socket) -> None:
            with connection:
                try:
                    while data := connection.recv(1024):
                        connection.sendall(data)
                except OSError:
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.fixture
def proxy(echo: int) -> Iterator[Proxy]:
    with Proxy(echo) as proxy:
        yield proxy


def connected(proxy: Proxy) -> closing[socket.socket]:
    return closing(socket.create_connection((LOOPBACK, proxy.port), SOON_S))


def echoed(connection: socket.socket, data: bytes = b"hello") -> bytes:
    connection.sendall(data)
    found = b""
    while len(found) < len(data) and (more := connection.recv(1024)):
        found += more
    return found


def test_without_a_fault_everything_passes(proxy: Proxy) -> None:
    with connected(proxy) as one, connected(proxy) as other:
        assert echoed(one) == b"hello"
        assert echoed(other, b"x" * 2**20) == b"x" * 2**20
    assert proxy.hits == 0


def test_an_end_is_passed_on_to_the_other_side(proxy: Proxy) -> None:
    with connected(proxy) as one:
        assert echoed(one) == b"hello"
        one.shutdown(socket.SHUT_WR)
        assert one.recv(1) == b""


@pytest.mark.parametrize(("delay", "late"), [(Delay(up_s=0.5), [True, False]), (Delay(down_s=0.5), [False, True])])
def test_a_delay_is_waited_for_in_its_direction_alone(delay: Delay, late: list[bool]) -> None:
    with socket.create_server((LOOPBACK, 0)) as listening, Proxy(listening.getsockname()[1]) as proxy:
        proxy.fault = delay
        with connected(proxy) as client, closing(listening.accept()[0]) as server:
            assert [passage_s(client, server) >= 0.5, passage_s(server, client) >= 0.5] == late
        assert proxy.hits == 1


def passage_s(sender: socket.socket, receiver: socket.socket) -> float:
    began = time.monotonic()
    sender.sendall(b"hello")
    assert receiver.recv(1024) == b"hello"
    return time.monotonic() - began


def test_a_blackhole_holds_old_and_new_connections_and_healed_lets_all_pass(proxy: Proxy) -> None:
    with connected(proxy) as old:
        assert echoed(old) == b"hello"
        proxy.fault = Blackhole()
        with connected(proxy) as new:
            for each in (old, new):
                each.sendall(b"lost?")
                each.settimeout(A_WHILE_S)
                with pytest.raises(TimeoutError):
                    each.recv(1024)
            assert proxy.hits == 2
            proxy.heal()
            for each in (old, new):
                each.settimeout(SOON_S)
                assert each.recv(1024) == b"lost?"


def test_a_reset_strikes_open_connections_and_each_new_one(proxy: Proxy) -> None:
    with connected(proxy) as old:
        assert echoed(old) == b"hello"
        proxy.fault = Reset()
        with pytest.raises(ConnectionResetError):
            old.recv(1)
    assert proxy.hits == 1
    with pytest.raises(ConnectionResetError), connected(proxy) as new:  # noqa: PT012 - either call may find out
        new.sendall(b"hello")
        new.recv(1)
    assert proxy.hits == 2
    proxy.heal()
    with connected(proxy) as healed:
        assert echoed(healed) == b"hello"


def test_refusing_resets_open_connections_and_gives_the_port_to_nobody_else(proxy: Proxy) -> None:
    with connected(proxy) as old:
        assert echoed(old) == b"hello"
        proxy.fault = Refuse()
        with pytest.raises(ConnectionResetError):
            old.recv(1)
    with pytest.raises(ConnectionRefusedError):
        connected(proxy)
    with pytest.raises(OSError, match="in use"), socket.socket() as thief:
        thief.bind((LOOPBACK, proxy.port))
    assert proxy.hits == 1
    proxy.heal()
    with connected(proxy) as healed:
        assert echoed(healed) == b"hello"


def test_a_server_that_is_down_resets_the_client() -> None:
    with socket.socket() as nobody:
        nobody.bind((LOOPBACK, 0))
        with Proxy(nobody.getsockname()[1]) as proxy, connected(proxy) as one, pytest.raises(ConnectionResetError):
            one.recv(1)


def is_reset(proxy: Proxy) -> bool:
    try:
        with connected(proxy) as one:
            return echoed(one) != b"hello"
    except ConnectionResetError:
        return True


def test_healing_keeps_the_count_and_the_next_fault_starts_anew(proxy: Proxy) -> None:
    proxy.fault = Reset()
    assert is_reset(proxy)
    proxy.heal()
    assert (proxy.hits, proxy.fault) == (1, None)
    proxy.fault = Reset()
    assert proxy.hits == 0


def test_closing_ends_what_is_held_and_leaves_no_thread(echo: int) -> None:
    with Proxy(echo) as proxy:
        proxy.fault = Blackhole()
        one = socket.create_connection((LOOPBACK, proxy.port), SOON_S)
        until(lambda: proxy.hits, "held")
    with closing(one), pytest.raises(ConnectionResetError):
        one.recv(1)
    assert "fault proxy" not in {thread.name for thread in threading.enumerate()}


def test_a_nats_frame_is_dropped_by_what_it_says_and_the_others_pass(nats_server: NatsServer) -> None:
    async def steps(proxy: Proxy) -> list[str]:
        client = await nats.connect(nats_server.url.replace(f":{nats_server.port}", f":{proxy.port}"))
        heard = await client.subscribe("drop.*")
        for number in range(4):
            await client.publish(f"drop.{number}", b"PUB fake 1\r\n" * number, headers={"n": "1"} if number else None)
        await client.publish("drop.last", b"")
        found = []
        while not found or found[-1] != "drop.last":
            found.append((await heard.next_msg(SOON_S)).subject)
        await close_nats(client)
        return found

    with NatsProxy(nats_server.port) as proxy:
        proxy.fault = Drop(key="drop.2 ")
        assert asyncio.run(steps(proxy)) == ["drop.0", "drop.1", "drop.3", "drop.last"]
        assert proxy.hits == 1
