"""`contracts replay` shows a plan; with --execute, what the plan says is what arrives."""

from __future__ import annotations

from tests.contracts.conftest import RunContracts
from tests.contracts.rehearsal.conftest import SUBJECT, Staging


def test_the_golden_fixtures_are_replayed_where_no_source_is_named(
    rehearsal: Staging, run_contracts: RunContracts
) -> None:
    status, out, err = run_contracts("replay", "staging", "--execute")

    assert status == 0, err
    assert "41 messages" in out
    stored = rehearsal.messages()
    assert {message.subject for message in stored} == {f"staging.{SUBJECT}"}
    assert len(stored) == 41
