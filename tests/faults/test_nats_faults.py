"""nats-server killed or frozen, and the link to it dead, flapping or losing acknowledgements: workers come back."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.e2e.kit import frozen, until
from tests.faults.kit import Rig, stands_still
from tests.faults.proxy import Blackhole, Drop, NatsProxy, Reset

fault, slow = pytest.mark.fault, pytest.mark.slow_fault


@pytest.fixture
def nats_link(rig: Rig) -> Iterator[NatsProxy]:
    """A link between the workers and NATS; emitter and oracle go around it."""
    assert rig.nats.port is not None
    with NatsProxy(rig.nats.port) as proxy:
        rig.environment["NATS_URL"] = rig.nats.url.replace(f":{rig.nats.port}", f":{proxy.port}")
        yield proxy


@fault(5, "SIGKILL of nats-server under load, twice, each time started again on its store", "workers resume")
def test_a_killed_nats_server_loses_nothing_that_it_confirmed(rig: Rig) -> None:
    workers = [rig.worker(), rig.worker()]
    with rig.emitting(300, per_s=150):
        for events in (50, 150):
            until(lambda events=events: rig.acknowledged() >= events, f"{events} events done")
            rig.nats.kill()
            rig.nats.start()
            rig.healed()

    rig.settle()
    assert [each.process.poll() for each in workers] == [None, None], "no worker had to be started again"


# Of a silence of up to 20 s a worker says only that it is there; after that it reconnects.
SHORT_S, LONG_S = 3, 45


@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(SHORT_S, marks=fault(6, "SIGSTOP of nats-server for 3 s", "recovers on its own")),
        pytest.param(
            LONG_S, marks=(fault(6, "SIGSTOP of nats-server for 45 s", "reports not-ready; recovers on its own"), slow)
        ),
        pytest.param(
            180, marks=(fault(6, "SIGSTOP of nats-server for 3 min", "reports not-ready; recovers on its own"), slow)
        ),
    ],
)
def test_a_frozen_nats_server_is_waited_for(rig: Rig, seconds: int) -> None:
    worker = rig.worker()
    with rig.emitting(200, per_s=100, within_s=seconds + 60):
        until(lambda: rig.acknowledged() >= 20, "20 events done")
        with frozen(rig.nats):
            time.sleep(seconds)  # the fault itself
            assert stands_still(rig.nats.pid)
        rig.healed()

    rig.settle()
    assert seconds == SHORT_S or '"not ready"' in worker.err.read_text()
    assert worker.process.poll() is None
    rig.stop(worker)


@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(
            SHORT_S, marks=fault(7, "link to NATS passes nothing for 3 s, without a reset", "recovers on its own")
        ),
        pytest.param(
            LONG_S,
            marks=(
                fault(
                    7, "link to NATS passes nothing for 45 s, without a reset", "reports not-ready; recovers on its own"
                ),
                slow,
            ),
        ),
    ],
)
def test_a_link_that_passes_nothing_is_waited_for(rig: Rig, nats_link: NatsProxy, seconds: int) -> None:
    worker = rig.worker()
    with rig.emitting(200, per_s=100):
        until(lambda: rig.acknowledged() >= 20, "20 events done")
        nats_link.fault = Blackhole()
        time.sleep(seconds)  # the fault itself
    assert nats_link.hits
    nats_link.heal()

    rig.settle()
    assert seconds == SHORT_S or '"not ready"' in worker.err.read_text()
    assert worker.process.poll() is None
    rig.stop(worker)


@fault(7, "link to NATS reset three times under load", "reconnects each time")
def test_a_link_that_flaps_is_taken_up_again(rig: Rig, nats_link: NatsProxy) -> None:
    worker = rig.worker()
    for _ in range(3):
        done = rig.acknowledged()  # before there is more to do, or there might be nothing more
        with rig.emitting(100, per_s=100):
            until(lambda done=done: rig.acknowledged() > done, "connected, and at work")
            nats_link.fault = Reset()
            assert nats_link.hits == 1
            nats_link.heal()
            rig.healed()

    rig.settle()
    rig.stop(worker)


@fault(8, "acknowledgements never reach nats-server", "delivered again; the reference is found, and announced")
def test_a_lost_acknowledgement_is_not_taken_for_one(rig: Rig, nats_link: NatsProxy) -> None:
    worker = rig.worker()
    nats_link.fault = Drop(key="PUB $JS.ACK.")
    rig.emit_many(4)
    until(lambda: nats_link.hits >= 8, "four acknowledgements are lost, and those of the next deliveries too")
    before = rig.objects()
    assert '"archived' not in worker.err.read_text(), "what is not confirmed is not said to be done"

    nats_link.heal()

    rig.settle()

    assert '"archived again"' in worker.err.read_text()
    assert rig.objects() == before
    assert len(rig.follow_ups()) == 4
