"""Bundles that come late, change or go away while they are read, and a spool that somebody turned against us."""

from __future__ import annotations

import os
import signal
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.kit import until
from tests.faults.kit import Rig, is_frozen
from tests.faults.ledger import Entry, alive, dead
from tests.faults.publisher import leave
from tests.support.builders import event, payload_bytes

fault = pytest.mark.fault
# Larger than what is read in one go, so that there is time for a change while it is read.
OLD = b"# Coach\n\n" + b"half of what\n" * (1 << 18)
NEW = OLD + b"was to be said\n"


@fault(24, "bundle comes after its event", "waited for, then archived")
def test_a_bundle_that_comes_late_is_waited_for(rig: Rig) -> None:
    worker = rig.worker()
    [entry] = rig.emit(alive(NEW), spool=False)
    worker.wait_for("no bundle at")

    leave(rig.spool, entry)

    rig.settle()


@fault(24, "bundle deleted before it is read", "waited for until its deadline, then dead-lettered as `bundle_missing`")
def test_a_bundle_that_is_gone_is_waited_for_until_its_deadline(rig: Rig) -> None:
    worker = rig.worker(ARCHIVER_BUNDLE_DEADLINE_S="2")

    leave(rig.spool, alive(NEW)).unlink()
    rig.emit(dead(event(), "bundle_missing"))

    assert "retried" in worker.wait_for("no bundle at")
    rig.judge()


def finish_writing(path: Path, entry: Entry) -> None:
    with path.open("ab") as file:
        file.write(entry.bundle[path.stat().st_size :])


def write_over(path: Path, entry: Entry) -> None:
    path.write_bytes(entry.bundle)


def replace_it(path: Path, _: Entry) -> None:
    aside = path.with_suffix(".part")
    aside.write_bytes(b"another bundle of the same event")
    aside.rename(path)


def delete(path: Path, _: Entry) -> None:
    path.unlink()


Change = Callable[[Path, Entry], None]
MEANWHILE = [  # where the worker stands still, what it has opened, what happens to that, what has to be archived
    pytest.param(
        *("before blobs", OLD, finish_writing, NEW),
        marks=fault(24, "half-written bundle, completed while it is read", "read again, and archived whole"),
    ),
    pytest.param(
        *("before read-back", OLD, write_over, NEW),
        marks=fault(24, "bundle written over while it is read", "read again, and archived whole"),
    ),
    pytest.param(
        *("before blobs", OLD, replace_it, OLD),
        marks=fault(24, "bundle replaced by rename while it is read", "the one that was opened is archived"),
    ),
    pytest.param(
        *("before blobs", OLD, delete, OLD),
        marks=fault(24, "bundle deleted while it is read", "the one that was opened is archived"),
    ),
]


@pytest.mark.parametrize(
    ("point", "before", "change", "after"), MEANWHILE, ids=["completed", "written over", "replaced", "deleted"]
)
def test_a_bundle_that_changes_while_it_is_read_is_archived_as_one_whole(
    bare_rig: Rig, point: str, before: bytes, change: Change, after: bytes
) -> None:
    rig = bare_rig
    rig.environment["ARCHIVER_ACK_WAIT_S"] = "60"  # or a second delivery would read the changed bundle beside the first
    rig.init()
    entry = alive(after)
    path = leave(rig.spool, entry)
    path.write_bytes(before)
    rig.ledger.may_be_left(OLD)
    worker = rig.failing_worker(f"{point}: freeze")
    rig.emit(entry, spool=False)
    until(lambda: is_frozen(worker), "frozen with the bundle open")

    change(path, entry)
    worker.signal(signal.SIGCONT)

    rig.settle()


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(5 << 30)


HOSTILE: dict[str, Callable[[Path], object]] = {
    "symlink": lambda path: path.symlink_to(path.parent.parent / "secret"),
    "symlink to a directory above": lambda path: path.symlink_to("../.."),
    "hard link": lambda path: path.hardlink_to(path.parent.parent / "another secret"),
    "FIFO": os.mkfifo,
    "directory": Path.mkdir,
    "endless device": lambda path: os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5)),
    "5 GiB": sparse,
}
SECRET = b"what only this user may read"


@fault(
    *(25, "symbolic and hard link to a secret, FIFO, directory, device, sparse file of 5 GiB, `..` in names"),
    "refused at once: dead letters `bundle_refused`, `contract_broken`; nothing else read",
)
def test_a_hostile_spool_costs_its_own_events_and_no_others(rig: Rig) -> None:
    for name in ("secret", "another secret"):
        (rig.home / name).write_bytes(SECRET)
    tried = [name for name in HOSTILE if name != "endless device" or os.geteuid() == 0]  # only root makes devices
    for number, name in enumerate(tried):
        payload = event(occurred_at=f"2026-06-18T09:00:{number:02}Z")
        HOSTILE[name](rig.spool / Entry(payload_bytes(payload)).spool_name)
        rig.emit(dead(payload, "bundle_refused"))
    rig.emit(dead(event(repo=".."), "contract_broken"), dead(event(agent="../../etc"), "contract_broken"))
    rig.emit_many(5)
    worker = rig.worker()

    began = time.monotonic()
    rig.settle()

    assert time.monotonic() - began < 10, "nothing hangs, and five gigabytes are not read"
    assert SECRET not in rig.objects().values()
    assert SECRET.decode() not in worker.err.read_text()
    assert (rig.home / "secret").read_bytes() == SECRET
    rig.stop(worker)
