"""The plugin's fixtures. A project that has one of the same name keeps its own."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from contracts.bus.server import NatsServer
    from contracts.config.values import Config
    from contracts.observe.observation import Observation
    from contracts.rules.registry import Contract

CONFIGURATION = pytest.StashKey[Path]()
"""Where the plugin found the configuration file, if there is one."""


@pytest.fixture(scope="session")
def contract(pytestconfig: pytest.Config) -> Contract:
    """Return the contract that the configuration names; without one, the newest kaizen.schedule.prepared."""
    from contracts.observe.configured import contract_of

    return contract_of(_config(pytestconfig))


@pytest.fixture(scope="session")
def golden(contract: Contract) -> Callable[[str], dict[str, Any]]:
    """Return a function: `golden("spec-example")` is that golden payload, new at every call.

    It knows the contract's valid fixtures, and the golden events of its scenarios by the scenario's name.
    """
    from contracts.fixtures.corpus import folder
    from contracts.model.did_you_mean import nearest

    home = folder(contract.name)
    paths = {path.stem: path for path in sorted((home / "valid").glob("*.json"))}
    paths |= {path.parent.name: path for path in sorted((home / "scenarios").glob("*/event.json"))}

    def read(name: str) -> dict[str, Any]:
        if name not in paths:
            near = nearest(name, paths)
            hint = f"; did you mean {near!r}?" if near else ""
            pytest.fail(f"no golden payload {name!r}{hint}\n  there: {', '.join(paths)}", pytrace=False)
        payload: dict[str, Any] = json.loads(paths[name].read_bytes())
        return payload

    return read


@pytest.fixture(scope="session")
def payloads(contract: Contract) -> Any:
    """Return a Hypothesis strategy of payloads that keep the contract."""
    try:
        import hypothesis  # noqa: F401 - imported here, so that the error message names the extra
    except ImportError:
        pytest.fail("the fixture payloads needs Hypothesis\n  pip install hypothesis", pytrace=False)
    from contracts.fixtures.generate import payloads as strategy

    return strategy(contract)


@pytest.fixture
def emit(pytestconfig: pytest.Config) -> Iterator[Callable[..., tuple[Observation, ...]]]:
    """Return a function that runs an emitter and returns the events it was seen to emit.

    `emit("runner", "weekly-markdown")` runs a configured emitter for a scenario; a URI such as `cmd:…` stands
    for itself, and further keywords are those of `[emitters.NAME]`. An event has `raw`, `subject` and `headers`.
    The scenario's private checkout stays until the test ends. An emitter that misbehaves fails the test.
    """
    from contracts.observe.configured import run_once

    with ExitStack() as stages:

        def run(emitter: str, scenario: str | None = None, **settings: Any) -> tuple[Observation, ...]:
            __tracebackhide__ = True
            observed = run_once(_config(pytestconfig), emitter, scenario, settings, stages)
            if observed.violations:
                pytest.fail("\n".join(map(str, observed.violations)), pytrace=False)
            return observed.observations

        yield run


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """Start a real nats-server with JetStream on a free port; `url` includes the password."""
    from contracts.bus.server import NatsServer
    from contracts.errors import KitError

    server = NatsServer(tmp_path_factory.mktemp("nats-server"))
    try:
        server.start()
    except KitError as error:
        pytest.fail(str(error), pytrace=False)
    try:
        yield server
    finally:
        server.stop()


def _config(pytestconfig: pytest.Config) -> Config:
    from contracts.config.values import Config, read_config

    path = pytestconfig.stash.get(CONFIGURATION, None)
    return read_config(path, os.environ) if path else Config()
