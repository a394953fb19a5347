"""Somebody else's repository with one line of configuration: red with each faulty emitter, for exactly its fault."""

from __future__ import annotations

import asyncio
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from archiver.dev_servers import NatsServer
from contracts.observe.suite import group_of
from contracts.toolkit import NatsAccess, close_nats, connect_nats
from tests.support.inner_pytest import EMITTERS, Run, emitter, scenarios
from tests.support.servers import require_binary

SUBJECT = "kaizen.schedule.>"
STREAM = "KAIZEN_SCHEDULE"


def faults() -> dict[str, dict[str, Any]]:
    """Every faulty emitter with its expect.toml."""
    return {
        path.parent.name: tomllib.loads(path.read_text("utf-8"))
        for path in sorted((EMITTERS / "faulty").glob("*/expect.toml"))
    }


def table(name: str, expected: dict[str, Any], nats_url: str) -> str:
    entries = {"program": "kaizen-agentic", "scenarios": expected["scenario"], "timeout": expected.get("timeout", 30)}
    if expected.get("transport") == "nats":
        command = emitter(name).removeprefix("cmd:")
        entries |= {"uri": f"{nats_url}/{SUBJECT}", "trigger": command, "env": {"NATS_URL": nats_url}}
        entries["stream"] = STREAM
    else:
        entries["uri"] = emitter(name)
    lines = (f"{key} = {_toml(value)}" for key, value in entries.items())
    return "\n".join([f"[tool.contracts.emitters.{name}]", *lines, ""])


async def make_stream(url: str) -> None:
    client = await connect_nats(NatsAccess(url), name="test")
    await client.jetstream().add_stream(name=STREAM, subjects=[SUBJECT])
    await close_nats(client)


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[NatsServer]:
    require_binary(NatsServer.binary)
    with NatsServer(tmp_path / "nats") as server:
        asyncio.run(make_stream(server.url))
        yield server


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {json.dumps(each)}" for key, each in value.items()) + "}"
    return json.dumps(value)


def found(report: Path) -> Iterator[tuple[str, str, set[str], bool]]:
    """Yield (emitter, group, rules, whether it failed) of each contract item in a JUnit file."""
    for case in ET.parse(report).iter("testcase"):
        told = [(each.get("name"), each.get("value", "")) for each in case.iter("property")]
        values = dict(told)
        if "contracts_emitter" in values:
            rules = {value for name, value in told if name == "contracts_rule"}
            yield values["contracts_emitter"], values["contracts_group"], rules, case.find("failure") is not None


def test_the_sample_repository_is_red_with_each_faulty_emitter_for_its_fault_alone(
    sample: Path, run: Run, bus: NatsServer
) -> None:
    every = faults()
    for scenario in {each["scenario"] for each in every.values()}:
        scenarios(sample / scenario, scenario)
    project = sample / "pyproject.toml"
    project.write_text(project.read_text() + "\n" + "\n".join(table(*each, bus.url) for each in every.items()))

    run("-m", "contracts", "--junit-xml=junit.xml", "--tb=no", "-q", "--contracts-require", str(len(every)))

    items = list(found(sample / "junit.xml"))
    told: dict[str, set[str]] = {name: set() for name in ("runner", *every)}
    failed: dict[str, set[str]] = {name: set() for name in told}
    for name, group, rules, is_failed in items:
        told[name] |= rules
        assert {group_of(rule) for rule in rules} <= {group}
        if is_failed:
            failed[name].add(group)

    assert told == {"runner": set()} | {name: set(each["breaks"]) for name, each in every.items()}
    assert not failed.pop("runner")
    for name, each in every.items():
        if each.get("fail_on") != "warning":
            assert {group_of(rule) for rule in each["breaks"]} <= failed[name], name
