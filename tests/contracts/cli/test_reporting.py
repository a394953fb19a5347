"""Options, streams and exit statuses of a run; and what CI gets unasked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from contracts.cli.reporting import ReportOptions, reporting
from contracts.errors import Exit, Unreachable
from contracts.fixtures.corpus import ROOT
from contracts.model.violation import Severity
from tests.contracts.conftest import RunContracts

SPEC_EXAMPLE = (ROOT / "kaizen.schedule.prepared" / "1" / "valid" / "spec-example.json").read_bytes()
HOURLY = SPEC_EXAMPLE.replace(b"weekly", b"hourly")
WARNED = SPEC_EXAMPLE.replace(b"12Z", b"12+00:00")
MACHINE_FORMATS = ("json", "ndjson", "junit", "sarif", "github", "markdown")


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE"):
        monkeypatch.delenv(name, raising=False)
    for name, raw in (("good", SPEC_EXAMPLE), ("bad", HOURLY), ("warned", WARNED)):
        Path(f"{name}.json").write_bytes(raw)
    return tmp_path


# --- what counts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("good.json",), 0),
        (("bad.json",), 1),
        (("good.json", "bad.json"), 1),
        (("warned.json",), 0),
        (("warned.json", "--fail-on", "warning"), 1),
        (("bad.json", "--ignore", "cadence/enum"), 0),
        (("bad.json", "--ignore", "cadence/*"), 0),
        (("bad.json", "--ignore", "*/enum"), 0),
        (("bad.json", "--select", "agent/*"), 0),
        (("bad.json", "--select", "agent/*", "--select", "cadence/enum"), 1),
        (("bad.json", "--select", "cadence/enum", "--ignore", "cadence/enum"), 0),
        (("missing.json",), 2),
        (("bad.json", "--fail-on", "never"), 2),
    ],
)
def test_the_exit_status_follows_what_counts(
    arguments: tuple[str, ...], status: int, run_contracts: RunContracts
) -> None:
    assert run_contracts("check", *arguments)[0] == status


@pytest.mark.parametrize(
    ("pattern", "near"),
    [
        ("cadence/enmu", "cadence/enum"),
        ("boundry/*", "boundary/*"),
        ("*/requird", "*/required"),
        ("emitter/flod", "emitter/flood"),
        ("zzzz", None),
    ],
)
@pytest.mark.parametrize("option", ["--select", "--ignore"])
def test_an_unknown_rule_is_wrong_usage_with_the_nearest(
    pattern: str, near: str | None, option: str, run_contracts: RunContracts
) -> None:
    status, out, err = run_contracts("check", "good.json", option, pattern)

    assert (status, out) == (2, "")
    assert f"no rule {pattern!r}" + (f"; did you mean {near!r}?" if near else "") in err


# --- streams ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MACHINE_FORMATS)
def test_a_machine_format_has_standard_output_for_itself(name: str, run_contracts: RunContracts) -> None:
    status, out, err = run_contracts("check", "bad.json", "--report", name, "--report", "text")

    assert status == 1
    assert "cadence/enum" in out
    assert "0 of 1 payload pass" not in out.splitlines()
    assert err.endswith("0 of 1 payload pass: 1 error, 0 warnings\n")


def test_one_machine_format_at_a_time_may_have_standard_output(run_contracts: RunContracts) -> None:
    status, out, err = run_contracts("check", "bad.json", "--report", "json", "--report", "junit=-")

    assert (status, out) == (2, "")
    assert "standard output carries one report, got 2: json, junit" in err
    assert "--report junit=contracts.junit" in err


def test_two_reports_do_not_share_a_file(run_contracts: RunContracts) -> None:
    status, _, err = run_contracts("check", "bad.json", "--report", "json=out", "--report", "junit=out")

    assert status == 2
    assert "two reports go to " in err


def test_every_format_at_once_goes_to_its_file(run_contracts: RunContracts) -> None:
    asked = [f"--report={name}=out.{name}" for name in MACHINE_FORMATS]

    status, out, err = run_contracts("check", "bad.json", "good.json", "--report", "text", *asked)

    assert (status, err) == (1, "")
    assert out.endswith("1 of 2 payloads pass: 1 error, 0 warnings\n")
    for name in MACHINE_FORMATS:
        assert Path(f"out.{name}").read_text("utf-8").strip(), name


@pytest.mark.parametrize(
    ("report", "says"),
    [
        ("jsn", "no report format 'jsn'; did you mean 'json'?"),
        ("json=good.json/report.json", "cannot write the json report"),
    ],
)
def test_a_report_that_cannot_be_written_is_wrong_usage(report: str, says: str, run_contracts: RunContracts) -> None:
    status, _, err = run_contracts("check", "good.json", "--report", report)

    assert status == 2
    assert says in err


def test_a_run_that_cannot_finish_leaves_a_whole_report_that_says_so(run_contracts: RunContracts) -> None:
    status, out, err = run_contracts("check", "bad.json", "missing.json", "--report", "json")

    document = json.loads(out)
    assert status == 2
    assert [result["source"] for result in document["results"]] == ["bad.json"]
    assert document["summary"]["error"] == "cannot read missing.json: No such file or directory"
    assert document["summary"]["passes"] is False
    assert "cannot read missing.json" in err


def test_a_fixture_that_is_no_case_does_not_keep_the_others_from_being_checked(run_contracts: RunContracts) -> None:
    for folder in ("valid", "invalid"):
        Path("1", folder).mkdir(parents=True)
    Path("1/valid/spec-example.json").write_bytes(SPEC_EXAMPLE)
    Path("1/invalid/case.json").write_text("[]")

    status, out, err = run_contracts("check", "1/invalid/case.json", "bad.json")

    assert status == 2
    assert "0 of 1 payload pass" in out
    assert "is not a fixture case" in err


def test_nothing_checked_is_said_in_the_report_too(run_contracts: RunContracts) -> None:
    status, out, _ = run_contracts("check", "-", "--report", "junit")

    assert status == 3
    assert '<error type="run" message="nothing was checked' in out


def test_a_pipe_is_read_once_and_never_waited_for_again() -> None:
    command = [sys.executable, "-m", "contracts", "check", "/dev/fd/0", "--report", "json"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}

    done = subprocess.run(command, input=HOURLY, capture_output=True, timeout=30, check=False, env=environment)

    (finding,) = json.loads(done.stdout)["results"][0]["findings"]
    assert done.returncode == 1
    assert finding["fixture_line"] is None


# --- CI --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    (tmp_path / "summary.md").write_text("## of an earlier step\n")
    return tmp_path / "summary.md"


def test_ci_gets_annotations_and_a_summary_unasked(summary: Path, run_contracts: RunContracts) -> None:
    status, out, err = run_contracts("check", "bad.json", "--report", "json")

    assert status == 1
    assert err.startswith("::error file=bad.json,line=8,title=cadence/enum::/cadence: found 'hourly'")
    assert summary.read_text().startswith("## of an earlier step\n### contracts: broken\n")
    json.loads(out)


def test_ci_gets_each_of_them_once_where_it_was_asked_for(summary: Path, run_contracts: RunContracts) -> None:
    _, out, err = run_contracts("check", "bad.json", "--report", "github", "--report", "markdown=asked.md")

    assert out.startswith("::error ")
    assert err == ""
    assert summary.read_text() == "## of an earlier step\n"
    assert "cadence/enum" in Path("asked.md").read_text()


def test_a_summary_that_cannot_be_written_fails_nothing(
    monkeypatch: pytest.MonkeyPatch, summary: Path, run_contracts: RunContracts
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary / "no" / "such"))

    status, _, err = run_contracts("check", "good.json")

    assert status == 0
    assert "cannot write the markdown report" in err


@pytest.mark.parametrize("told", [None, "", "false", "1"])
def test_elsewhere_nobody_gets_annotations(
    told: str | None, summary: Path, monkeypatch: pytest.MonkeyPatch, run_contracts: RunContracts
) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS")
    if told is not None:
        monkeypatch.setenv("GITHUB_ACTIONS", told)

    _, _, err = run_contracts("check", "bad.json")

    assert err == ""
    assert summary.read_text() == "## of an earlier step\n"


# --- for the other verbs ---------------------------------------------------------------------------------------------


def test_an_unreachable_server_ends_the_reports_and_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    options = ReportOptions(("json",), Severity.ERROR, (), (), None, None)
    why = Unreachable("NATS", "nats://bob:hunter22@h", "no answer\x1b[2J")

    with pytest.raises(Unreachable), reporting(options):
        raise why

    error = json.loads(capsys.readouterr().out)["summary"]["error"]
    assert error == r"cannot reach NATS at nats://***@h: no answer\x1b[2J"


def test_text_for_people_goes_where_no_machine_reads() -> None:
    for reports, stream in ((("text",), sys.stdout), (("sarif",), sys.stderr), (("sarif=x.sarif",), sys.stdout)):
        with reporting(ReportOptions(reports, Severity.ERROR, (), (), None, None)) as run:
            assert run.human is stream
        assert run.status is Exit.OK


def test_a_check_without_findings_and_configuration_pays_for_neither() -> None:
    program = (
        "import sys; from contracts.cli import contracts\n"
        "contracts.main(['check', 'good.json'], standalone_mode=False)\n"
        "print(*sorted(sys.modules), file=sys.stderr)"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)

    loaded = set(done.stderr.split())
    unneeded = {
        "contracts.config.values",
        "contracts.verdict.findings",
        "contracts.verdict.source_lines",
        "contracts.verdict.waivers",
        "contracts.observe",
    }
    assert not loaded & (unneeded | {"rich", "hypothesis", "importlib.metadata", "difflib"})
