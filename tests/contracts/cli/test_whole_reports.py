"""A report is whole and valid whatever happens to its run: defects, signals, streams that are closed, full or gone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import junitparser
import pytest

from contracts import checker
from contracts.cli.reporting import ReportOptions, reporting
from contracts.errors import Exit
from contracts.model.violation import Severity
from contracts.reports.json_report import SCHEMA_FILE
from tests.contracts.conftest import RunContracts
from tests.contracts.reports.test_reports_ci import SARIF
from tests.support.payloads import SPEC_EXAMPLE_PATH

CONTRACTS = Path(sys.executable).parent / "contracts"
EXAMPLE = SPEC_EXAMPLE_PATH.read_bytes()
HOURLY = EXAMPLE.replace(b"weekly", b"hourly")
REPORTS = ("json", "ndjson", "junit", "sarif", "gitlab", "markdown", "github", "text")


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    for number in range(3):
        Path(f"{number}.json").write_bytes(HOURLY)
    yield
    os.chdir("/")


def _asked(folder: str = "out") -> list[str]:
    return [word for name in REPORTS for word in ("--report", f"{name}={folder}/report.{name}")]


def _read_back(folder: str = "out", *, without: str = "") -> dict[str, Any]:
    """Read every report with somebody else's reader, and return those that say how the run ended."""
    content = {name: Path(folder, f"report.{name}").read_text("utf-8") for name in REPORTS if name not in without}
    document = json.loads(content["json"])
    jsonschema_rs.Draft202012Validator(json.loads(SCHEMA_FILE.read_bytes())).validate(document)
    SARIF.validate(json.loads(content["sarif"]))
    json.loads(content["gitlab"])
    junitparser.JUnitXml.fromstring(content["junit"].encode())
    lines = [json.loads(line) for line in content["ndjson"].splitlines()]
    assert lines[-1]["kind"] == "summary"
    assert lines[-1]["error"] == document["summary"]["error"]
    assert json.loads(content["sarif"])["runs"][0]["invocations"][0]["executionSuccessful"] is (
        document["summary"]["error"] is None
    )
    return document


def test_a_file_of_any_bytes_is_judged_and_reported(run_contracts: RunContracts) -> None:
    Path("c.json").write_bytes(b",1")

    status, _, err = run_contracts("check", "c.json", *_asked())

    assert (status, err) == (Exit.BROKEN, "")
    assert [each["rule"] for each in _read_back()["results"][0]["findings"]] == ["payload/syntax"]


def test_a_defect_in_the_middle_leaves_what_was_judged_and_is_no_pass(
    monkeypatch: pytest.MonkeyPatch, run_contracts: RunContracts
) -> None:
    check, seen = checker.check, []

    def broken_at_the_second(*arguments: Any, **named: Any) -> checker.Result:
        seen.append(arguments)
        if len(seen) == 2:
            raise ZeroDivisionError("secret-of-a-payload")
        return check(*arguments, **named)

    monkeypatch.setattr(checker, "check", broken_at_the_second)

    status, _, err = run_contracts("check", "0.json", "1.json", "2.json", *_asked())

    document = _read_back()
    assert status == Exit.DEFECT
    assert "this is a defect in kaizen-event-kit" in err
    assert [each["source"] for each in document["results"]] == ["0.json"]
    assert document["summary"]["passes"] is False
    assert document["summary"]["error"].startswith("stopped by a defect of contracts (ZeroDivisionError)")
    assert not any("secret-of-a-payload" in Path(f"out/report.{name}").read_text() for name in REPORTS)


def test_a_defect_in_one_report_leaves_the_others_whole(
    monkeypatch: pytest.MonkeyPatch, run_contracts: RunContracts
) -> None:
    from contracts.reports.markdown import MarkdownReport

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(MarkdownReport, "close", fail)

    status, _, _ = run_contracts("check", "0.json", *_asked())

    assert status == Exit.DEFECT
    assert len(_read_back(without="markdown")["results"]) == 1
    assert sorted(path.name for path in Path("out").iterdir()) == sorted(
        f"report.{name}" for name in REPORTS if name != "markdown"
    )


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_leaves_whole_reports(sent: signal.Signals) -> None:
    os.mkfifo("held.json")
    with (
        subprocess.Popen(
            [CONTRACTS, "check", "0.json", "held.json", *_asked()], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process,
        Path("held.json").open("wb"),
    ):  # opens once the other side reads, so the first file has been judged
        process.send_signal(sent)
        _, err = process.communicate(timeout=60)

    document = _read_back()
    assert (process.returncode, err.strip()) == (Exit.INTERRUPTED, b"interrupted")
    assert [each["source"] for each in document["results"]] == ["0.json"]
    assert document["summary"]["error"] == "interrupted before everything was checked"


def test_a_reader_that_has_gone_leaves_whole_reports_in_files() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as gone:
        done = subprocess.run(
            [CONTRACTS, "check", "0.json", *_asked()], stdout=gone, stderr=subprocess.PIPE, check=False
        )

    assert (done.returncode, done.stderr) == (Exit.INTERRUPTED, b"")
    assert _read_back()["summary"]["passes"] is False


@pytest.mark.parametrize("full", ["stdout", "text=/dev/full", "json=/dev/full"])
def test_a_full_disk_under_one_report_leaves_the_others_whole(full: str) -> None:
    more = [] if full == "stdout" else ["--report", full]
    with Path("/dev/full" if full == "stdout" else "/dev/null").open("wb") as output:
        done = subprocess.run(
            [CONTRACTS, "check", "0.json", *more, *_asked()],
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert done.returncode == Exit.USAGE
    assert done.stderr.startswith("contracts: cannot write the ")
    assert done.stderr.endswith(": No space left on device\n")
    assert [each["source"] for each in _read_back()["results"]] == ["0.json"]


@pytest.mark.parametrize(
    ("redirected", "arguments", "status"),
    [
        ("<&-", "check 0.json", 1),
        ("<&-", "check -", 3),
        (">&-", "check 0.json", 1),
        ("2>&-", "check missing.json", 2),
        ("<&- >&- 2>&-", "check 0.json --report json=out.json", 1),
        ("<&- >&- 2>&-", "check missing.json", 2),
        (">/dev/full 2>/dev/full", "check 0.json", 2),
        ("</dev/full >/dev/null", "check -", 1),
        ("1</dev/null", "check 0.json", 2),
        (">&-", "list", 0),
    ],
)
def test_standard_streams_may_be_closed_or_refuse(redirected: str, arguments: str, status: int) -> None:
    command = f"timeout 60 {CONTRACTS} {arguments} {redirected}"

    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)

    assert done.returncode == status
    assert "Traceback" not in done.stderr + done.stdout
    if "out.json" in arguments:
        assert json.loads(Path("out.json").read_bytes())["summary"]["failed"] == 1


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["check", "FILE"], 1, "cadence/enum"),
        (["check", "FILE", "--report", "sarif", "--report", "json=REPORT"], 1, "cadence/enum"),
        (["check", "FILE", "--report", "json=here.json"], 2, "the working directory was deleted"),
        (["replay", "staging"], 2, "the working directory was deleted"),
    ],
)
def test_a_working_directory_may_have_been_deleted(
    arguments: list[str], status: int, says: str, tmp_path: Path
) -> None:
    (tmp_path / "gone").mkdir()
    names = {"FILE": str(tmp_path / "0.json"), "REPORT": str(tmp_path / "r.json")}
    words = [names.get(word, word.replace("REPORT", names["REPORT"])) for word in arguments]

    done = subprocess.run(
        ["bash", "-c", 'rmdir "$PWD" && exec "$@"', "bash", CONTRACTS, *words],
        cwd=tmp_path / "gone",
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == status
    assert says in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["x" * 300, "x" * 5000, "d/x" * 2000])
def test_a_name_that_no_file_can_have_is_unreadable_input(name: str, run_contracts: RunContracts) -> None:
    status, _, err = run_contracts("check", name, "0.json", "--report", "json=out/report.json")

    assert status == Exit.USAGE
    assert "File name too long" in err


def test_a_file_that_vanishes_after_it_was_read_is_reported_without_lines(
    monkeypatch: pytest.MonkeyPatch, run_contracts: RunContracts
) -> None:
    check = checker.check

    def removing(*arguments: Any, **named: Any) -> checker.Result:
        Path("0.json").unlink()
        return check(*arguments, **named)

    monkeypatch.setattr(checker, "check", removing)

    status, _, _ = run_contracts("check", "0.json", *_asked())

    (result,) = _read_back()["results"]
    assert status == Exit.BROKEN
    assert result["fixture"]["sha256"] is None
    assert result["findings"][0]["fixture_line"] is None


@pytest.mark.parametrize("report", ["json=good/sub/x.json", "json=./x.json", "sarif=/proc/x.sarif", "json=0.json/x"])
def test_folders_of_a_report_are_made_and_where_that_fails_it_says_so(report: str, run_contracts: RunContracts) -> None:
    status, _, err = run_contracts("check", "1.json", "--report", report)

    path = Path(report.partition("=")[2])
    assert status == (1 if path.is_file() else 2)
    assert path.is_file() or f"cannot write the {report.partition('=')[0]} report to {path}: " in err


def test_a_report_that_cannot_be_opened_leaves_the_others_whole(run_contracts: RunContracts) -> None:
    status, _, _ = run_contracts("check", "0.json", *_asked(), "--report", "json=0.json/x")

    assert status == Exit.USAGE
    assert "cannot write the json report" in _read_back()["summary"]["error"]


def test_a_device_may_take_several_reports(run_contracts: RunContracts) -> None:
    assert run_contracts("check", "0.json", "--report", "json=/dev/null", "--report", "sarif=/dev/null")[0] == 1


def test_sigterm_is_left_as_it_was() -> None:
    before = signal.getsignal(signal.SIGTERM)

    with reporting(ReportOptions(("json=x.json",), Severity.ERROR, (), (), None, None)):
        assert signal.getsignal(signal.SIGTERM) != before

    assert signal.getsignal(signal.SIGTERM) == before
