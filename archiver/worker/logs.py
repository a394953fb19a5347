"""One log line for each message: text on a terminal, JSON for machines; on standard error."""

from __future__ import annotations

import json
import sys
from contextlib import suppress

import structlog
from structlog.processors import ExceptionRenderer
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

from contracts.toolkit import printable

_ENCODER = json.JSONEncoder(default=repr)  # structlog's renderer makes one for each line


def _as_json(_: WrappedLogger, __: str, event: EventDict) -> str:
    return _ENCODER.encode(event)


# Keys and digests of our own. Every other text may quote an event, a file name or a server's answer.
_OURS = frozenset({"event", "event_key", "ref_key", "timestamp", "level", "exception"})


def _only_what_may_be_shown(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    for name, value in event.items():
        if name not in _OURS and isinstance(value, str):
            event[name] = printable(value)
    return event


class _Lasting:
    """Standard error, for a log that must not end the work: a line that cannot be written is lost."""

    def write(self, text: str) -> None:
        with suppress(OSError, ValueError):  # a full disk, a reader that has gone; closed
            sys.stderr.write(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.flush()


def open_log(style: str) -> FilteringBoundLogger:
    """Open the log; `style` is text, json, or auto: text where standard error is a terminal."""
    terminal = sys.stderr.isatty()
    as_text = style == "text" or (style == "auto" and terminal)
    # Tracebacks without the values of local variables, which structlog shows by default: among them are secrets.
    tracebacks = ExceptionRenderer(ExceptionDictTransformer(show_locals=False))
    renderer = (
        structlog.dev.ConsoleRenderer(colors=terminal, exception_formatter=structlog.dev.plain_traceback)
        if as_text
        else _as_json
    )
    log: FilteringBoundLogger = structlog.wrap_logger(
        structlog.WriteLogger(_Lasting()),  # type: ignore[arg-type] # asks for no more of a file
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _only_what_may_be_shown,
            *([] if as_text else [tracebacks]),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(20),
        cache_logger_on_first_use=True,
    )
    return log
