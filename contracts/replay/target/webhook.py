"""Where a webhook is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from contracts.model.url import origin

_WAITS_S: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where a webhook is, and the headers that it needs.

    `url` and `headers` may hold credentials: show `place` instead. `timeout_s` is how long it may be silent, in
    seconds; `waits_s` how long to wait before each further try.
    """

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_s: float = 10.0
    waits_s: tuple[float, ...] = _WAITS_S

    @property
    def place(self) -> str:
        """Scheme, host and port: path and query of a webhook are often its password."""
        return origin(self.url)
