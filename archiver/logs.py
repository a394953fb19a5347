"""One log line for each message: text on a terminal, JSON for machines; on standard error."""

from __future__ import annotations

import sys

import structlog
from structlog.typing import FilteringBoundLogger


def open_log(style: str) -> FilteringBoundLogger:
    """Open the log; `style` is text, json, or auto: text where standard error is a terminal."""
    terminal = sys.stderr.isatty()
    as_text = style == "text" or (style == "auto" and terminal)
    renderer = structlog.dev.ConsoleRenderer(colors=terminal) if as_text else structlog.processors.JSONRenderer()
    log: FilteringBoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([] if as_text else [structlog.processors.dict_tracebacks]),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(20),
        cache_logger_on_first_use=True,
    )
    return log
