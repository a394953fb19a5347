"""Whether this worker is ready. Each problem is logged once when it begins and once when it is over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from structlog.typing import FilteringBoundLogger


@dataclass(frozen=True, slots=True)
class Health:
    """The state of what the worker depends on, part by part; ready while nothing is wrong.

    `retries` counts retried deliveries by cause. A bundle's own trouble (`bundle_unreadable`, …) shows up there only:
    it does not make the worker unready.
    """

    log: FilteringBoundLogger
    retries: Counter[str] = field(default_factory=Counter)
    _problems: dict[str, str] = field(default_factory=dict)

    @property
    def problems(self) -> Mapping[str, str]:
        """What is wrong now, by part: store, bus, spool, object_store."""
        return MappingProxyType(self._problems)

    @property
    def ready(self) -> bool:
        """Whether messages can be processed."""
        return not self._problems

    def retried(self, cause: str) -> None:
        """Note that a delivery is retried."""
        self.retries[cause] += 1

    def wrong(self, part: str, why: str) -> None:
        """Note that a part does not work."""
        if part not in self._problems:
            self.log.warning("not ready", part=part, why=why)
        self._problems[part] = why

    def fine(self, part: str) -> None:
        """Note that a part works."""
        if self._problems.pop(part, None) is not None:
            self.log.info("works again", part=part, ready=self.ready)
