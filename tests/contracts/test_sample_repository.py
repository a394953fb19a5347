"""Somebody else's repository with one line of configuration: red with each faulty emitter, for exactly its fault."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from archiver.embedded import NatsServer
from contracts.config import EmitterConfig
from contracts.observe.suite import group_of
from tests.inner_pytest import EMITTERS, Run, emitter, scenarios

SUBJECT = "kaizen.schedule.>"


def faults() -> dict[str, dict[str, Any]]:
    """Every faulty emitter with its expect.toml, as far as the configuration file can describe where it speaks."""
    told = {
        path.parent.name: tomllib.loads(path.read_text("utf-8"))
        for path in sorted((EMITTERS / "faulty").glob("*/expect.toml"))
    }
    has_streams = "stream" in {each.name for each in fields(EmitterConfig)}
    return {
        name: each
        for name, each in told.items()
        if has_streams or not any(rule.startswith("headers/") for rule in each["breaks"])
    }


def table(name: str, expected: dict[str, Any], nats_url: str) -> str:
    entries = {"program": "kaizen-agentic", "scenarios": expected["scenario"], "timeout": expected.get("timeout", 30)}
    if expected.get("transport") == "nats":
        command = emitter(name).removeprefix("cmd:")
        entries |= {"uri": f"{nats_url}/{SUBJECT}", "trigger": command, "env": {"NATS_URL": nats_url}}
    else:
        entries["uri"] = emitter(name)
    lines = (f"{key} = {_toml(value)}" for key, value in entries.items())
    return "\n".join([f"[tool.contracts.emitters.{name}]", *lines, ""])


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
    sample: Path, run: Run, nats_server: NatsServer
) -> None:
    every = faults()
    for scenario in {each["scenario"] for each in every.values()}:
        scenarios(sample / scenario, scenario)
    project = sample / "pyproject.toml"
    project.write_text(project.read_text() + "\n" + "\n".join(table(*each, nats_server.url) for each in every.items()))

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
