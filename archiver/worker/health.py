"""Is this worker ready? What stands in its way is told once when it begins, and once when it is over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from structlog.typing import FilteringBoundLogger


@dataclass(frozen=True, slots=True)
class Health:
    """What the worker depends on, part by part; ready while nothing is wrong."""

    log: FilteringBoundLogger
    _problems: dict[str, str] = field(default_factory=dict)

    @property
    def problems(self) -> Mapping[str, str]:
        """What is wrong now, by part: store, bus."""
        return MappingProxyType(self._problems)

    @property
    def ready(self) -> bool:
        """Whether messages can be worked on."""
        return not self._problems

    def wrong(self, part: str, why: str) -> None:
        """Note that a part does not work."""
        if part not in self._problems:
            self.log.warning("not ready", part=part, why=why)
        self._problems[part] = why

    def fine(self, part: str) -> None:
        """Note that a part works."""
        if self._problems.pop(part, None) is not None:
            self.log.info("works again", part=part, ready=self.ready)
