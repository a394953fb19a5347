"""Several bundle sources as one: ask them in order; a bundle is missing only when none has it."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from archiver.bundles.nats_object_store import ObjectStoreSource
from archiver.bundles.spool import SpoolSource
from archiver.core.errors import BundleMissing, BundleRefused, BundleUnreadable, SourceUnavailable
from contracts import BadInput

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from archiver.ports import Bundle, BundleSource
    from archiver.settings import Settings
    from contracts import PreparedEvent

# What is raised where no source has the bundle, the gravest first: one that failed may have it after all.
_GRAVEST_FIRST = (SourceUnavailable, BundleRefused, BundleUnreadable)
_SAID_CHARS = 40


class Sources:
    """Bundles in any of `named`, by the name that events' headers use, in the order in which they are asked."""

    def __init__(self, named: Mapping[str, BundleSource]) -> None:
        self._named = named

    def open(self, event: PreparedEvent, said: str | None = None) -> AbstractAsyncContextManager[Bundle]:
        """Open the bundle where it is; the source named by `said` is asked first; that name may be unknown.

        Raises:
            BundleMissing: no source has it; names all places, and an unknown `said`.
            BundleUnreadable, BundleRefused, SourceUnavailable: what one of them raised, where no other has it.
        """
        (name, source), *others = self._named.items()
        if not others and said in {None, name}:
            return source.open(event)  # its error needs no other place beside it
        return self._any(event, said)

    async def check(self) -> None:
        """Confirm that at least one source can be reached: events may have their bundles there.

        Raises:
            SourceUnavailable: none can; the error is the first one's.
        """
        failures = []
        for source in self._named.values():
            try:
                return await source.check()
            except SourceUnavailable as failure:
                failures.append(failure)
        raise failures[0]

    @asynccontextmanager
    async def _any(self, event: PreparedEvent, said: str | None) -> AsyncIterator[Bundle]:
        async with AsyncExitStack() as stack:
            yield await self._first(stack, event, said)

    async def _first(self, stack: AsyncExitStack, event: PreparedEvent, said: str | None) -> Bundle:
        failures: list[BundleMissing | BundleUnreadable | BundleRefused | SourceUnavailable] = []
        for name in sorted(self._named, key=lambda name: name != said):
            try:
                return await stack.enter_async_context(self._named[name].open(event))
            except (BundleMissing, BundleUnreadable, BundleRefused, SourceUnavailable) as failure:
                failures.append(failure)
        for kind in _GRAVEST_FIRST:
            for each in failures:
                if isinstance(each, kind):
                    raise each
        where = " or ".join(each.where for each in failures if isinstance(each, BundleMissing))
        if said is not None and said not in self._named:
            where += f" (its event says {said[:_SAID_CHARS]!r}, which is not in ARCHIVER_SOURCES)"
        raise BundleMissing(where)


def require_sources(settings: Settings) -> None:
    """Look whether each source that is named has its setting.

    Raises:
        BadInput: one of them has not.
    """
    if "spool" in settings.sources and settings.spool is None:
        raise BadInput(
            "ARCHIVER_SPOOL is not set; expected the directory where emitters leave bundles\n"
            "  or name another place: ARCHIVER_SOURCES=object_store"
        )


def open_sources(settings: Settings, client: Any) -> Sources:
    """Make the sources that the settings name, in that order; `client`, of `connect_nats`, is for the one on NATS."""
    limit = settings.max_bundle_bytes

    def make(name: str) -> BundleSource:
        if name == "object_store":
            return ObjectStoreSource(client, settings.object_store, limit)
        assert settings.spool is not None, "see `require_sources`"
        return SpoolSource(settings.spool, limit)

    return Sources({name: make(name) for name in settings.sources})
