"""Observe an HTTP endpoint that returns the event: one plain request, or many driven by schemathesis.

With an OpenAPI document, schemathesis makes the requests that the document allows and checks every answer
against it; the body of each answer is then held against the contract like any other event.
"""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from base64 import b64encode
from datetime import UTC, datetime
from http.client import IncompleteRead, InvalidURL
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit, urlunsplit

from contracts.errors import BadInput, Unreachable
from contracts.model.url import endpoint, has_stray_at
from contracts.model.violation import Violation, show
from contracts.observe.observation import Observation, Observed, broken

REQUESTS: Final = 25
"""How many requests schemathesis makes for one operation; the same ones in every run."""

_MOST_BYTES: Final = 1 << 20  # as of a program


def observe_http(url: str, openapi: str | None, *, timeout_s: float) -> Observed:
    """Ask the endpoint, and take each answer's body for an event; `timeout_s` bounds all of it.

    Raises:
        Unreachable: nothing answers there.
        BadInput: not a URL, or the OpenAPI document cannot be read or does not describe the endpoint.
    """
    where = endpoint(url)
    started_at = datetime.now(UTC)
    try:
        _request(url)  # what cannot be asked is refused before anything is
        answers, behaviour = _driven(url, openapi, timeout_s) if openapi else _plain(url, timeout_s)
    except TimeoutError:  # while it answers; what cannot be connected to is one of the others
        answers, behaviour = [], [_late(timeout_s)]
    except OSError as error:  # requests' errors and urllib's are OSErrors
        raise Unreachable("the endpoint", where, _reason(error)) from None
    except (ValueError, InvalidURL):
        raise BadInput(f"{where} is not a URL that can be asked") from None
    if not answers and not behaviour:
        behaviour.append(broken("emitter/nothing", "an empty answer"))
    observations = tuple(Observation(raw, where) for raw in answers)
    return Observed(observations, tuple(behaviour), started_at, datetime.now(UTC))


def _plain(url: str, timeout_s: float) -> tuple[list[bytes], list[Violation]]:
    try:
        with urllib.request.urlopen(_request(url), timeout=timeout_s) as answer:  # noqa: S310 - see `_request`
            body: bytes = answer.read(_MOST_BYTES + 1)
    except urllib.error.HTTPError as error:
        with error:
            return [], [broken("emitter/http-status", f"{error.code} {error.reason}")]
    except IncompleteRead as cut:
        body = cut.partial
    if len(body) > _MOST_BYTES:
        return [], [broken("emitter/flood", f"more than {_MOST_BYTES} bytes")]
    return [body] if body.strip() else [], []


def _request(url: str) -> urllib.request.Request:
    """Make a GET request, http(s) only by `Emitter.scheme`; user and password go into its header."""
    parts = urlsplit(url)
    if not parts.hostname or has_stray_at(url):
        raise ValueError("no host")
    place = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    request = urllib.request.Request(place)  # noqa: S310 - see above
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        request.add_header("Authorization", f"Basic {b64encode(login.encode()).decode()}")
    return request


def _driven(url: str, openapi: str, timeout_s: float) -> tuple[list[bytes], list[Violation]]:
    try:
        import hypothesis  # noqa: PLC0415 - an extra
        import requests  # noqa: PLC0415 - what schemathesis asks with
        import schemathesis  # noqa: PLC0415 - an extra
    except ImportError:
        raise BadInput("--openapi needs schemathesis\n  pip install 'kaizen-event-kit[http]'") from None
    document = _document(openapi, timeout_s)
    try:
        operation, base_url = _operation(schemathesis.openapi.from_dict(document), url)
    except schemathesis.errors.SchemathesisError as error:
        raise BadInput(f"cannot use the OpenAPI document {endpoint(openapi)}: {_first_lines(error)}") from None
    deadline = time.monotonic() + timeout_s
    answers: dict[bytes, None] = {}
    found: dict[str, Violation] = {}

    @hypothesis.settings(
        max_examples=REQUESTS,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],  # nothing to shrink: findings are kept, not raised
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy())
    def ask(case: Any) -> None:
        left = deadline - time.monotonic()
        try:
            response = case.call(base_url=base_url, timeout=max(left, 0.001))
        except requests.ReadTimeout:
            found.setdefault("late", _late(timeout_s))
            return
        try:
            case.validate_response(response)
        except (AssertionError, BaseExceptionGroup) as failure:  # schemathesis groups what it finds
            for each in getattr(failure, "exceptions", (failure,)):
                told = _first_lines(each)
                found.setdefault(told, broken("emitter/openapi", f"{told} ({case.method} {case.formatted_path})"))
        if 200 <= response.status_code < 300 and response.content.strip():
            answers.setdefault(response.content)

    ask()
    return list(answers), list(found.values())


def _document(openapi: str, timeout_s: float) -> dict[str, Any]:
    try:
        if openapi.startswith(("http://", "https://")):
            with urllib.request.urlopen(_request(openapi), timeout=timeout_s) as answer:  # noqa: S310 - checked above
                raw = answer.read()
        else:
            raw = Path(openapi).read_bytes()
        document = json.loads(raw)
    except (OSError, ValueError, InvalidURL) as error:
        why = _reason(error) if isinstance(error, OSError) else "no URL or no JSON"
        raise BadInput(f"cannot read the OpenAPI document {endpoint(openapi)}: {why}\n  expected JSON") from None
    if not isinstance(document, dict) or "openapi" not in document:
        raise BadInput(f"{endpoint(openapi)} is not an OpenAPI document: it has no 'openapi' version")
    return document


def _operation(schema: Any, url: str) -> tuple[Any, str]:
    """Find the operation whose path the URL ends with, and what comes before it."""
    path = urlsplit(url).path
    described = [_usable(each) for each in schema.get_all_operations()]
    matching = [
        (len(end[0]), each)
        for each in described
        if each.method.upper() in {"GET", "POST"} and (end := _template(each.path).search(path))
    ]
    if not matching:
        known = ", ".join(f"{each.method.upper()} {each.path}" for each in described) or "none"
        raise BadInput(f"the OpenAPI document describes no operation for {path}\n  it describes: {known}")
    length, operation = max(matching, key=lambda each: each[0])
    return operation, urlunsplit(urlsplit(url)._replace(path=path[:-length], query="", fragment=""))


def _usable(described: Any) -> Any:
    """Return an operation, or raise what makes it unusable; schemathesis wraps both."""
    operation = getattr(described, "ok", None)
    if operation is None:
        raise described.err()
    return operation()


def _template(path: str) -> re.Pattern[str]:
    """Make of `/agents/{agent}` what `/agents/coach` ends with."""
    parts = re.split(r"\{[^{}]*\}", path)
    return re.compile("[^/]+".join(re.escape(part) for part in parts) + r"\Z")


def _late(timeout_s: float) -> Violation:
    return broken("emitter/time-limit", f"it had not answered after {timeout_s:g} s")


def _first_lines(failure: BaseException) -> str:
    lines = [line.strip() for line in str(failure).splitlines() if line.strip()]
    return show(" ".join(lines[:2]))


def _reason(error: OSError) -> str:
    at: BaseException | None = error
    while at is not None:  # requests wraps urllib3, which wraps the system's error
        reason = getattr(at, "reason", None) if isinstance(at, urllib.error.URLError) else getattr(at, "strerror", None)
        if reason:
            return str(reason)
        at = at.__cause__ or at.__context__
    return type(error).__name__
