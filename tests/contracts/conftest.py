"""The command `contracts` in this process, and one nats-server with a stream for what is observed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from contracts.cli import contracts
from contracts.cli.run import run
from tests.support.bus import Bus, make_stream
from tests.support.emitter import write_checkout
from tests.support.servers import require_binary

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


@pytest.fixture(autouse=True)
def _on_no_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    require_binary(Bus.binary)
    home = tmp_path_factory.mktemp("bus")
    with Bus(home, jetstream={"store_dir": str(home / "jetstream")}) as server:
        make_stream(server.url, "SCHEDULE", "kaizen.schedule.>")
        make_stream(server.url, "TESTS", "tests.>")
        yield server
