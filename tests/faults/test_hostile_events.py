"""Whatever is published: it is archived, or dead with the right reason; nothing is run, and the worker lives."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import strategies as st

from contracts import check, load_contract
from contracts.fixtures.corpus import cases
from contracts.fixtures.generate import broken_payloads, generate
from contracts.model.strict_json import EXPECTED
from tests.e2e.kit import Started, until
from tests.faults.kit import Rig
from tests.faults.ledger import Entry, alive, dead
from tests.support.builders import event, payload_bytes

fault = pytest.mark.fault
CONTRACT = "kaizen.schedule.prepared@1"


def judged_alive(rig: Rig, worker: Started) -> None:
    """The oracle is content, and the worker that met all this still archives."""
    until(rig.is_drained, "all answered")
    rig.emit_many(1)
    rig.settle()
    assert worker.process.poll() is None
    assert "Traceback" not in worker.err.read_text()


def injections(canary: Path) -> list[Entry]:
    """Events that would run something if any part of them ever got near a shell; None of them is right."""
    run = f"touch {canary}"
    prepare = "kaizen-agentic schedule prepare coach --target /srv/repo"
    commands = [
        f"{prepare}; {run}",
        f"{prepare} && {run}",
        f"{prepare} | sh -c '{run}'",
        f"{prepare} $({run})",
        f"{prepare} `{run}`",
        f"{prepare}\n{run}",
        f"{prepare}\x00{run}",
        f"{prepare}\u2028{run}",
        f"{prepare} --target /etc",
        run,
        f"/bin/sh -c '{run}'",
        f"PATH={canary.parent} {prepare}",
    ]
    fields = [
        {"repo": "../../etc"},
        {"repo": "a/b"},
        {"agent": "coach;" + run},
        {"agent": ".."},
        {"root": "relative/path"},
        {"root": "/srv/../etc"},
        {"root": "/srv\x00/etc"},
        {"session_close": [run]},
        {"session_close": [f"kaizen-agentic metrics record coach --success; {run}"]},
        {"version": "2"},
        {"version": 1},
        {"event": "kaizen.schedule.archived"},
        {"bundle": {"bytes": -1}},
        {"bundle": {"format": "../../x"}},
        {"occurred_at": "2026-02-30T00:00:00Z"},
        {"repo": "x" * 60_000},
    ]
    changed = [{"root": "/srv/repo", "prepare_command": command} for command in commands] + fields
    return [dead(payload_bytes(event() | each), "contract_broken") for each in changed]


def odd_but_right(canary: Path) -> list[Entry]:
    """Events that keep every rule and whose values mean something to a shell, a path or a URL."""
    roots = [
        f"/srv/$(touch {canary})",
        f"/srv/;touch {canary};",
        "/srv/a b'c",
        "/srv/漢字 é",
        "/srv/%2e%2e/etc",
        "/srv/*?[]",
    ]
    names = ["a..b", "x.", "con", "a" * 64, "0-_"]
    return [alive(f"# {root}".encode(), root=root) for root in roots] + [
        alive(f"# {name}".encode(), repo=name) for name in names
    ]


@fault(26, "shell, path and URL metacharacters in every field", "dead-lettered or archived; nothing is run")
def test_no_text_in_an_event_is_ever_run_or_followed(rig: Rig, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    worker = rig.worker()
    rig.emit(*injections(canary), *odd_but_right(canary))

    judged_alive(rig, worker)
    assert not canary.exists()


@fault(26, "the corpus of wrong and malformed payloads, and one of 900 KiB", "dead-lettered, each with its reason")
def test_every_payload_of_the_corpus_that_is_wrong_is_dead_with_its_reason(rig: Rig) -> None:
    reasons = {"wire": "not_json", "invalid": "contract_broken"}
    tolerated = {"invalid/unknown-key", "invalid/bundle-unknown-key"}
    poison = [
        dead(case.raw, reasons[case.path.parent.name])
        for case in cases(CONTRACT, "invalid", "wire")
        if case.name not in tolerated
    ]
    worker = rig.worker()
    rig.emit(*poison, dead(b'{"x":"' + b"x" * 900_000 + b'"}', "not_json"))

    judged_alive(rig, worker)


@pytest.mark.parametrize("seed", [1])
@fault(26, "500 random payloads and 500 with one broken field", "dead-lettered, each with its reason")
def test_a_thousand_random_and_hostile_payloads_are_all_dead_and_the_worker_lives(rig: Rig, seed: int) -> None:
    contract = load_contract(CONTRACT)
    broken = (
        dead(raw, "not_json" if rule in EXPECTED else "contract_broken")
        for raw, rule in generate(broken_payloads(contract), seed_number=seed)
        if not check(raw, contract=contract, profile="consumer").passes()
    )
    noise = (
        dead(raw, "contract_broken" if is_json(raw) else "not_json")
        for raw in generate(st.binary(max_size=400) | st.text(max_size=400).map(str.encode), seed_number=seed)
    )
    poison = distinct(noise, 500, beside=distinct(broken, 500))  # a broken payload may be plain noise
    worker = rig.worker()
    rig.emit(*poison)

    judged_alive(rig, worker)
    assert len(rig.ledger) == 1001
    assert len(rig.objects("refs/")) == 1


def distinct(entries: object, count: int, beside: Sequence[Entry] = ()) -> list[Entry]:
    """Return `beside` and `count` more, no two of which are one payload."""
    seen = {each.name: each for each in beside}
    wanted = len(seen) + count
    for each in islice(entries, 50 * count):
        seen.setdefault(each.name, each)
        if len(seen) == wanted:
            return list(seen.values())
    raise AssertionError(f"{len(seen)} of {wanted} different payloads")


def is_json(raw: bytes) -> bool:
    """Say whether every reader reads these bytes as the same JSON value; not by the archiver's code."""

    def none(text: str) -> None:
        raise ValueError(text)

    def exact(digits: str) -> int:
        return int(digits) if abs(int(digits)) < 2**53 else none(digits)

    try:
        json.loads(raw.decode(), parse_constant=none, parse_int=exact)
    except ValueError:
        return False
    return True
