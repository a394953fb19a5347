"""The oracle can fail: it finds each kind of damage, in what it is handed and on real servers."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest

from tests.faults.kit import Rig
from tests.faults.ledger import Entry, Ledger, alive, dead, entries
from tests.faults.oracle import Found, judge, zstd

BUCKET, PREFIX = "archive", "part"
FIRST, SECOND, *_ = entries(2)
POISON = dead(b"\xff no JSON", "not_json")


def follow_up(entry: Entry, **changes: Any) -> dict[str, Any]:
    archive = {
        "bucket": BUCKET,
        "key": f"{PREFIX}/{entry.blob_key}",
        "ref_key": f"{PREFIX}/{entry.ref_key}",
        "sha256": entry.digest,
        "bytes": len(entry.bundle),
    }
    return {"source_event": {"sha256": entry.key}, "archive": archive | changes}


def reference(entry: Entry, **changes: Any) -> bytes:
    bundle = {"bucket": BUCKET, "key": entry.blob_key, "sha256": entry.digest, "bytes": len(entry.bundle)}
    record = {"event_sha256": entry.key, "event": entry.fields, "bundle": bundle | changes.pop("bundle", {})}
    return json.dumps(record | changes).encode()


def letter(entry: Entry, reason: str) -> dict[str, Any]:
    return {"payload_sha256": sha256(entry.payload).hexdigest(), "reason": reason}


def whole() -> Found:
    """What a faultless run leaves of two events and a poison."""
    objects = {each.blob_key: each.bundle for each in (FIRST, SECOND)}
    objects |= {each.ref_key: reference(each) for each in (FIRST, SECOND)}
    return Found(objects, [follow_up(FIRST), follow_up(SECOND)], [letter(POISON, "not_json")])


def ledger() -> Ledger:
    noted = Ledger()
    noted.note(FIRST, SECOND, POISON)
    return noted


def test_a_faultless_run_is_whole() -> None:
    verdict = judge(ledger(), whole(), bucket=BUCKET, prefix=PREFIX)

    assert verdict.damage == {}
    assert str(verdict) == "3 of 3"


def test_what_the_promise_allows_is_no_damage() -> None:
    found, noted = whole(), ledger()
    found.follow_ups.append(follow_up(FIRST))  # at least once
    half = alive(FIRST.bundle[:5])
    noted.may_be_left(half.bundle)
    found.objects[half.blob_key] = half.bundle

    assert judge(noted, found, bucket=BUCKET, prefix=PREFIX).damage == {}


@pytest.mark.parametrize(("held", "wrong"), [(FIRST.bundle, []), (b"#", ["its blob holds other bytes"])])
def test_a_compressed_blob_is_judged_by_what_it_holds(held: bytes, wrong: list[str]) -> None:
    found = whole()
    _, packed = FIRST.blob_keys
    found.objects[packed] = zstd.compress(held)
    del found.objects[FIRST.blob_key]
    found.objects[FIRST.ref_key] = reference(FIRST, bundle={"key": packed})
    found.follow_ups[0] = follow_up(FIRST, key=f"{PREFIX}/{packed}")

    damage = judge(ledger(), found, bucket=BUCKET, prefix=PREFIX).damage

    assert damage == ({FIRST.name: wrong} if wrong else {})


TWIN = FIRST.ref_key.replace("/agent=coach/", "/agent=other/")
DAMAGE: dict[str, tuple[Callable[[Found], object], str, str]] = {
    "missing blob": (lambda it: it.objects.pop(FIRST.blob_key), FIRST.name, "its blob is missing"),
    "wrong bytes": (
        lambda it: it.objects.update({FIRST.blob_key: b"#"}),
        FIRST.name,
        "its blob holds other bytes",
    ),
    "missing reference": (lambda it: it.objects.pop(FIRST.ref_key), FIRST.name, "its reference is missing"),
    "doubled reference": (
        lambda it: it.objects.update({TWIN: reference(FIRST)}),
        FIRST.name,
        f"has another reference, {TWIN}",
    ),
    "a reference of another event": (
        lambda it: it.objects.update({FIRST.ref_key: reference(FIRST, event=SECOND.fields)}),
        FIRST.name,
        "its reference has another event",
    ),
    "a reference to another blob": (
        lambda it: it.objects.update({FIRST.ref_key: reference(FIRST, bundle={"key": SECOND.blob_key})}),
        FIRST.name,
        "its reference has another key",
    ),
    "missing follow-up": (lambda it: it.follow_ups.pop(0), FIRST.name, "no follow-up event names it"),
    "a follow-up with another key": (
        lambda it: it.follow_ups.append(follow_up(FIRST, key="elsewhere")),
        FIRST.name,
        "its follow-up event has another key",
    ),
    "a follow-up of nobody's event": (
        lambda it: it.follow_ups.append(follow_up(alive(b"?"))),
        alive(b"?").name,
        "a follow-up event names it, and nobody published it",
    ),
    "unexpected dead letter": (
        lambda it: it.letters.append(letter(FIRST, "bundle_missing")),
        FIRST.name,
        "has a dead letter, bundle_missing",
    ),
    "missing dead letter": (
        lambda it: it.letters.clear(),
        POISON.name,
        "expected one dead letter, not_json; found []",
    ),
    "doubled dead letter": (
        lambda it: it.letters.append(letter(POISON, "not_json")),
        POISON.name,
        "expected one dead letter, not_json; found ['not_json', 'not_json']",
    ),
    "a dead letter for another reason": (
        lambda it: it.letters[0].update(reason="contract_broken"),
        POISON.name,
        "expected one dead letter, not_json; found ['contract_broken']",
    ),
    "a dead letter of nobody's event": (
        lambda it: it.letters.append(letter(alive(b"?"), "not_json")),
        sha256(alive(b"?").payload).hexdigest(),
        "has a dead letter, not_json, and nobody published it",
    ),
    "unexpected blob": (
        lambda it: it.objects.update({alive(b"?").blob_key: b"?"}),
        alive(b"?").blob_key,
        "no event accounts for it",
    ),
    "a probe left over": (
        lambda it: it.objects.update({"probe/w/1": b""}),
        "probe/w/1",
        "no event accounts for it",
    ),
    "undrained consumer": (
        lambda it: setattr(it, "pending", (2, 1)),
        "consumer",
        "2 not delivered, 1 not answered",
    ),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_each_kind_of_damage_is_found_and_nothing_else(kind: str) -> None:
    harm, name, told = DAMAGE[kind]
    found = whole()
    harm(found)

    verdict = judge(ledger(), found, bucket=BUCKET, prefix=PREFIX)

    assert verdict.damage == {name: [told]}
    assert verdict.whole == (2 if name in ledger().entries else 3)


def test_a_lost_event_is_found() -> None:
    found = whole()
    for key in (FIRST.blob_key, FIRST.ref_key):
        del found.objects[key]
    del found.follow_ups[0]

    verdict = judge(ledger(), found, bucket=BUCKET, prefix=PREFIX)

    assert str(verdict) == (
        f"2 of 3\n  {FIRST.name}: its blob is missing; its reference is missing; no follow-up event names it"
    )


def test_on_real_servers_it_reads_everything_and_finds_damage_in_each_place(rig: Rig) -> None:
    first, *_ = rig.emit_many(520)  # more objects than a listing's page has, more messages than one request gets
    poison = dead(b"no JSON", "not_json")
    rig.emit(poison)
    rig.archiver("run", "--until-idle")
    assert str(rig.oracle.judge(rig.ledger)) == "521 of 521"

    rig.overwrite(first.blob_key, b"damaged")
    [lost] = entries(1, first=5_000)
    rig.ledger.note(lost)
    rig.publish(b"unanswered", message_id=uuid.uuid4().hex)

    verdict = rig.oracle.judge(rig.ledger, within_s=0)

    assert verdict.damage == {
        first.name: ["its blob holds other bytes"],
        lost.name: ["its blob is missing", "its reference is missing", "no follow-up event names it"],
        "consumer": ["1 not delivered, 0 not answered"],
    }
