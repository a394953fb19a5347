"""Several sources behind one port: the first that has the bundle wins, and missing means missing everywhere."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from archiver.bundles.chain import Sources, open_sources, require_sources
from archiver.core.errors import BundleMissing, BundleRefused, BundleUnsettled, SourceUnavailable
from archiver.ports import Bundle
from archiver.settings import load_settings
from contracts import BadInput, PreparedEvent
from contracts.toolkit import spool_name
from tests.support.builders import BUNDLE, prepared

EVENT = prepared()
MISSING, UNSETTLED = BundleMissing("here"), BundleUnsettled("here")
REFUSED, DOWN = BundleRefused("here", "it is a link"), SourceUnavailable("spool", "read it", "no answer in time")


@dataclass
class Source:
    """A source that has the bundle, or raises what it is told to; `asked` has its name each time it is asked."""

    name: str
    answer: Exception | None = None
    asked: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def open(self, event: PreparedEvent, said: str | None = None) -> AsyncIterator[Bundle]:
        assert said is None or event
        self.asked.append(self.name)
        if self.answer:
            raise self.answer
        yield Bundle(io.BytesIO(BUNDLE), len(BUNDLE), self.name)
        self.asked.append(f"closed {self.name}")

    async def check(self) -> None:
        if self.answer:
            raise self.answer


def opened(first: Exception | None, second: Exception | None, said: str | None = None) -> list[str]:
    asked: list[str] = []
    sources = Sources({"spool": Source("spool", first, asked), "object_store": Source("object_store", second, asked)})

    async def steps() -> list[str]:
        async with sources.open(EVENT, said) as bundle:
            assert bundle.file.read() == BUNDLE
            return [*asked, f"has {bundle.obtained_from}"]

    return asyncio.run(steps())


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        (None, ["spool", "has spool"]),
        ("spool", ["spool", "has spool"]),
        ("object_store", ["object_store", "has object_store"]),
        ("nfs", ["spool", "has spool"]),
        ("", ["spool", "has spool"]),
    ],
)
def test_the_source_named_by_the_event_is_asked_first_then_the_others_in_order(
    said: str | None, asked: list[str]
) -> None:
    assert opened(None, None, said) == asked


@pytest.mark.parametrize("failure", [MISSING, UNSETTLED, REFUSED, DOWN], ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("said", [None, "spool", "object_store"])
def test_what_one_source_lacks_another_may_have(failure: Exception, said: str | None) -> None:
    assert opened(failure, None, said)[-1] == "has object_store"
    assert opened(None, failure, said)[-1] == "has spool"


@pytest.mark.parametrize(
    ("first", "second", "gravest"),
    [
        (MISSING, DOWN, DOWN),
        (DOWN, MISSING, DOWN),
        (REFUSED, DOWN, DOWN),
        (UNSETTLED, DOWN, DOWN),
        (MISSING, REFUSED, REFUSED),
        (REFUSED, UNSETTLED, REFUSED),
        (MISSING, UNSETTLED, UNSETTLED),
    ],
    ids=lambda each: type(each).__name__,
)
def test_a_bundle_is_not_missing_while_one_source_that_may_have_it_fails(
    first: Exception, second: Exception, gravest: Exception
) -> None:
    with pytest.raises(type(gravest)) as raised:
        opened(first, second)

    assert raised.value is gravest


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (None, ""),
        ("spool", ""),
        ("nfs", " (its event says 'nfs', which is not in ARCHIVER_SOURCES)"),
        ("\x1b[2J" + "x" * 1000, f" (its event says '\\x1b[2J{'x' * 36}', which is not in ARCHIVER_SOURCES)"),
    ],
)
def test_a_bundle_that_no_source_has_is_missing_in_every_place(said: str | None, told: str) -> None:
    with pytest.raises(BundleMissing) as raised:
        opened(BundleMissing("/spool/a.md"), BundleMissing("object KAIZEN_BUNDLES/a.md"), said)

    assert str(raised.value) == f"no bundle at /spool/a.md or object KAIZEN_BUNDLES/a.md{told}"


def test_what_goes_wrong_with_an_open_bundle_reaches_its_own_source_and_no_other() -> None:
    asked: list[str] = []
    sources = Sources({"spool": Source("spool", None, asked), "object_store": Source("object_store", None, asked)})

    async def steps() -> None:
        async with sources.open(EVENT):
            raise MISSING

    with pytest.raises(BundleMissing):
        asyncio.run(steps())
    assert asked == ["spool"]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    monkeypatch.setenv("ARCHIVER_BUCKET", "archive")
    monkeypatch.setenv("ARCHIVER_SPOOL", str(tmp_path))
    return monkeypatch


@pytest.mark.usefixtures("environment")
def test_the_spool_is_the_source_unless_the_settings_say_otherwise(tmp_path: Path) -> None:
    (tmp_path / spool_name(EVENT)).write_bytes(BUNDLE)

    async def steps() -> bytes:
        async with open_sources(load_settings(), client=None).open(EVENT) as bundle:
            assert bundle.obtained_from == "spool"
            return bundle.file.read()

    assert asyncio.run(steps()) == BUNDLE


@pytest.mark.parametrize("sources", ["spool", "object_store, spool"])
def test_a_spool_that_is_a_source_has_to_be_named(environment: pytest.MonkeyPatch, sources: str) -> None:
    environment.delenv("ARCHIVER_SPOOL")
    environment.setenv("ARCHIVER_SOURCES", sources)

    with pytest.raises(BadInput, match="ARCHIVER_SPOOL is not set; expected the directory where emitters leave"):
        require_sources(load_settings())


class Nats:
    """A connection that nothing is asked of yet."""

    def jetstream(self, **_: object) -> None:
        pass


def test_without_the_spool_among_the_sources_none_is_needed(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("ARCHIVER_SPOOL")
    environment.setenv("ARCHIVER_SOURCES", "object_store")

    open_sources(load_settings(), client=Nats())
