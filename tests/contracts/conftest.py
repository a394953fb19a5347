"""The command `contracts` in this process, for tests that ask many questions of it."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from contracts.cli import contracts
from contracts.cli.run import run
from tests.contracts.emitter import write_checkout

RunContracts = Callable[..., tuple[int, str, str]]
"""Run with the given arguments and standard input: (exit status, standard output, standard error)."""


@pytest.fixture
def run_contracts(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> RunContracts:
    def run_it(*arguments: str | Path, stdin: bytes = b"") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(stdin), "utf-8"))
        capfdbinary.readouterr()
        with pytest.raises(SystemExit) as ended:
            run(contracts, [str(argument) for argument in arguments])
        out, err = capfdbinary.readouterr()
        assert isinstance(ended.value.code, int)
        return int(ended.value.code), out.decode(), err.decode()

    return run_it


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return write_checkout(tmp_path / "kaizen-agentic")


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    (tmp_path / "spool").mkdir()
    return tmp_path / "spool"


@pytest.fixture
def usual(checkout: Path, spool: Path) -> list[str | Path]:
    """The arguments of an emission that would go well."""
    return ["coach", "--root", checkout, "--repo", "kaizen-agentic", "--cadence", "weekly", "--spool", spool]


@pytest.fixture
def emit(usual: list[str | Path], run_contracts: RunContracts) -> RunContracts:
    """Emit to standard output with a given program; further arguments outrank the usual ones."""
    return lambda program, *more: run_contracts("emit", *usual, "--stdout", "--program", program, *more)
