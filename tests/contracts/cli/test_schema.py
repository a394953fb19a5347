"""The documents that other programs read: what `contracts schema` prints is what it says it is."""

from __future__ import annotations

import json

import jsonschema_rs
import pytest
import schemathesis

from contracts import load_contract
from contracts.fixtures.corpus import cases
from tests.contracts.conftest import RunContracts


@pytest.mark.parametrize("contract", ["kaizen.schedule.prepared", "kaizen.schedule.archived"])
def test_the_printed_schema_of_an_event_accepts_the_golden_payloads(contract: str, run_contracts: RunContracts) -> None:
    status, printed, _ = run_contracts("schema", "contract", contract)

    assert status == 0
    validator = jsonschema_rs.Draft202012Validator(json.loads(printed))
    assert all(validator.is_valid(json.loads(case.raw)) for case in cases(load_contract(contract).name, "valid"))


@pytest.mark.parametrize("words", [("report",), ("config",)])
def test_the_other_schemas_are_json_schemas(words: tuple[str, ...], run_contracts: RunContracts) -> None:
    status, printed, _ = run_contracts("schema", *words)

    assert status == 0
    jsonschema_rs.meta.validate(json.loads(printed))


def test_the_openapi_document_describes_an_endpoint_that_returns_the_event(run_contracts: RunContracts) -> None:
    status, printed, _ = run_contracts("schema", "openapi", "kaizen.schedule.prepared", "--path", "/runs/prepared")

    assert status == 0
    (operation,) = (each.ok() for each in schemathesis.openapi.from_dict(json.loads(printed)).get_all_operations())
    assert (operation.method.upper(), operation.path) == ("GET", "/runs/prepared")


def test_a_path_that_is_none_is_refused(run_contracts: RunContracts) -> None:
    status, _, why = run_contracts("schema", "openapi", "kaizen.schedule.prepared", "--path", "prepared")

    assert status == 2
    assert "does not start with '/'" in why
