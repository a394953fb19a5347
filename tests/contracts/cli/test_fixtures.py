"""`contracts fixtures`: what is listed, and that each verb explains itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from contracts.fixtures.corpus import cases
from tests.support.payloads import ARCHIVED, PREPARED

ROOT = Path(__file__).resolve().parents[3]


def test_every_fixture_is_listed_with_what_it_breaks_and_why(run_contracts: Any) -> None:
    status, out, _ = run_contracts("fixtures", "list", "--json")

    listed = {(each["contract"], f"{each['folder']}/{each['name']}"): each for each in json.loads(out)}
    known = [case for contract in (ARCHIVED, PREPARED) for case in cases(contract)]
    assert status == 0
    assert listed.keys() == {(case.contract, case.name) for case in known}
    for case in known:
        entry = listed[case.contract, case.name]
        assert (set(entry["breaks"]), entry["why"], Path(entry["path"])) == (case.breaks, case.why, case.path)


def test_the_table_names_one_contract_where_one_is_asked_for(run_contracts: Any) -> None:
    status, out, _ = run_contracts("fixtures", "list", "--contract", "kaizen.schedule.archived")

    assert status == 0
    assert PREPARED not in out
    assert any("cadence/enum" in line and "the table has three" in line for line in out.splitlines())


def test_an_unknown_contract_is_named_with_the_nearest(run_contracts: Any) -> None:
    for verb in ("list", "coverage", "mutate", "verify"):
        status, _, err = run_contracts("fixtures", verb, "--contract", "kaizen.schedule.prepare")

        assert status == 2
        assert "did you mean 'kaizen.schedule.prepared'?" in err


def test_a_check_does_not_pay_for_the_fixtures_verbs() -> None:
    code = "import sys, contracts.cli.check; print([name for name in sys.modules if name.startswith('contracts.mut')])"

    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert said == "[]\n"
