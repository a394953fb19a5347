"""Observe a Python callable: `py:package.module:name`, called with a scenario's values."""

from __future__ import annotations

import inspect
import json
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from contracts.errors import BadInput
from contracts.model.violation import show
from contracts.observe.observation import Observation, Observed, broken


def observe_callable(target: str, placeholders: Mapping[str, str], *, timeout_s: float) -> Observed:
    """Call `package.module:name` with those placeholders that it has parameters for.

    What it returns is the event: bytes or text as they are, anything else as JSON.

    Raises:
        BadInput: it cannot be imported, or needs a parameter that nothing fills.
    """
    call = _find(target)
    arguments = _arguments(call, target, placeholders)
    returned: list[bytes | None] = []
    raised: list[str] = []

    def run() -> None:
        try:
            value = call(**arguments)
            returned.append(None if value is None else _as_bytes(value))
        except BaseException as error:  # noqa: BLE001 - any exception of an emitter is a finding, SystemExit too
            raised.append(f"{type(error).__name__}: {error}")

    started_at = datetime.now(UTC)
    worker = threading.Thread(target=run, daemon=True, name=f"emitter {target}")
    worker.start()
    worker.join(timeout_s)
    ended_at = datetime.now(UTC)
    if worker.is_alive():
        late = broken("emitter/time-limit", f"it had not returned after {timeout_s:g} s")
        return Observed((), (late,), started_at, ended_at)
    if raised:
        return Observed((), (broken("emitter/raises", show(raised[0])),), started_at, ended_at)
    raw = returned[0]
    if raw is None or not raw.strip():
        found = "None" if raw is None else "blank text"
        return Observed((), (broken("emitter/nothing", found),), started_at, ended_at)
    return Observed((Observation(raw, target),), (), started_at, ended_at)


def _find(target: str) -> Callable[..., Any]:
    module, _, name = target.partition(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(import_module(module), name)
    except Exception as error:  # noqa: BLE001 - a module may raise anything while it is imported
        raise BadInput(f"cannot import py:{target}: {error}\n  expected py:package.module:callable") from None
    if not callable(found):
        raise BadInput(f"py:{target} is {type(found).__name__}, expected a callable")
    result: Callable[..., Any] = found
    return result


def _arguments(call: Callable[..., Any], target: str, placeholders: Mapping[str, str]) -> dict[str, str]:
    try:
        parameters = inspect.signature(call).parameters.values()
    except (TypeError, ValueError) as error:  # some built-ins have no signature
        raise BadInput(f"cannot read the signature of py:{target}: {error}") from None
    if any(each.kind is each.VAR_KEYWORD for each in parameters):
        return dict(placeholders)
    named = [each for each in parameters if each.kind in {each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY}]
    unfilled = [each.name for each in named if each.default is each.empty and each.name not in placeholders]
    if unfilled:
        known = ", ".join(placeholders) or "none"
        raise BadInput(f"py:{target} needs {', '.join(unfilled)}, which nothing fills\n  known: {known}")
    return {each.name: placeholders[each.name] for each in named if each.name in placeholders}


def _as_bytes(returned: Any) -> bytes:
    if isinstance(returned, bytes):
        return returned
    if isinstance(returned, str):
        return returned.encode(errors="surrogatepass")
    return json.dumps(returned, ensure_ascii=False).encode(errors="surrogatepass")
