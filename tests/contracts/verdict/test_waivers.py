"""A waiver lets one finding pass, for a reason, in somebody's name, until a day; and says when it should go."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from contracts.checker import check
from contracts.errors import BadInput
from contracts.fixtures.corpus import ROOT
from contracts.observe.observation import known_rules
from contracts.verdict.policy import Policy, Tally
from contracts.verdict.waivers import Waiver, WaiverUse, parse_waivers
from tests.contracts.conftest import RunContracts

SPEC_EXAMPLE = (ROOT / "kaizen.schedule.prepared" / "1" / "valid" / "spec-example.json").read_bytes()
HOURLY = SPEC_EXAMPLE.replace(b"weekly", b"hourly")
TODAY = date(2026, 11, 23)
RULES = {"cadence/enum", "bundle.bytes/minimum", "agent/pattern", "emitter/flood"}


def entry(rule: str = "cadence/enum", expires: str = "2026-12-31", **more: str) -> str:
    told = {"rule": rule, "reason": "until the old emitter is off", "owner": "ops"} | more
    return (
        "[[waivers]]\n"
        + "".join(f"{key} = {json.dumps(value)}\n" for key, value in told.items())
        + (f"expires = {expires}\n" if expires else "")
    )


def refusal(text: str) -> str:
    with pytest.raises(BadInput) as caught:
        parse_waivers(text, where="waivers.toml", rules=RULES)
    return str(caught.value)


# --- the file --------------------------------------------------------------------------------------------------------


def test_an_entry_says_what_why_who_and_until_when() -> None:
    text = "# ours\n\n" + entry(pointer="/cadence", source="a.json") + "\n" + entry("agent/pattern")

    first, second = parse_waivers(text, where="waivers.toml", rules=RULES)

    assert (first.rule, first.pointer, first.source, first.owner) == ("cadence/enum", "/cadence", "a.json", "ops")
    assert first.expires == date(2026, 12, 31)
    assert (first.number, first.line) == (0, 3)
    assert (second.number, second.line, second.pointer) == (1, 11, None)


def test_an_entry_written_inline_has_no_line_but_holds() -> None:
    text = 'waivers = [{rule = "cadence/enum", reason = "r", owner = "o", expires = 2026-12-31}]'

    (waiver,) = parse_waivers(text, where="waivers.toml", rules=RULES)

    assert waiver.line is None


@pytest.mark.parametrize("missing", ["reason", "owner", "rule"])
def test_an_entry_that_leaves_something_out_is_refused(missing: str) -> None:
    text = "\n".join(line for line in entry().splitlines() if not line.startswith(missing))

    assert f"waivers.toml cannot be used:\n  waivers[0]: no '{missing}'" in refusal(text)


def test_a_waiver_without_end_is_refused() -> None:
    assert "waivers[0]: no 'expires'" in refusal(entry(expires=""))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (entry(expires='"2026-12-31"'), "expected a date without quotes or time: expires = 2026-12-31"),
        (entry(expires="2026-12-31T00:00:00Z"), "expected a date without quotes or time"),
        (entry(reason=" "), "'reason' is ' '; expected text"),
        (entry().replace('"ops"', "7"), "'owner' is the number 7; expected text"),
        (entry("cadence/enmu"), "no rule 'cadence/enmu'; did you mean 'cadence/enum'?"),
        (entry(pionter="/a"), "unknown key 'pionter'; did you mean 'pointer'?"),
        ("[[waiver]]\n", "unknown key 'waiver'; expected [[waivers]]"),
        ("waivers = 3", "'waivers' is not a list of tables"),
        ("waivers = [1]", "'waivers' is not a list of tables"),
        ("[[waivers", "waivers.toml is not TOML"),
    ],
)
def test_what_cannot_be_used_is_refused_with_what_would_be_right(text: str, says: str) -> None:
    assert says in refusal(text)


def test_every_problem_of_a_file_is_told_at_once_and_how_to_write_an_entry() -> None:
    told = refusal(entry("nonsense") + entry(expires="") + entry(owner=""))

    assert told.count("\n  waivers[") == 3
    assert "contracts explain RULE --waiver" in told


# --- what it covers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "is_waived"),
    [
        ({}, True),
        ({"pointer": "/cadence"}, True),
        ({"pointer": "/agent"}, False),
        ({"source": "event.json"}, True),
        ({"source": "other.json"}, False),
        ({"rule": "agent/pattern"}, False),
    ],
)
def test_a_waiver_covers_its_rule_narrowed_by_place_and_file(more: dict[str, str], *, is_waived: bool) -> None:
    waivers = parse_waivers(entry(**more), where="waivers.toml", rules=RULES)

    verdict = Policy(waivers=waivers).judge(check(HOURLY, source="event.json"))

    assert verdict.passes is is_waived
    assert [each.waiver for each in verdict.findings] == ([waivers[0]] if is_waived else [None])


def used(text: str, raw: bytes, *, select: tuple[str, ...] = (), today: date = TODAY) -> list[tuple[str, int | None]]:
    waivers = parse_waivers(text, where="waivers.toml", rules=RULES)
    policy = Policy(select=select, waivers=tuple(each for each in waivers if each.expires >= today))
    use = WaiverUse(waivers, policy, today)
    use.add(policy.judge(check(raw, source="event.json")))
    results = use.results(Path("waivers.toml"), RULES - {"emitter/flood"})
    return [(result.violations[0].rule, result.fixture_line) for result in results]


def test_a_waiver_that_is_used_is_left_alone_until_the_end_of_its_last_day() -> None:
    assert used(entry(), HOURLY) == []
    assert used(entry(expires="2026-11-23"), HOURLY) == []
    assert used(entry(expires="2026-11-22"), HOURLY) == [("waiver/expired", 1)]


def test_a_waiver_that_covers_nothing_is_an_error_on_its_own_line() -> None:
    assert used(entry() + entry("agent/pattern"), HOURLY) == [("waiver/unused", 6)]
    assert used(entry() + entry(), HOURLY) == [("waiver/unused", 6)]
    assert used(entry(source="event.json"), SPEC_EXAMPLE) == [("waiver/unused", 1)]


def test_a_waiver_that_this_run_could_not_have_used_is_left_alone() -> None:
    assert used(entry(source="elsewhere.json"), HOURLY) == []
    assert used(entry(), SPEC_EXAMPLE, select=("agent/*",)) == []
    assert used(entry("emitter/flood"), SPEC_EXAMPLE) == []


def test_an_expired_waiver_is_an_error_even_where_it_would_cover_nothing() -> None:
    assert used(entry(expires="2025-01-01", source="elsewhere.json"), SPEC_EXAMPLE) == [("waiver/expired", 1)]


# --- on the command line ---------------------------------------------------------------------------------------------


@pytest.fixture
def waivers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("event.json").write_bytes(HOURLY)
    return Path("waivers.toml")


def test_a_waived_finding_is_shown_and_counted_but_fails_nothing(waivers: Path, run_contracts: RunContracts) -> None:
    waivers.write_text(entry(expires="9999-12-31"), "utf-8")

    status, out, _ = run_contracts("check", "event.json", "--waivers", waivers)

    assert status == 0
    assert "waived by ops, until 9999-12-31: until the old emitter is off" in out
    assert out.endswith("1 of 1 payload pass: 0 errors, 0 warnings, 1 waived\n")


@pytest.mark.parametrize(
    ("text", "rule", "found"),
    [
        (entry(expires="2020-01-01"), "waiver/expired", "cadence/enum waived by ops until 2020-01-01"),
        (entry(expires="9999-12-31") + entry("agent/pattern", "9999-12-31"), "waiver/unused", "agent/pattern waived"),
    ],
)
def test_a_waiver_that_should_go_fails_the_run(
    text: str, rule: str, found: str, waivers: Path, run_contracts: RunContracts
) -> None:
    waivers.write_text(text, "utf-8")

    status, out, _ = run_contracts("check", "event.json", "--waivers", waivers, "--report", "json")

    last = json.loads(out)["results"][-1]["findings"][0]
    assert status == 1
    assert (last["rule"], last["source"], last["fixture"]) == (rule, "waivers.toml", "waivers.toml")
    assert last["found"].startswith(found)
    assert json.loads(out)["summary"]["payloads"] == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [(entry(owner=""), "waivers.toml cannot be used"), (entry("cadence/enu"), "did you mean 'cadence/enum'?")],
)
def test_waivers_that_cannot_be_used_are_wrong_usage(
    text: str, says: str, waivers: Path, run_contracts: RunContracts
) -> None:
    waivers.write_text(text, "utf-8")

    status, out, err = run_contracts("check", "event.json", "--waivers", waivers)

    assert status == 2
    assert says in err
    assert out == ""


def test_a_file_of_waivers_that_is_not_there_is_wrong_usage(waivers: Path, run_contracts: RunContracts) -> None:
    status, _, err = run_contracts("check", "event.json", "--waivers", waivers)

    assert status == 2
    assert "cannot read waivers.toml: No such file or directory" in err


def test_explain_prints_an_entry_that_only_lacks_who_and_why(waivers: Path, run_contracts: RunContracts) -> None:
    _, ready, _ = run_contracts("explain", "cadence/enum", "--waiver")
    assert "no 'reason'" not in ready
    waivers.write_text(ready.replace('""', '"said"'), "utf-8")

    status, out, _ = run_contracts("check", "event.json", "--waivers", waivers)

    assert status == 0
    in_90_days = datetime.now(UTC).date() + timedelta(days=90)
    assert f"waived by said, until {in_90_days}: said" in out


def test_every_rule_that_a_run_can_break_is_known_and_explained(run_contracts: RunContracts) -> None:
    for rule in ("waiver/unused", "waiver/expired", "fixture/breaks", "emitter/flood", "cadence/enum"):
        assert rule in known_rules()
        status, out, _ = run_contracts("explain", rule)
        assert status == 0
        assert known_rules()[rule].expected in out


def test_only_a_waiver_for_every_place_covers_findings_that_are_only_counted() -> None:
    payload = json.loads(SPEC_EXAMPLE) | {f"k{number}": 1 for number in range(500)}
    result = check(json.dumps(payload).encode())

    def waiver_of(**more: str) -> Waiver:
        text = entry("payload/additionalProperties", **more)
        (waiver,) = parse_waivers(text, where="waivers.toml", rules={"payload/additionalProperties"})
        return waiver

    narrow = waiver_of(pointer="/k0")
    broad = waiver_of()

    tally = Tally()
    for waiver in (narrow, broad):
        tally.add(Policy(waivers=(waiver,)).judge(result))

    assert not Policy(waivers=(narrow,)).judge(result).passes
    assert Policy(waivers=(broad,)).judge(result).passes
    assert (tally.payloads, tally.failed, tally.errors, tally.waived, tally.omitted) == (2, 1, 499, 501, 800)


def test_a_rule_that_is_not_selected_fails_nothing_beyond_the_limit_either() -> None:
    payload = json.loads(SPEC_EXAMPLE) | {f"k{number}": 1 for number in range(500)}
    verdict = Policy(ignore=("payload/*",)).judge(check(json.dumps(payload).encode()))

    assert (verdict.passes, verdict.findings, verdict.omitted) == (True, (), {})
