"""`contracts init` starts off somebody else's repository; `contracts doctor` says what there is to work with."""

from __future__ import annotations

import json
import shlex
import sys
import tomllib
from pathlib import Path

import pytest

from contracts.fixtures.corpus import ROOT
from contracts.observe.scenarios import load_scenarios
from contracts.rules.registry import subjects
from tests.contracts.conftest import RunContracts
from tests.support.bus import Bus
from tests.support.emitter import STAND_IN
from tests.support.servers import require_binary

SHIPPED = ROOT / "kaizen.schedule.prepared" / "1" / "scenarios" / "weekly-markdown"
GITHUB, GITEA = ".github/workflows/contracts.yml", ".gitea/workflows/contracts.yml"


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_init_writes_a_configuration_a_job_and_a_first_scenario(tmp_path: Path, run_contracts: RunContracts) -> None:
    status, out, _ = run_contracts("init", "--into", tmp_path)
    written = files(tmp_path)
    scenario = {f"contracts/scenarios/weekly-markdown/{name}": raw for name, raw in files(SHIPPED).items()}
    assert status == 0
    assert written.keys() == {"contracts.toml", GITHUB, *scenario}
    assert scenario.items() <= written.items()
    assert b"contracts verify-emitter" in written[GITHUB]
    for name in ("contracts.toml", GITHUB, "contracts/scenarios/weekly-markdown"):
        assert f"wrote   {tmp_path / name}" in out
    assert out.endswith("next:   contracts verify-emitter\n")


@pytest.mark.parametrize(
    ("flags", "jobs"),
    [([], {GITHUB}), (["--ci", "gitea"], {GITEA}), (["--ci", "gitea", "--ci", "github"], {GITHUB, GITEA})],
    ids=["by default", "gitea", "both"],
)
def test_init_writes_a_job_for_each_ci_that_is_named(
    flags: list[str], jobs: set[str], tmp_path: Path, run_contracts: RunContracts
) -> None:
    run_contracts("init", "--into", tmp_path, *flags)
    assert {name for name in files(tmp_path) if name.endswith(".yml")} == jobs


def test_init_keeps_whatever_is_there(tmp_path: Path, run_contracts: RunContracts) -> None:
    run_contracts("init", "--into", tmp_path)
    before = dict.fromkeys(files(tmp_path), b"mine")
    for name, content in before.items():
        (tmp_path / name).write_bytes(content)
    status, out, _ = run_contracts("init", "--into", tmp_path, "--name", "another")
    assert (status, files(tmp_path)) == (0, before)
    assert out.count("kept    ") == 3
    assert "wrote" not in out


@pytest.mark.parametrize("name", ["emitter", "my-emitter_2", "0"])
@pytest.mark.parametrize(
    "uri", ['cmd:emit "{agent}" --root={root} # x', r"cmd:C:\emit.exe {agent}", "py:pkg.mod:emit", "cmd:émit 改善"]
)
def test_the_configuration_is_toml_that_says_what_was_asked_for(
    name: str, uri: str, tmp_path: Path, run_contracts: RunContracts
) -> None:
    assert run_contracts("init", "--into", tmp_path, "--name", name, "--emitter", uri)[0] == 0
    told = tomllib.loads((tmp_path / "contracts.toml").read_text("utf-8"))
    assert told["contract"] == "kaizen.schedule.prepared@1"
    assert told["emitters"][name]["uri"] == uri
    (scenario,) = load_scenarios(told["contract"], tmp_path / told["emitters"][name]["scenarios"])
    assert scenario.name == "weekly-markdown"


@pytest.mark.parametrize(
    "flags",
    [
        *(["--name", name] for name in ("", "a b", "a'b", 'a"b', "a.b", "a]b", "café", "a\nb")),
        *(["--emitter", uri] for uri in ("cmd:emit 'a b'", "cmd:a\nb", "cmd:a\rb", "cmd:a\x00b", "cmd:\udcff")),
    ],
    ids=repr,
)
def test_what_toml_could_not_hold_is_refused_and_nothing_written(
    flags: list[str], tmp_path: Path, run_contracts: RunContracts
) -> None:
    status, _, err = run_contracts("init", "--into", tmp_path, *flags)
    assert status == 2
    assert "--name is letters, digits" in err
    assert files(tmp_path) == {}


def test_init_needs_a_directory_that_is_there(tmp_path: Path, run_contracts: RunContracts) -> None:
    status, _, err = run_contracts("init", "--into", tmp_path / "nowhere")
    assert status == 2
    assert "nowhere is not a directory" in err


def test_what_init_wrote_passes_with_a_good_emitter_as_it_is(
    tmp_path: Path, run_contracts: RunContracts, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = f"cmd:{shlex.quote(sys.executable)} -m contracts emit"
    values = "{agent} --root {root} --repo {repo} --cadence {cadence} --spool {scratch} --stdout"
    uri = f"{program} {values} --program {shlex.quote(str(STAND_IN))}"
    run_contracts("init", "--into", tmp_path, "--emitter", uri.replace("'", '"'))
    monkeypatch.chdir(tmp_path)
    status, out, err = run_contracts("verify-emitter")
    assert (status, err) == (0, ""), out + err


def test_doctor_says_what_is_installed(run_contracts: RunContracts) -> None:
    status, out, _ = run_contracts("doctor")
    assert status == 0
    assert out.startswith("kaizen-event-kit ")
    for subject, versions in subjects().items():
        assert all(f"contract {subject}@{number}: " in out for number in versions)
    assert "extra [nats]: nats " in out
    assert "NATS: not named (--nats URL, NATS_URL or NATS_CONTEXT)" in out


@pytest.mark.parametrize("by", ["flag", "variable"])
def test_doctor_says_what_is_on_the_bus(
    by: str, bus: Bus, run_contracts: RunContracts, monkeypatch: pytest.MonkeyPatch
) -> None:
    if by == "variable":
        monkeypatch.setenv("NATS_URL", bus.url)
    status, out, _ = run_contracts("doctor", *(["--nats", bus.url] if by == "flag" else []))
    assert status == 0
    assert f"NATS {bus.url}: reached, version 2." in out
    assert f"NATS {bus.url}: kaizen.schedule.prepared is kept by stream SCHEDULE" in out


def test_doctor_says_what_is_missing_on_the_bus(tmp_path: Path, run_contracts: RunContracts) -> None:
    require_binary(Bus.binary)
    with Bus(tmp_path / "plain") as plain:
        status, out, _ = run_contracts("doctor", "--nats", plain.url)
        assert (status, "JetStream cannot be used" in out) == (0, True)
    with Bus(tmp_path / "empty", jetstream={"store_dir": str(tmp_path / "jetstream")}) as empty:
        status, out, _ = run_contracts("doctor", "--nats", empty.url)
        assert (status, "kaizen.schedule.prepared is kept by no stream" in out) == (0, True)


def test_doctor_says_with_its_exit_status_that_nats_does_not_answer(
    tmp_path: Path, run_contracts: RunContracts
) -> None:
    require_binary(Bus.binary)
    with Bus(tmp_path) as gone:
        pass
    status, out, err = run_contracts("doctor", "--nats", f"nats://me:hunter2@{gone.place}")
    assert status == 4
    assert f"NATS nats://{gone.place}: " in out
    assert "hunter2" not in out + err


@pytest.mark.parametrize("url", ["nats://h:hunter2", "nats://", "http://h:1", "nats://u:hunter2@h:99999"])
def test_doctor_takes_nothing_else_for_a_server(url: str, run_contracts: RunContracts) -> None:
    status, out, err = run_contracts("doctor", "--nats", url)
    assert status == 2
    assert "expected nats://host:port, with user:password before an @" in err
    assert "hunter2" not in out + err


def test_the_schema_for_editors_knows_what_init_writes(tmp_path: Path, run_contracts: RunContracts) -> None:
    import jsonschema_rs

    run_contracts("init", "--into", tmp_path)
    schema = json.loads(run_contracts("schema", "config")[1])
    told = tomllib.loads((tmp_path / "contracts.toml").read_text("utf-8"))
    assert list(jsonschema_rs.validator_for(schema).iter_errors(told)) == []
