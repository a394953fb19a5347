"""`contracts replay` shows a plan; with --execute, what the plan says is what arrives."""

from __future__ import annotations

import json
import tracemalloc
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contracts import Capture, PreparedEvent, event_key
from contracts.fixtures.corpus import cases
from contracts.replay.plan.messages import REPLAY, REPLAY_ORIGIN, Outgoing, read_messages, read_run
from contracts.toolkit import spool_name
from tests.contracts.conftest import RunContracts
from tests.contracts.replay.conftest import STREAM, SUBJECT, Staging, configure
from tests.support.payloads import ARCHIVED, PREPARED, SPEC_EXAMPLE, event

NOON = datetime(2026, 6, 17, 12, tzinfo=UTC)


def lines(count: int, *, apart_s: float = 1.0) -> bytes:
    """Captures of events that were seen so many seconds apart."""
    return b"".join(
        Capture(SUBJECT, event(repo=f"r{n}"), NOON + timedelta(seconds=n * apart_s), f"#{n}").to_line()
        for n in range(count)
    )


def the_run() -> Path:
    (folder,) = Path("replays").iterdir()
    return folder


def the_plan() -> list[Outgoing]:
    return list(read_messages(the_run()))


def test_the_golden_fixtures_are_replayed_where_no_source_is_named(
    rehearsal: Staging, run_contracts: RunContracts
) -> None:
    status, out, err = run_contracts("replay", "staging", "--execute")

    assert status == 0, err
    golden = [json.loads(case.raw) for case in cases(PREPARED, "valid")]
    assert f"{len(golden)} messages" in out
    stored = rehearsal.messages()
    assert [json.loads(message.data) for message in stored] == golden
    run = the_run().name
    for number, message in enumerate(stored):
        assert message.subject == f"staging.{SUBJECT}"
        assert message.headers[REPLAY] == run
        assert message.headers[REPLAY_ORIGIN].startswith(f"fixture {PREPARED} valid/")
        assert message.headers["Nats-Msg-Id"] == f"{run}:{number}"


def test_fixtures_of_another_contract_and_those_that_break_it_are_sent_on_request(
    rehearsal: Staging, run_contracts: RunContracts
) -> None:
    assert run_contracts("replay", "staging", "--execute", "--fixtures", ARCHIVED)[0] == 0
    assert {message.subject for message in rehearsal.messages()} == {"staging.kaizen.schedule.archived"}
    rehearsal.empty()

    status, _, err = run_contracts("replay", "staging", "--execute", "--fixtures", "--invalid")

    assert status == 0, err
    sent = [json.loads(message.data) for message in rehearsal.messages()]
    assert any(each["cadence"] not in {"daily", "weekly", "monthly"} for each in sent if "cadence" in each)
    assert len(sent) > 100


def test_a_run_is_a_folder_that_says_all_about_itself(rehearsal: Staging, run_contracts: RunContracts) -> None:
    flags = ("--rate", "100/s", "--jitter", "50%", "--shuffle", "3", "--duplicate", "20%", "--seed", "17")

    status, out, err = run_contracts("replay", "staging", "--from-file", "-", "--execute", *flags, stdin=lines(10))

    assert status == 0, err
    run = read_run(the_run())
    assert (run.run_id, run.target, run.url) == (the_run().name, "staging", rehearsal.place)
    assert (run.stream, run.messages, run.seed) == (STREAM, 12, 17)
    assert run.lasts_s == the_plan()[-1].due_s
    assert "12 messages" in out
    assert "100/s, jitter 50%, shuffled by fewer than 3 places, seed 17" in out
    assert [message.number for message in the_plan()] == list(range(12))
    assert sorted(Counter(message.event_key for message in the_plan()).values()) == [1] * 8 + [2] * 2
    assert [message.payload for message in the_plan()] == [message.data for message in rehearsal.messages()]
    report = json.loads((the_run() / "report.json").read_bytes())
    assert (report["confirmed"], report["passes"]) == (12, True)


@pytest.mark.usefixtures("rehearsal")
def test_the_same_seed_makes_the_same_plan(run_contracts: RunContracts) -> None:
    plans = []
    for runs in ("a", "b"):
        flags = ("--shuffle", "9", "--duplicate", "9%", "--speed", "900x", "--jitter", "9%", "--seed", "4")
        out = run_contracts(
            "replay", "staging", "--from-file", "-", "--execute", "--into", runs, *flags, stdin=lines(90)
        )
        assert out[0] == 0, out
        (folder,) = Path(runs).iterdir()
        plans.append(list(read_messages(folder)))

    assert plans[0] == plans[1]


@pytest.mark.usefixtures("rehearsal")
@pytest.mark.parametrize(
    ("flags", "due"),
    [
        ([], [0, 0, 0, 0]),
        (["--rate", "200/s"], [0, 0.005, 0.01, 0.015]),
        (["--rate", "6000/min"], [0, 0.01, 0.02, 0.03]),
        (["--speed", "100x"], [0, 0.01, 0.02, 0.03]),
        (["--speed", "100x", "--duplicate", "100%"], [0, 0, 0.01, 0.01, 0.02, 0.02, 0.03, 0.03]),
    ],
)
def test_the_shape_of_the_traffic_is_in_the_plan(
    flags: list[str], due: list[float], run_contracts: RunContracts
) -> None:
    assert run_contracts("replay", "staging", "--from-file", "-", "--execute", *flags, stdin=lines(4))[0] == 0

    assert [message.due_s for message in the_plan()] == pytest.approx(due)


@pytest.mark.usefixtures("rehearsal")
def test_run_ids_sort_by_time(run_contracts: RunContracts) -> None:
    before = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"

    assert run_contracts("replay", "staging", "--execute")[0] == 0

    assert before <= the_run().name < "9"


def test_a_rewritten_event_has_its_bundle_under_its_new_name_in_the_spool(
    rehearsal: Staging, run_contracts: RunContracts, tmp_path: Path
) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    old = spool / spool_name(PreparedEvent.from_checked(SPEC_EXAMPLE))
    old.write_bytes(b"the bundle")
    found = Capture(SUBJECT, SPEC_EXAMPLE).to_line() + Capture(SUBJECT, event(repo="without-bundle")).to_line()
    command = ("replay", "staging", "--from-file", "-", "--rewrite", "--spool", spool)
    assert run_contracts(*command, stdin=found)[0] == 0
    assert list(spool.iterdir()) == [old]  # a dry run touches nothing

    status, _, err = run_contracts(*command, "--execute", stdin=found)

    assert status == 0, err
    assert f"bundles   1 under their new names in {spool}, 1 not there" in err
    sent = json.loads(rehearsal.messages()[0].data)
    new = spool / f"{event_key(sent)}.md"
    assert new.read_bytes() == b"the bundle"
    assert sorted(spool.iterdir()) == sorted([old, new])
    assert sent["occurred_at"] > "2026-06-17T09:00:12Z"


@pytest.mark.usefixtures("staging")
@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--rate", "5/s", "--speed", "2x"], "--rate and --speed exclude each other"),
        (["--jitter", "5%"], "--jitter needs gaps to vary"),
        (["--from-file", "-", "--fixtures"], "--fixtures and --from-file exclude each other"),
        (["--from-file", "-", "--from-stream", "S"], "--from-file and --from-stream exclude each other"),
        (["--since", "2h"], "--since needs --from-stream"),
        (["--from-seq", "2"], "--from-seq needs --from-stream"),
        (["--from-stream", "S", "--since", "2h", "--from-seq", "2"], "--since and --from-seq exclude each other"),
        (["--from-stream", "S"], "no NATS server is named for --from-stream"),
        (["--map-root", "/a=/b"], "--map-root needs --rewrite"),
        (["--map-repo", "a=b"], "--map-repo needs --rewrite"),
        (["--spool", "."], "--spool needs --rewrite"),
        (["--rate", "5"], "is no rate"),
        (["--rate", "0/s"], "is no rate"),
        (["--speed", "fast"], "is no speed"),
        (["--duplicate", "101%"], "is no share"),
        (["--duplicate", "5"], "is no share"),
        (["--rewrite", "--map-root", "/a"], "is no pair"),
        (["--from-file", "missing.jsonl"], "cannot read missing.jsonl"),
        (["--fixtures", "unheard.of"], "unheard.of"),
        (["--shuffle", "1"], "--shuffle"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_any_work(
    flags: list[str], complaint: str, run_contracts: RunContracts
) -> None:
    status, _, err = run_contracts("replay", "staging", *flags)

    assert (status, complaint in err) == (2, True), err


@pytest.mark.usefixtures("rehearsal")
@pytest.mark.parametrize("flags", [[], ["--execute"]])
def test_no_event_at_all_is_never_a_pass(flags: list[str], run_contracts: RunContracts) -> None:
    assert run_contracts("replay", "staging", "--from-file", "-", *flags, stdin=b"\n")[0] == 3
    seen = run_contracts("replay", "staging", "--from-file", "-", "--subject", "a.>", *flags, stdin=lines(3))
    assert (seen[0], ": 3 events on other subjects" in seen[2]) == (3, True)
    assert not [path for path in Path("replays").rglob("*") if path.is_file()]


def test_a_webhook_has_a_plan_too(staging: Staging, run_contracts: RunContracts) -> None:
    configure(Path.cwd(), "http://me:hunter2hunter2@127.0.0.1:9/prepared", stream=None)

    status, out, err = run_contracts("replay", "http://127.0.0.1:9/prepared", "--from-file", "-", stdin=lines(2))

    assert (status, err, staging.place in out) == (0, "", False)
    assert "where     staging: http://127.0.0.1:9\n" in out


@pytest.mark.usefixtures("rehearsal")
@pytest.mark.parametrize("flags", [[], ["--rewrite"], ["--shuffle", "50", "--rate", "50/s"]])
def test_planning_takes_the_same_memory_for_any_number_of_events(
    flags: list[str], run_contracts: RunContracts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("contracts.rules.compiled._MOST", 500)  # what a check remembers is bounded, but by more events

    def peak(count: int) -> int:
        path = tmp_path / f"{count}.jsonl"
        path.write_bytes(lines(count))
        tracemalloc.start()
        try:
            assert run_contracts("replay", "staging", "--from-file", path, *flags)[0] == 0
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1_200)  # imports, and caches of a thousand commands
    assert peak(4_800) < peak(1_200) * 1.2 + 200_000


@pytest.mark.usefixtures("rehearsal")
def test_the_help_has_its_options_under_headings(run_contracts: RunContracts) -> None:
    _, out, _ = run_contracts("replay", "--help")

    headings = [line.split(" (")[0].rstrip(":") for line in out.splitlines() if line and line[0] != " "][1:]
    assert headings == ["What to send", "Rewriting", "Schedule of the traffic", "Sending", "Help"]
    assert "[OPTIONS] TARGET" in out
