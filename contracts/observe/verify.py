"""Verify an emitter: observe it for each scenario, and apply one set of checks to all that was seen."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from contracts.checker import Result, check
from contracts.emit.payload import FLAGS
from contracts.emit.program import BrokenPrepareOutput, PrepareCommand
from contracts.errors import BadInput
from contracts.fixtures.corpus import ROOT
from contracts.model.identity import event_key
from contracts.model.secrets import mask
from contracts.model.url import endpoint, origin
from contracts.model.violation import Severity, Violation, show
from contracts.observe.command import observe_command, run_trigger
from contracts.observe.files import observe_files
from contracts.observe.golden import compare
from contracts.observe.observation import Observation, Observed, broken
from contracts.observe.python_callable import observe_callable
from contracts.observe.scenarios import Scenario, Stage, staged
from contracts.rules.registry import Contract

if TYPE_CHECKING:  # `contracts verify-emitter cmd:…` works without the extra `nats`
    from contracts.bus.access import NatsAccess

_PREPARE_WITHIN_S: Final = 30.0
"""Of the program that an emitter is compared with; the emitter's own limit may be shorter."""
SCHEMES: Final = ("cmd", "nats", "tls", "file", "http", "https", "py", "-")


@dataclass(frozen=True, slots=True)
class Emitter:
    """One emitter and how to trigger it. `uri` is its transport and address; times are seconds.

    `program` is the prepare command to compare with; None compares with nothing but the golden event.
    """

    uri: str
    timeout_s: float = 30.0
    trigger: str | None = None
    count: int = 1
    correlate: tuple[tuple[str, str], ...] = ()
    stream: str | None = None
    from_sequence: int | None = None
    program: str | None = None
    openapi: str | None = None
    nats: NatsAccess | None = None
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def scheme(self) -> str:
        """The part before the colon, or '-'."""
        scheme = "-" if self.uri == "-" else self.uri.partition(":")[0]
        if scheme not in SCHEMES or (scheme != "-" and ":" not in self.uri):
            raise BadInput(
                f"{mask(self.uri)!r} is no URI of an emitter\n"
                "  expected cmd:PROGRAM …, nats://HOST/SUBJECT, file:PATH, http(s)://…, py:package.module:callable or -"
            )
        return scheme

    @property
    def target(self) -> str:
        """The part after the colon."""
        return self.uri.partition(":")[2]

    @property
    def takes_scenarios(self) -> bool:
        """Whether it is run once for each scenario: it has `{placeholders}` to fill, or is a callable."""
        return self.scheme == "py" or "{" in (self.trigger or "") or (self.scheme != "file" and "{" in self.uri)

    @property
    def shown(self) -> str:
        """The URI as it may be shown; without the credentials of a URL."""
        if self.scheme in {"http", "https"}:
            return endpoint(self.uri)
        if self.scheme in {"nats", "tls"}:
            place = self.nats.place if self.nats else origin(self.uri)
            return f"{place}/{self.uri.partition('://')[2].partition('/')[2]}"
        return self.uri

    def reproduce(self, scenario: Scenario | None) -> str:
        """The command that makes one check alone."""
        words = ["contracts", "verify-emitter", self.shown]
        if scenario is not None:
            words += ["--scenario", scenario.name]
            if not scenario.folder.is_relative_to(ROOT):
                words += ["--scenarios", str(scenario.folder.parent)]
        options = {
            "--timeout": None if self.timeout_s == 30 else f"{self.timeout_s:g}",
            "--count": None if self.count == 1 else self.count,
            "--creds": self.nats and self.nats.creds_file,
            "--nkey": self.nats and self.nats.nkey_seed_file,
            "--ca": self.nats and self.nats.ca_file,
            "--trigger": self.trigger,
            "--program": self.program,
            "--openapi": self.openapi and endpoint(self.openapi),
            "--stream": self.stream,
            "--from-seq": self.from_sequence,
        }
        words += [str(each) for name, value in options.items() if value is not None for each in (name, value)]
        words += [each for at, value in self.correlate for each in ("--correlate", f"{at}={value}")]
        return shlex.join(words)


def verify(emitter: Emitter, contract: Contract, scenarios: list[Scenario]) -> Iterator[tuple[int, Result]]:
    """Yield (events observed, result) for each scenario, or once where the emitter takes none.

    Raises:
        Unreachable: the place where it speaks cannot be reached.
        BadInput: it cannot be run as asked.
    """
    for scenario in scenarios if emitter.takes_scenarios else [None]:
        with staged(scenario) if scenario else nullcontext() as stage:
            observed = observe(emitter, stage)
            for count, result in _results(emitter, contract, stage, observed):
                fixture = scenario.golden_path if scenario else None
                yield count, result._replace(fixture=fixture, reproduce=emitter.reproduce(scenario))


def observe(emitter: Emitter, stage: Stage | None = None) -> Observed:
    """Observe an emitter once, over its transport."""
    placeholders = stage.placeholders() if stage else {}
    match emitter.scheme:
        case "cmd":
            return observe_command(emitter.target, placeholders, timeout_s=emitter.timeout_s, env=emitter.env)
        case "py":
            return observe_callable(emitter.target, placeholders, timeout_s=emitter.timeout_s)
        case "nats" | "tls":
            return _observe_subject(emitter, placeholders)
        case "http" | "https":
            from contracts.observe.http_endpoint import observe_http  # noqa: PLC0415 - needs an extra

            return observe_http(_url(emitter.uri, placeholders), emitter.openapi, timeout_s=emitter.timeout_s)
        case "file":
            return observe_files(emitter.target)
        case _:
            return observe_files("-")


def _url(uri: str, placeholders: Mapping[str, str]) -> str:
    quoted = {name: quote(value, safe="") for name, value in placeholders.items()}
    try:
        unknown = {name for _, name, _, _ in Formatter().parse(uri) if name is not None} - quoted.keys()
        if not unknown:
            return uri.format_map(quoted)
    except ValueError as error:
        raise BadInput(f"cannot read the URL {endpoint(uri)!r}: {error}") from None
    known = ", ".join(f"{{{name}}}" for name in quoted) or "none: no scenario was given"
    raise BadInput(f"nothing fills {{{min(unknown)}}} in {endpoint(uri)!r}\n  known here: {known}")


def _observe_subject(emitter: Emitter, placeholders: Mapping[str, str]) -> Observed:
    from contracts.observe.nats_subject import Watch, observe_subject  # noqa: PLC0415 - needs an extra

    if emitter.nats is None:
        raise BadInput("nothing names a NATS server; expected nats://HOST:PORT/SUBJECT, NATS_URL or NATS_CONTEXT")
    subject = emitter.uri.partition("://")[2].partition("/")[2]
    if not subject:
        raise BadInput(f"{emitter.shown!r} names no subject; expected nats://HOST:PORT/SUBJECT")
    watch = Watch(
        subject=subject,
        timeout_s=emitter.timeout_s,
        count=emitter.count,
        correlate=emitter.correlate,
        stream=emitter.stream,
        from_sequence=emitter.from_sequence,
    )
    return observe_subject(emitter.nats, watch, _trigger(emitter, placeholders))


def _trigger(emitter: Emitter, placeholders: Mapping[str, str]) -> Callable[[], list[Violation]] | None:
    command = emitter.trigger
    if command is None:
        return None
    return lambda: run_trigger(command, placeholders, timeout_s=emitter.timeout_s, env=emitter.env)


def _results(
    emitter: Emitter, contract: Contract, stage: Stage | None, observed: Observed
) -> Iterator[tuple[int, Result]]:
    label = emitter.scheme + (f"[{stage.scenario.name}]" if stage else "")
    if not observed.observations:
        yield 0, Result(label, contract.name, None, observed.violations)
        return
    behaviour = observed.violations
    for observation in observed.observations:
        source = f"{label} {observation.where}"
        result = check(observation.raw, source=source, contract=contract, profile="emitter")
        more = list(_transport(observation, result, contract))
        if stage is not None and isinstance(result.payload, dict):
            more += _golden(stage, result.payload, observed)
            more += _prepare(emitter, stage, result.payload)
        # A place that breaks the contract needs no second finding that it also differs.
        at_fault = {each.pointer for each in result.violations if each.severity is Severity.ERROR}
        more = [each for each in more if not each.pointer or each.pointer not in at_fault]
        yield 1, result._replace(violations=(*behaviour, *result.violations, *more))
        behaviour = ()


def _transport(observation: Observation, result: Result, contract: Contract) -> Iterator[Violation]:
    if observation.subject is not None and observation.subject != contract.subject:
        yield broken("subject/event", show(observation.subject), expected=f"the subject {contract.subject!r}")
    if not observation.is_confirmed or not isinstance(result.payload, dict):
        return
    told, key = observation.headers.get("Nats-Msg-Id"), event_key(result.payload)
    if told is None:
        yield broken("headers/message-id-missing", "no Nats-Msg-Id", expected=f"Nats-Msg-Id: {key}")
    elif told != key:
        yield broken("headers/message-id", show(told), expected=f"Nats-Msg-Id: {key}")


def _golden(stage: Stage, event: Mapping[str, Any], observed: Observed) -> list[Violation]:
    path = stage.scenario.golden_path
    if not path.is_file():
        record = f"contracts fixtures record URI --into {stage.scenario.folder.parent} --emitter-version VERSION"
        return [broken("golden/missing", f"nothing at {path}; record it: {record}")]
    try:
        golden = json.loads(path.read_bytes())
    except ValueError as error:
        raise BadInput(f"the golden event {path} is not JSON: {error}") from None
    if not isinstance(golden, dict):
        raise BadInput(f"the golden event {path} is not a JSON object")
    return list(compare(event, golden, root=str(stage.root), observed=observed))


def _prepare(emitter: Emitter, stage: Stage, event: Mapping[str, Any]) -> list[Violation]:
    """Compare with the output of the prepare command for the same checkout."""
    if emitter.program is None:
        return []
    scenario = stage.scenario
    program = PrepareCommand.find(emitter.program, agent=scenario.agent, root=str(stage.root), format=scenario.format)
    limit_s = max(emitter.timeout_s, _PREPARE_WITHIN_S)
    document = program.document(timeout_s=limit_s)
    if not isinstance(document, dict):
        raise BrokenPrepareOutput(program.text, f"the prepare command printed {show(document)}")
    with Path(os.devnull).open("wb") as sink:
        size = program.run(sink, timeout_s=limit_s)
    said = event.get("bundle")
    if not isinstance(said, dict):
        return []
    found = [
        broken("prepare/flags", show(said[flag]), at=f"/bundle/{flag}", expected=show(document.get(flag)))
        for flag in FLAGS
        if flag in said and said[flag] != document.get(flag)
    ]
    if "bytes" in said and said["bytes"] != size:
        found.append(broken("prepare/bytes", show(said["bytes"]), at="/bundle/bytes", expected=str(size)))
    return found


def parse_correlation(text: str) -> tuple[str, str]:
    """Read `/agent=coach` as (pointer, value).

    Raises:
        BadInput: it is not that.
    """
    at, equals, value = text.partition("=")
    if not equals or not at.startswith("/"):
        raise BadInput(f"--correlate {text!r} is not POINTER=VALUE, for example /agent=coach")
    return at, value
