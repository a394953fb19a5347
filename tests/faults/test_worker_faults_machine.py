"""What the machine does to workers: no room on the disk, more of them, fewer, others in their place."""

from __future__ import annotations

import resource

import pytest

from tests.e2e.kit import BIN, until
from tests.faults.kit import Rig, put
from tests.faults.ledger import alive
from tests.faults.proxy import LOOPBACK, Delay, Proxy

fault = pytest.mark.fault
NO_LIMIT = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
os.execv(sys.argv[2], sys.argv[2:])
"""
BURST = 10_000


@fault(
    *(22, "no file may grow beyond 64 KiB, and a bundle of 2 MiB comes from the object store"),
    "returned to the queue, the others continue; done once there is room",
)
def test_a_bundle_that_finds_no_room_on_the_workers_disk_waits(rig: Rig) -> None:
    large = alive(b"# Large\n" + bytes(2 << 20))
    rig.on_the_bus(lambda client: put(client, large))
    rig.emit(large, spool=False)
    rig.emit_many(5)
    run = (str(64 << 10), BIN / "archiver", "run")
    worker = rig.start("python", "-c", LIMITED, *run, ARCHIVER_SOURCES="spool,object_store")
    assert "File too large" in worker.wait_for("retried")
    until(lambda: len(rig.objects("refs/")) == 5, "the others go on")

    resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE, NO_LIMIT)

    rig.settle()
    rig.stop(worker)


@fault(22, "no room for the log", "continues without a log")
def test_a_worker_that_has_no_room_for_its_log_works_on(rig: Rig) -> None:
    worker = rig.worker()
    resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    rig.emit_many(10)
    rig.judge()
    rig.nats.kill()
    rig.nats.start()
    rig.emit_many(10)
    until(lambda: rig.is_drained() or worker.process.poll() is not None, "done, or given up")

    rig.settle(within_s=0)
    resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE, NO_LIMIT)
    rig.stop(worker)


@pytest.mark.timeout(600)
@pytest.mark.slow_fault
@fault(
    *(29, f"burst of {BURST:,} events; 1 worker, then 6, each replaced by another with SIGTERM, then 2"),
    "every worker ends in order; nothing lost, nothing doubled",
)
def test_a_burst_is_worked_off_while_workers_come_and_go(rig: Rig) -> None:
    rig.emit_many(BURST)
    with Proxy(rig.store.port) as link:
        rig.environment |= {"AWS_ENDPOINT_URL_S3": f"http://{LOOPBACK}:{link.port}", "ARCHIVER_SLOTS": "4"}
        link.fault = Delay(up_s=0.1)  # so that the burst outlasts the coming and going
        workers = [rig.worker()]
        until(lambda: rig.acknowledged() >= 20, "at work")
        workers += [rig.start("archiver", "run") for _ in range(5)]
        for each in workers:
            each.wait_for('"ready"')
        for _ in range(6):
            workers.append(rig.worker())
            rig.stop(workers.pop(0))
        for _ in range(4):
            rig.stop(workers.pop(0))
        assert rig.acknowledged() < BURST, "all of it happened under load"
        link.heal()

        rig.settle(within_s=240)
        for each in workers:
            rig.stop(each)
