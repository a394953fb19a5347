"""Ids that restart with a stream, bundles that nobody may read, and a spool that is not the right one."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import pytest

from archiver.core.bundle_wait import bundle_wait
from tests.e2e.kit import BIN, STREAM, Started, until
from tests.faults.kit import Rig
from tests.faults.ledger import Entry, dead, entries
from tests.faults.publisher import leave
from tests.support.builders import event

fault = pytest.mark.fault
# Without these root, as which CI runs, may read every file.
_WITHOUT_RIGHTS = [
    "/usr/bin/setpriv",
    "--bounding-set=-dac_override,-dac_read_search",
    "--inh-caps=-dac_override,-dac_read_search",
]


@fault(33, "stream deleted and made anew between two bad events, in one duplicate window", "a dead letter each")
def test_a_stream_that_counts_from_1_again_swallows_no_dead_letter(rig: Rig) -> None:
    worker = rig.worker()
    rig.emit(dead(b"not JSON", "not_json"))
    until(lambda: len(rig.letters()) == 1, "the first dead letter")
    rig.on_the_bus(lambda client: client.jetstream().delete_stream(STREAM))
    worker.wait_for('"not ready"')
    rig.init()

    rig.emit(dead(b"not JSON either", "not_json"))

    rig.judge()
    assert [each["sequence"] for each in rig.letters()] == [1, 1]


def worker_without_rights(rig: Rig, **changes: str) -> Started:
    """Start a worker whom permissions bind, also where the tests are root's."""
    if os.geteuid() != 0:
        return rig.worker(**changes)
    if not Path(_WITHOUT_RIGHTS[0]).exists():
        pytest.skip("no setpriv")
    started = rig.start(*_WITHOUT_RIGHTS, BIN / "archiver", "run", **changes)
    started.wait_for('"ready"')
    return started


def said(worker: Started) -> list[dict[str, str]]:
    whole = worker.err.read_text().rpartition("\n")[0]  # the last line may be half-written
    return [json.loads(line) for line in whole.splitlines()]


@fault(
    *(34, "20 bundles that the worker may not read, before 60 good ones"),
    "the others are archived meanwhile; those 20 retried, then dead-lettered as `bundle_unreadable`",
)
def test_bundles_that_cannot_be_read_cost_their_own_events_and_no_others(rig: Rig) -> None:
    unreadable = [dead(each.payload, "bundle_unreadable", bundle=each.bundle) for each in entries(20)]
    for entry in unreadable:
        leave(rig.spool, entry).chmod(0)
    rig.emit(*unreadable, spool=False)
    rig.emit(*entries(60, first=20))

    worker = worker_without_rights(rig, ARCHIVER_BUNDLE_DEADLINE_S="5")

    rig.settle()
    lines = said(worker)
    assert {each["cause"] for each in lines if each["event"] == "retried"} == {"bundle_unreadable"}
    assert all(os.strerror(errno.EACCES) in each["why"] for each in lines if each["event"] == "retried")
    assert not [each for each in lines if each["event"] == "not ready"], "neither store nor spool is to blame"
    last_good = max(number for number, each in enumerate(lines) if each["event"] == "archived")
    first_dead = min(number for number, each in enumerate(lines) if each["event"] == "dead-lettered")
    assert last_good < first_dead, "good events do not wait for the others' deadline"


@fault(34, "spool directory that the worker may not open, then may", "reported as the spool's; then all is archived")
def test_a_spool_that_cannot_be_opened_is_named_and_blames_neither_store_nor_event(rig: Rig) -> None:
    rig.emit(*entries(20))
    rig.spool.chmod(0)
    worker = worker_without_rights(rig, ARCHIVER_BUNDLE_DEADLINE_S="1")
    worker.wait_for('"not ready"')

    rig.spool.chmod(0o755)

    rig.settle()
    assert {each["part"] for each in said(worker) if each["event"] == "not ready"} == {"spool"}


def aside(rig: Rig) -> Path:
    """Put an empty directory in the spool's place, as where nothing is mounted; return where the spool is now."""
    place = rig.home / "not mounted"
    rig.spool.rename(place)
    rig.spool.mkdir()
    return place


def mount(rig: Rig, place: Path) -> None:
    shutil.copytree(place, rig.spool, dirs_exist_ok=True)


@fault(
    *(35, "archiver away for longer than the bundle deadline; back over an empty spool, which is then mounted"),
    "not ready, nothing dead-lettered; then all is archived",
)
def test_an_archiver_that_comes_back_over_an_empty_spool_dead_letters_nothing(rig: Rig) -> None:
    deadline_s = 2.0
    these = rig.emit(*entries(20))
    place = aside(rig)
    worker = rig.worker(ARCHIVER_BUNDLE_DEADLINE_S=str(deadline_s))
    assert "is the volume mounted" in worker.wait_for('"not ready"')
    looks = max(looks_until(entry, deadline_s) for entry in these)
    until(lambda: all(n > looks for n in retries(worker).values()), "every event looked for beyond its deadline")
    assert rig.letters() == []

    mount(rig, place)

    rig.settle()
    assert "works again" in worker.err.read_text()


def looks_until(entry: Entry, deadline_s: float) -> int:
    return next(look for look in range(1, 1000) if bundle_wait(entry.key, look, deadline_s).is_over)


def retries(worker: Started) -> dict[str, int]:
    found = dict.fromkeys(map(str, range(1, 21)), 0)
    for each in said(worker):
        if each["event"] == "retried":
            found[str(each["sequence"])] += 1
    return found


@fault(
    *(35, "one bundle is lost in a spool that works"),
    "dead-lettered as `bundle_missing` after its deadline",
)
def test_a_lost_bundle_in_a_spool_that_works_is_dead_lettered(rig: Rig) -> None:
    rig.worker(ARCHIVER_BUNDLE_DEADLINE_S="2")
    rig.emit(dead(event(), "bundle_missing"), spool=False)
    rig.emit_many(5)

    rig.settle()
