"""Contexts of the `nats` command: named files with the address of a NATS server and a login.

The format is ADR-21 of nats-architecture-and-design: `nats/context/NAME.json` below `$XDG_CONFIG_HOME`, by default
`~/.config`, and the name of the selected one in `nats/context.txt`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from contracts.errors import BadInput
from contracts.model.did_you_mean import nearest

_NAME: Final = re.compile(r"[^\s./\\*>\x00-\x1f\x7f]+(?:\.[^\s./\\*>\x00-\x1f\x7f]+)*")
_TEXTS: Final = ("url", "user", "password", "token", "creds", "nkey", "cert", "key", "ca", "inbox_prefix")
_FILES: Final = frozenset({"creds", "nkey", "cert", "key", "ca"})
_OF_NO_EFFECT: Final = frozenset({"name", "description", "color_scheme"})


def selected_context(environ: Mapping[str, str]) -> str | None:
    """Return the name of the context that `nats context select` chose, None where there is none."""
    try:
        return (_home(environ) / "context.txt").read_text("utf-8").strip() or None
    except (OSError, UnicodeError):
        return None


def read_context(name: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Read the settings of a context by the names that its file gives them; those without a value are not there.

    Raises:
        BadInput: no such context (names the nearest), not JSON, or a setting that we cannot honour.
    """
    folder = _home(environ) / "context"
    if not _NAME.fullmatch(name):
        raise BadInput(f"{name!r} cannot be the name of a NATS context; expected one as `nats context ls` shows them")
    path = folder / f"{name}.json"
    try:
        document = json.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        known = sorted(each.stem for each in folder.glob("*.json"))
        near = nearest(name, known)
        hint = f"; did you mean {near!r}?" if near else ""
        raise BadInput(f"no NATS context {name!r} in {folder}{hint}\n  known: {', '.join(known) or 'none'}") from None
    except OSError as error:
        raise BadInput(f"cannot read the NATS context {path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise BadInput(f"the NATS context {path} is not JSON") from None
    if not isinstance(document, dict):
        raise BadInput(f"the NATS context {path} is not a JSON object")
    given = {key: value for key, value in document.items() if value and key not in _OF_NO_EFFECT}
    unknown = sorted(given.keys() - {*_TEXTS, "tls_first"})
    if unknown:
        raise BadInput(f"the NATS context {path} sets {', '.join(unknown)}, which is not supported\n  unset it")
    return {key: _text(key, value, path, environ) for key, value in given.items()}


def _text(key: str, value: Any, path: Path, environ: Mapping[str, str]) -> str:
    if key == "tls_first" and value is True:
        return "true"
    if not isinstance(value, str):
        raise BadInput(f"the NATS context {path}: {key} is not text")
    return _expanded(value, environ) if key in _FILES else value


def _expanded(path: str, environ: Mapping[str, str]) -> str:
    """Expand `~` and `$NAME`, as the `nats` command does."""
    path = re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda match: environ.get(match[1] or match[2], ""), path)
    return f"{_user_home(environ)}{path[1:]}" if path.startswith("~/") else path


def _home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("XDG_CONFIG_HOME") or f"{_user_home(environ)}/.config") / "nats"


def _user_home(environ: Mapping[str, str]) -> str:
    return environ.get("HOME") or "/nonexistent"  # a service without a home has no contexts
