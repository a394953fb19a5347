"""Which event loop a worker runs on."""

from __future__ import annotations

import asyncio
import sys

import pytest
import uvloop

from archiver.cli.run import fastest_loop


def test_a_worker_runs_on_uvloop_where_that_is_installed() -> None:
    with asyncio.Runner(loop_factory=fastest_loop()) as runner:
        assert isinstance(runner.get_loop(), uvloop.Loop)


def test_without_uvloop_it_runs_on_the_loop_of_asyncio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)

    assert fastest_loop() is None
