"""The pytest plugin: each configured emitter as test items, and fixtures around the contract.

It is loaded in every run of an environment that has this package. So it takes nothing at import but what pytest
has loaded already, and looks further only where the project's configuration names emitters.

    contracts.toml::contracts[runner]::weekly-markdown::golden      one item: emitter, scenario, rule group
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from contracts.pytest_plugin.fixtures import CONFIGURATION, contract, emit, golden, nats_server, payloads

if TYPE_CHECKING:
    from contracts.pytest_plugin.items import EmittersFile

__all__ = ["contract", "emit", "golden", "nats_server", "payloads"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options; all of them start with `--contracts-`."""
    group = parser.getgroup("contracts", "contracts of events")
    group.addoption(
        "--contracts-config",
        metavar="FILE",
        help="configuration that names the emitters (default: contracts.toml, or pyproject.toml with"
        " [tool.contracts], in the root directory)",
    )
    group.addoption(
        "--contracts-emitter",
        dest="contracts_emitters",
        action="append",
        default=[],
        metavar="NAME",
        help="collect the items of this emitter only; repeatable",
    )
    group.addoption(
        "--contracts-require",
        type=int,
        metavar="N",
        help="fail the run where fewer than N contract items have run; skipped ones do not count",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Find the configuration; a run of everything then includes it, independent of `testpaths`."""
    config.addinivalue_line("markers", "contracts: one emitter, scenario and group of rules, by the plugin contracts")
    file = _configuration(config)
    if file is not None:
        config.stash[CONFIGURATION] = file
        if _is_run_of_everything(config) and not any(_holds(config, each, file) for each in config.args):
            config.args.append(str(file))
    elif config.getoption("contracts_emitters"):
        raise pytest.UsageError(
            f"--contracts-emitter: no configuration in {config.rootpath} names emitters\n"
            "  write [emitters.NAME] into contracts.toml, or say where it is: --contracts-config FILE"
        )
    required = config.getoption("contracts_require")
    if required is not None and not hasattr(config, "workerinput"):  # with xdist, the controller sees all reports
        config.pluginmanager.register(_Required(required))


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> EmittersFile | None:
    """Collect the configuration file; no other."""
    if file_path != parent.config.stash.get(CONFIGURATION, None):
        return None
    from contracts.pytest_plugin.items import EmittersFile

    found: EmittersFile = EmittersFile.from_parent(parent, path=file_path)
    return found


def _configuration(config: pytest.Config) -> Path | None:
    named = config.getoption("contracts_config")
    if named:
        path = Path(config.invocation_params.dir, named).resolve()
        if not path.is_file():
            raise pytest.UsageError(f"--contracts-config: there is no file {path}")
        return path
    for name in ("contracts.toml", "pyproject.toml"):
        path = config.rootpath / name
        if path.is_file() and _names_emitters(path):
            return path
    return None


def _names_emitters(path: Path) -> bool:
    text = path.read_bytes()
    if b"emitters" not in text or (path.name == "pyproject.toml" and b"contracts" not in text):
        return False
    import tomllib

    try:
        document = tomllib.loads(text.decode())
    except ValueError:
        return path.name == "contracts.toml"  # its collector reports the error
    if path.name == "pyproject.toml":
        document = document.get("tool", {}).get("contracts", {})
    return "emitters" in document


def _is_run_of_everything(config: pytest.Config) -> bool:
    return config.args_source is not config.ArgsSource.ARGS and config.invocation_params.dir == config.rootpath


def _holds(config: pytest.Config, argument: str, file: Path) -> bool:
    return file.is_relative_to(Path(config.invocation_params.dir, argument))


class _Required:
    """Counts the contract items that ran, and fails a run that had too few."""

    def __init__(self, required: int) -> None:
        self._required, self._ran = required, 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        is_ours = any(name == "contracts_group" for name, _ in report.user_properties)
        self._ran += is_ours and report.when == "call" and not report.skipped

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        passing: Sequence[int] = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
        if self._is_short(session.config) and session.exitstatus in passing:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
        if self._is_short(config):
            terminalreporter.section("contracts", red=True)
            terminalreporter.line(
                f"--contracts-require: {self._ran} contract items ran, expected at least {self._required}\n"
                "  see what there is: pytest --collect-only -m contracts"
            )

    def _is_short(self, config: pytest.Config) -> bool:
        return self._ran < self._required and not config.option.collectonly
