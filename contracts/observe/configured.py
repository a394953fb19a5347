"""Emitters as the configuration file names them, ready to observe."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack, chdir, nullcontext
from dataclasses import fields, replace
from typing import Any, Final

from contracts.bus.access import NatsAccess
from contracts.config.values import Config, EmitterConfig
from contracts.errors import BadInput
from contracts.model.did_you_mean import nearest
from contracts.observe.observation import Observed
from contracts.observe.scenarios import Scenario, load_scenarios, staged
from contracts.observe.verify import Emitter, observe, parse_correlation
from contracts.rules.registry import Contract, load_contract

DEFAULT_CONTRACT: Final = "kaizen.schedule.prepared"
"""The contract of an emitter by default."""


def contract_of(config: Config) -> Contract:
    """Return the contract that the emitters of a configuration must keep."""
    return load_contract(config.contract or DEFAULT_CONTRACT)


def emitter_of(told: EmitterConfig, environment: Mapping[str, str]) -> Emitter:
    """Return the emitter that a table of the configuration describes.

    Raises:
        BadInput: a URI or correlation that cannot be read.
    """
    emitter = Emitter(
        uri=told.uri,
        timeout_s=told.timeout or 30.0,
        trigger=told.trigger,
        count=told.count or 1,
        correlate=(parse_correlation(told.correlate),) if told.correlate else (),
        program=told.program,
        stream=told.stream,
        openapi=told.openapi,
        env=told.env,
    )
    if emitter.scheme in {"nats", "tls"}:
        return replace(emitter, nats=NatsAccess.from_environment(environment, url=told.uri))
    return emitter


def scenarios_of(config: Config, told: EmitterConfig) -> list[Scenario]:
    """Return the scenarios of an emitter: those of its folder, or those that ship with the contract."""
    return load_scenarios(contract_of(config).name, config.resolve(told.scenarios) if told.scenarios else None)


def at_home(config: Config) -> AbstractContextManager[None]:
    """Work in the folder of the configuration file meanwhile: the commands in it are written from there."""
    return chdir(config.path.parent) if config.path else nullcontext()


def run_once(
    config: Config, emitter: str, scenario: str | None, settings: Mapping[str, Any], stages: ExitStack
) -> Observed:
    """Observe an emitter once, configured or by its URI; the scenario's checkout stays until `stages` closes.

    Raises:
        BadInput: no such emitter, scenario or setting, or an emitter that takes a scenario and gets none.
        Unreachable: the place where it speaks cannot be reached.
    """
    known = [each.name for each in fields(EmitterConfig)]
    for name in settings:
        if name not in known:
            near = nearest(name, known)
            raise BadInput(f"no setting {name!r}; " + (f"did you mean {near!r}?" if near else f"known: {known}"))
    told = EmitterConfig(emitter) if _is_uri(emitter) else config.emitter(emitter, os.environ)
    told = EmitterConfig(**{name: getattr(told, name) for name in known} | dict(settings))
    chosen = emitter_of(told, os.environ)
    if chosen.takes_scenarios and scenario is None:
        names = ", ".join(each.name for each in scenarios_of(config, told))
        raise BadInput(f"{emitter!r} is run for a scenario, and none was named\n  there: {names}")
    stage = None
    if scenario is not None:
        found = {each.name: each for each in scenarios_of(config, told)}
        if scenario not in found:
            near = nearest(scenario, found)
            hint = f"; did you mean {near!r}?" if near else ""
            raise BadInput(f"no scenario {scenario!r}{hint}\n  there: {', '.join(found)}")
        stage = stages.enter_context(staged(found[scenario]))
    with at_home(config):
        return observe(chosen, stage)


def _is_uri(emitter: str) -> bool:
    return emitter == "-" or ":" in emitter
