"""The store's disk is full: that is the store's trouble, and no event's."""

from __future__ import annotations

from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from archiver.dev_servers import S3Server
from tests.e2e.kit import until
from tests.faults.kit import Rig
from tests.faults.store_kit import use_store

fault = pytest.mark.fault


class SmallStore(S3Server):
    """A SeaweedFS whose disk is a few volumes of 1 MiB each."""

    volumes = 8

    def run(self, *arguments: str | Path) -> None:
        super().run(*arguments, "-master.volumeSizeLimitMB=1", f"-volume.max={self.volumes}")


@pytest.mark.slow_fault
@fault(23, "SeaweedFS out of volumes, then given more", "500s are the store's; then all is archived")
def test_a_store_that_is_full_is_waited_for(rig: Rig, tmp_path: Path) -> None:
    with SmallStore(tmp_path / "s3") as store:
        use_store(rig, store)
        worker = rig.worker()
        rig.emit_many(5)
        until(rig.is_drained, "archived while there is room")
        fill(rig)
        rig.emit_many(40)
        worker.wait_for('"not ready"')
        assert rig.consumer().delivered.consumer_seq < 45

        store.stop()
        store.volumes = 40
        store.start()

        rig.settle()


def fill(rig: Rig) -> None:
    """Write until the store takes no object more, a small one neither."""
    client, number = rig.s3, 0

    def takes(size: int) -> bool:
        nonlocal number
        number += 1
        try:
            client.put_object(Bucket=rig.store.bucket, Key=f"filler/{number}", Body=b"x" * size)
        except ClientError:
            return False
        return True

    until(lambda: not takes(2**20) and not any(takes(10) for _ in range(10)), "the store full")
    client.close()
