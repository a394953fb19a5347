"""nats-server replaced by another, with another configuration or certificate, or robbed of what it had on disk."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from nats.aio.client import Client

from contracts.toolkit import find_program
from tests.e2e.kit import STREAM, until
from tests.faults import publisher
from tests.faults.kit import Rig, TunedNats, put
from tests.faults.ledger import alive, dead, entries

fault, slow = pytest.mark.fault, pytest.mark.slow_fault
LOOPBACK = "127.0.0.1"


@slow
@fault(9, "`nats-server --signal ldm` under load; another takes its store over, on another port", "workers go there")
def test_workers_leave_a_server_in_lame_duck_mode_for_the_other(rig: Rig) -> None:
    first = rig.nats
    first.restart(lame_duck_duration="30s", lame_duck_grace_period="1s")  # the shortest that it takes
    with TunedNats(rig.home / "second", password=first._password) as second:
        second.stop()  # its port is known now
        second.settings = {"jetstream": {"store_dir": str(first.home / "jetstream"), "sync_interval": "always"}}
        both = f"{first.url},{second.url}"
        worker = rig.worker(NATS_URL=both)
        these = entries(200)
        rig.ledger.note(*these)

        with publisher.publishing(both, rig.spool, these, per_s=100, within_s=60):
            until(lambda: rig.acknowledged() >= 20, "20 events done")
            subprocess.run([find_program("nats-server"), "--signal", f"ldm={first.pid}"], check=True)
            until(first.has_ended, "drained, and ended by itself")
            rig.nats = second
            second.start()
            rig.healed()

        rig.settle()
        assert "lame duck" in first.log.read_text()
        rig.stop(worker)


@fault(
    31, "nats-server with `js_ack_fc_v2: true`: spool and object store, late bundle, poison, redelivery", "as without"
)
def test_the_other_form_of_acknowledgement_subjects_changes_nothing(rig: Rig) -> None:
    rig.nats.restart(feature_flags={"js_ack_fc_v2": True})
    assert "js_ack_fc_v2 (opt-in)" in rig.nats.log.read_text()
    assert rig.on_the_bus(reply_subject).split(".")[:3] == ["$JS", "ACK", "_"], "the form with domain and account"
    rig.environment["ARCHIVER_SOURCES"] = "spool,object_store"
    stored, late = alive(b"# from the object store\n", agent="stored"), alive(b"# late\n", agent="late")
    rig.on_the_bus(lambda client: put(client, stored))
    rig.emit(stored, late, spool=False)
    rig.emit(dead(b"no JSON", "not_json"))
    rig.emit_many(30)
    assert rig.failing_worker("before ack: kill").ended() == -9

    worker = rig.worker()
    worker.wait_for("no bundle at")
    publisher.leave(rig.spool, late)

    rig.settle()
    assert '"archived again"' in worker.err.read_text()
    rig.stop(worker)


async def reply_subject(client: Client) -> str:
    jetstream = client.jetstream()
    await jetstream.publish("kaizen.schedule.other", b"")
    subscription = await jetstream.pull_subscribe("kaizen.schedule.other", stream=STREAM)
    [message] = await subscription.fetch(1)
    await message.ack_sync()
    return message.reply


@fault(
    32,
    "SIGKILL of nats-server, the last 20 kB of the stream's file cut off",
    "the ledger names what was lost, none of it archived; published again, all is whole",
)
def test_what_a_power_loss_took_from_the_stream_is_told_and_what_was_archived_stays(rig: Rig) -> None:
    archived = rig.emit_many(100)
    worker = rig.worker()
    rig.judge()
    rig.stop(worker)
    waiting = rig.emit_many(100)
    rig.nats.kill()
    cut_off(rig.nats.home, 20_000)
    rig.nats.start()
    worker = rig.worker()

    verdict = rig.oracle.judge(rig.ledger)

    lost = [each for each in waiting if each.name in verdict.damage]
    assert 0 < len(lost) < 100
    assert verdict.damage.keys() == {each.name for each in lost}, "nothing that was archived is among them"
    assert verdict.whole == len(archived) + len(waiting) - len(lost)

    rig.emit(*lost)
    rig.settle()
    rig.stop(worker)


def cut_off(home: Path, size: int) -> None:
    """Cut the end off the last block of the stream's file, as a disk does that had not written it."""
    *_, last = sorted(home.glob(f"jetstream/**/streams/{STREAM}/msgs/*.blk"), key=lambda each: int(each.stem))
    assert last.stat().st_size > size
    with last.open("r+b") as file:
        file.truncate(last.stat().st_size - size)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def certificate(home: Path, authority: trustme.CA, kind: str) -> dict[str, str]:
    """Issue a server's certificate of a kind, as nats-server's `tls` block names it."""
    yesterday = datetime.now(UTC) - timedelta(days=1)
    leaf = {
        "right": lambda: authority.issue_cert(LOOPBACK),
        "of an unknown authority": lambda: trustme.CA().issue_cert(LOOPBACK),
        "for another host": lambda: authority.issue_cert("nats.example"),
        "expired": lambda: authority.issue_cert(LOOPBACK, not_before=yesterday, not_after=yesterday),
    }[kind]()
    place = home / f"{kind}.pem"
    leaf.private_key_and_cert_chain_pem.write_to_path(str(place))
    return {"cert_file": str(place), "key_file": str(place)}


REFUSED = [
    pytest.param("of an unknown authority", "certificate verify failed: unable to get local issuer certificate"),
    pytest.param("for another host", "IP address mismatch, certificate is not valid for '127.0.0.1'", marks=slow),
    pytest.param("expired", "certificate has expired", marks=slow),
    pytest.param("none at all", "this server offers none"),
]


@pytest.mark.parametrize(("kind", "told"), REFUSED)
@fault(
    *(30, "NATS comes back with a certificate of an unknown authority, for another host, expired, or without TLS"),
    "refused, exit 4 at a start; continues once the certificate is right",
)
def test_a_wrong_certificate_of_nats_is_refused(
    rig: Rig, authority: trustme.CA, kind: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ca = rig.home / "ca.pem"
    authority.cert_pem.write_to_path(str(ca))
    monkeypatch.setenv("SSL_CERT_FILE", str(ca))  # of emitter and oracle
    right = certificate(rig.home, authority, "right")
    rig.nats.restart(tls=right)
    worker = rig.worker(NATS_CA=str(ca), SSL_CERT_FILE=None)
    wrong = {} if kind == "none at all" else {"tls": certificate(rig.home, authority, kind)}

    rig.nats.restart(**wrong)

    worker.wait_for(told)
    said = rig.archiver("run", "--until-idle", status=4, NATS_CA=str(ca), SSL_CERT_FILE=None).stderr.decode()
    assert told in said
    rig.nats.restart(tls=right)
    rig.emit_many(10)

    rig.settle()
    rig.stop(worker)
