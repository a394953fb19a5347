"""Observe a program: its output, exit status, standard error and duration."""

from __future__ import annotations

import io
import os
import shlex
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from string import Formatter

from contracts.emit.process import Finished, run_program
from contracts.errors import BadInput
from contracts.model.counted import counted
from contracts.model.secrets import may_be_secret
from contracts.model.violation import Violation
from contracts.observe.observation import Observation, Observed, broken, split_events

_MOST_BYTES = 1 << 20  # sixteen times the contract's limit: enough to show what it is, not enough to hurt


def fill(template: str, placeholders: Mapping[str, str]) -> list[str]:
    """Split a command template into words and fill its `{placeholders}`; values never become more words.

    Raises:
        BadInput: unbalanced quotes, or a placeholder that nothing fills; names those that are.
    """
    try:
        words = shlex.split(template)
        return [word.format_map(placeholders) for word in words]
    except KeyError as error:
        names = {name for word in shlex.split(template) for _, name, _, _ in Formatter().parse(word) if name}
        unknown = ", ".join(f"{{{name}}}" for name in sorted(names - placeholders.keys()))
        known = ", ".join(f"{{{name}}}" for name in placeholders) or "none: no scenario was given"
        raise BadInput(f"nothing fills {unknown or error} in {template!r}\n  known here: {known}") from None
    except (ValueError, LookupError, AttributeError, TypeError) as error:
        raise BadInput(f"cannot read the command {template!r}: {error}") from None


def observe_command(
    template: str, placeholders: Mapping[str, str], *, timeout_s: float, env: Mapping[str, str] | None = None
) -> Observed:
    """Run a program that prints the event, and observe it; `env` is added to our own environment."""
    words = fill(template, placeholders)
    if not words:
        raise BadInput("cmd: needs a command, for example 'cmd:my-emitter --agent {agent} --root {root}'")
    sink = io.BytesIO()
    started_at = datetime.now(UTC)
    done = run_program(words, sink, timeout_s=timeout_s, max_bytes=_MOST_BYTES, env=os.environ | (env or {}))
    ended_at = datetime.now(UTC)
    behaviour = list(_behaviour(done, timeout_s))
    if done.flooded or done.late:
        return Observed((), tuple(behaviour), started_at, ended_at)
    events = split_events(sink.getvalue())
    where = f"standard output of {shlex.join(words[:1])}"
    if not events and not behaviour:
        behaviour.append(broken("emitter/nothing", f"nothing on standard output{done.stderr_tail()}"))
    if len(events) > 1:
        behaviour.append(broken("emitter/one-event", counted(len(events), "event")))
    return Observed(tuple(Observation(raw, where) for raw in events), tuple(behaviour), started_at, ended_at)


def run_trigger(
    template: str, placeholders: Mapping[str, str], *, timeout_s: float, env: Mapping[str, str] | None = None
) -> list[Violation]:
    """Run a command that makes an emitter publish elsewhere; only its exit status and standard error are checked."""
    with Path(os.devnull).open("wb") as sink:
        done = run_program(fill(template, placeholders), sink, timeout_s=timeout_s, env=os.environ | (env or {}))
    return list(_behaviour(done, timeout_s))


def _behaviour(done: Finished, timeout_s: float) -> Iterator[Violation]:
    if done.late:
        yield broken("emitter/time-limit", f"it was still running after {timeout_s:g} s{_safe_tail(done)}")
    elif done.flooded:
        yield broken("emitter/flood", f"more than {_MOST_BYTES} bytes on standard output")
    elif done.status != 0:
        how = f"signal {-done.status}" if done.status < 0 else f"exit status {done.status}"
        yield broken("emitter/exit-status", f"{how}{_safe_tail(done)}")
    if any(may_be_secret(line) for line in done.stderr.splitlines()):
        yield broken("emitter/stderr-secret", "a possible secret (not shown)")


def _safe_tail(done: Finished) -> str:
    if any(may_be_secret(line) for line in done.stderr.splitlines()):
        return "\n  its standard error is not shown, since it may hold a secret"
    return done.stderr_tail()
