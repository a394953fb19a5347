"""How what was found is judged; finding it, on real servers, is in tests/e2e/test_doctor.py."""

from __future__ import annotations

from dataclasses import replace

import pytest
from nats.js.api import ClusterInfo, StreamConfig, StreamInfo, StreamState

from archiver.bus.setup import replicas
from archiver.core.capabilities import Capabilities
from archiver.core.health_checks import (
    Check,
    CheckState,
    LifecycleRule,
    capability_checks,
    clock_check,
    judged,
    lifecycle_checks,
    lock_check,
    span,
    versioning_check,
)

ABLE = Capabilities(create_only="honoured", checksum="verified", read_after_write=True, clock_skew_s=0.0)


@pytest.mark.parametrize(
    ("check", "said"),
    [
        (judged("discard", "new", "new", "loss", is_well=True), "discard: found new"),
        (judged("discard", "old", "new", "loss", is_well=False), "discard: found old, wanted new: loss"),
        (Check(CheckState.OK, "object lock", "off", consequence="so be it"), "object lock: found off: so be it"),
        (Check(CheckState.UNKNOWN, "sync", "not visible", "always", "loss"), "sync: not visible, wanted always: loss"),
        (Check(CheckState.FAILED, "connection", "refused"), "connection: refused"),
    ],
    ids=str,
)
def test_a_check_is_one_line(check: Check, said: str) -> None:
    assert str(check) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (0.1, "0.1 s"), (46.0, "46 s"), (60, "1 min"), (90, "90 s"), (7200, "2 h"), (86400.0, "1 d")],
)
def test_a_time_is_told_in_the_largest_unit_that_it_is_whole_in(seconds: float, said: str) -> None:
    assert span(seconds) == said


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"create_only": "ignored"}, "create-only writes"),
        ({"create_only": "refused"}, "create-only writes"),
        ({"checksum": "ignored"}, "upload checksums"),
        ({"checksum": "refused"}, "upload checksums"),
        ({"read_after_write": False}, "read after write"),
    ],
    ids=str,
)
def test_what_a_store_cannot_do_differs(changes: dict[str, object], name: str) -> None:
    differing = [each for each in capability_checks(replace(ABLE, **changes)) if each.verdict is CheckState.DIFFERS]

    assert [each.name for each in differing] == [name]
    assert differing[0].consequence


def test_a_store_that_can_do_it_all_is_well() -> None:
    assert {each.verdict for each in capability_checks(ABLE)} == {CheckState.OK}


@pytest.mark.parametrize(
    ("skew_s", "verdict", "found"),
    [
        (0.3, CheckState.OK, "0.3 s ahead of ours"),
        (-60.0, CheckState.OK, "60 s behind ours"),
        (1200.0, CheckState.DIFFERS, "1200 s ahead of ours"),
        (-61.0, CheckState.DIFFERS, "61 s behind ours"),
        (None, CheckState.UNKNOWN, "no answer with a time"),
    ],
)
def test_a_clock_may_be_a_minute_off(skew_s: float | None, verdict: CheckState, found: str) -> None:
    check = clock_check(skew_s, "refused")

    assert (check.verdict, check.found) == (verdict, found)


@pytest.mark.parametrize(
    ("rules", "differing"),
    [
        ([], []),
        ([LifecycleRule("", "after 9 d")], ["blobs/v1/sha256/", "refs/v1/"]),
        ([LifecycleRule("archive/", "after 9 d")], ["blobs/v1/sha256/", "refs/v1/"]),
        ([LifecycleRule("archive/refs/", "after 9 d")], ["refs/v1/"]),
        ([LifecycleRule("archive/blobs/v1/sha256/00/", "after 9 d")], ["blobs/v1/sha256/"]),
        ([LifecycleRule("blobs/", "after 9 d"), LifecycleRule("archive/probe/", "after 1 d")], []),
        ([LifecycleRule("", "", parts_after_days=1)], []),
    ],
    ids=str,
)
def test_a_rule_that_reaches_into_the_archive_differs(rules: list[LifecycleRule], differing: list[str]) -> None:
    checks = [each for each in lifecycle_checks(rules, "archive/") if each.verdict is CheckState.DIFFERS]

    assert [each.name.removeprefix("lifecycle of ") for each in checks] == differing


def test_what_rules_do_to_probes_conflicts_and_parts_is_told() -> None:
    rules = [LifecycleRule("probe/", "after 1 d"), LifecycleRule("", "", parts_after_days=7)]

    found = {each.name: each.found for each in lifecycle_checks(rules, "")}

    assert found["lifecycle of probe/v1/"] == "deleted after 1 d"
    assert found["lifecycle of conflicts/v1/"] == "kept"
    assert found["unfinished multipart uploads"] == "deleted after 7 d"


@pytest.mark.parametrize(
    ("found", "verdict"), [("Enabled", CheckState.OK), ("Suspended", CheckState.DIFFERS), ("Off", CheckState.DIFFERS)]
)
def test_a_bucket_has_to_keep_versions(found: str, verdict: CheckState) -> None:
    assert versioning_check(found).verdict is verdict


@pytest.mark.parametrize("found", ["off", "on", "GOVERNANCE for 30 days"])
def test_object_lock_is_the_operators_to_decide_and_is_told_with_what_it_leads_to(found: str) -> None:
    check = lock_check(found)

    assert check.verdict is CheckState.OK
    assert check.consequence


@pytest.mark.parametrize(
    ("cluster", "copies", "verdict"),
    [
        (None, 1, CheckState.OK),
        (ClusterInfo(leader="alone"), 1, CheckState.OK),
        (ClusterInfo(name="c1", leader="n1"), 1, CheckState.DIFFERS),
        (ClusterInfo(name="c1", leader="n1"), 3, CheckState.OK),
    ],
    ids=str,
)
def test_in_a_cluster_there_have_to_be_copies(cluster: ClusterInfo | None, copies: int, verdict: CheckState) -> None:
    state = StreamState(messages=0, bytes=0, first_seq=0, last_seq=0, consumer_count=0)
    there = StreamInfo(config=StreamConfig(name="S", num_replicas=copies), state=state, cluster=cluster)

    assert replicas(there).verdict is verdict
