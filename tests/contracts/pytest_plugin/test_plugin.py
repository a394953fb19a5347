"""What a project gets that has the plugin, and what one does not notice that does not use it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from contracts.observe.suite import GROUPS, group_of
from contracts.toolkit import NatsServer
from tests.support.inner_pytest import EMITTERS, Run, emitter, scenarios

NODE = "pyproject.toml::contracts[runner]::weekly-markdown"


@pytest.mark.usefixtures("sample")
def test_one_line_of_configuration_gates_an_emitter_beside_the_tests_that_are_there(run: Run) -> None:
    result = run("-v", "-rP")

    result.assert_outcomes(passed=2 + 4 * len(GROUPS))
    result.stdout.fnmatch_lines([f"{NODE.replace('[', '[[]')}::golden PASSED*"])


@pytest.mark.usefixtures("sample")
@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        ([f"{NODE}::golden"], 1),
        (["pyproject.toml::contracts"], 4 * len(GROUPS)),
        (["-m", "contracts"], 4 * len(GROUPS)),
        (["-m", "not contracts"], 2),
        (["-k", "weekly-markdown and boundary"], 1),
        (["tests"], 2),
        ([".", "pyproject.toml"], 2 + 4 * len(GROUPS)),
        (["--contracts-emitter", "runner", "-m", "contracts"], 4 * len(GROUPS)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_items_are_selected_as_any_others_are(run: Run, arguments: list[str], count: int) -> None:
    result = run("--collect-only", "-q", *arguments)

    assert sum("::" in line for line in result.outlines) == count, result.stdout.str()


@pytest.mark.usefixtures("sample")
def test_every_worker_of_xdist_collects_the_same_items(run: Run) -> None:
    run("-p", "xdist", "-n", "2", "-m", "contracts", "--contracts-require", "32").assert_outcomes(
        passed=4 * len(GROUPS)
    )


def test_workers_that_watch_one_subject_do_not_hear_each_other(
    pytester: pytest.Pytester, run: Run, nats_server: NatsServer
) -> None:
    trigger = emitter("nats-no-message-id").removeprefix("cmd:")  # on core NATS nobody needs one
    uri, env = f"{nats_server.url}/kaizen.schedule.prepared", f'{{ NATS_URL = "{nats_server.url}" }}'
    pytester.makefile(".toml", contracts=f"[emitters.bus]\nuri = '{uri}'\ntrigger = '{trigger}'\nenv = {env}")

    run("-p", "xdist", "-n", "2").assert_outcomes(passed=4 * (len(GROUPS) - 1))


def test_an_emitter_runs_once_for_each_scenario(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makefile(".sh", emit="echo ran >> ran.txt\necho '{}'")
    pytester.makefile(".toml", contracts='[emitters.counted]\nuri = "cmd:sh emit.sh {agent}"')

    run()

    assert (pytester.path / "ran.txt").read_text().count("ran") == 4


def test_a_failure_shows_the_findings_and_nothing_of_ours(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makefile(".toml", contracts=f"[emitters.late]\nuri = '{emitter('time-with-space')}'")

    result = run("-k", "weekly-markdown and fields")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*contracts[[]late[]]::weekly-markdown::fields*",
            "  error /occurred_at: found '*', expected * [[]occurred_at/format[]]",
            "      spec, line *: *",
            "  reproduce: contracts verify-emitter *--scenario weekly-markdown*",
            "FAILED contracts.toml::contracts[[]late[]]::weekly-markdown::fields*",
        ]
    )
    assert "Traceback" not in result.stdout.str()
    assert "pytest_plugin/items" not in result.stdout.str()


def test_rules_and_pointers_are_in_the_junit_file(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makefile(".toml", contracts=f"[emitters.late]\nuri = '{emitter('time-with-space')}'")

    run("-k", "weekly-markdown and fields", "--junit-xml=junit.xml")

    written = (pytester.path / "junit.xml").read_text()
    assert '<property name="contracts_rule" value="occurred_at/format"' in written
    assert '<property name="contracts_pointer" value="/occurred_at"' in written


def test_what_was_not_checked_does_not_pass(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makefile(".toml", contracts=f"[emitters.silent]\nuri = '{emitter('says-nothing')}'")

    result = run("-k", "weekly-markdown")

    result.assert_outcomes(failed=len(GROUPS) - 1)  # no program, so no group `prepare`
    result.stdout.fnmatch_lines(["not checked, which is never a pass", "*[[]emitter/nothing[]]"])


@pytest.mark.usefixtures("sample")
@pytest.mark.parametrize(("required", "status"), [(8, 0), (9, 1)])
def test_too_few_items_fail_the_run(run: Run, required: int, status: int) -> None:
    result = run("-k", "weekly-markdown", "--contracts-require", str(required))

    assert result.ret == status
    assert ("8 contract items ran, expected at least 9" in result.stdout.str()) == bool(status)


def test_a_project_without_contract_items_fails_where_they_are_required(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile("def test_other(): pass")

    assert run("--contracts-require", "1").ret == pytest.ExitCode.TESTS_FAILED


def test_a_project_that_does_not_use_the_plugin_pays_for_nothing(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyprojecttoml("[project]\nname = 'smart-contracts'")
    pytester.makepyfile(
        """
        import sys

        def test_what_is_loaded():
            ours = {name for name in sys.modules if name.startswith("contracts")}
            plugin = "contracts.pytest_plugin"
            assert ours == {"contracts", plugin, f"{plugin}.plugin", f"{plugin}.fixtures"}
            assert not {"jsonschema_rs", "nats", "click", "rich"} & sys.modules.keys()
        """
    )

    run().assert_outcomes(passed=1)


def test_a_missing_golden_fails_even_where_the_event_is_right(sample: Path, run: Run) -> None:
    mine = scenarios(sample / "scenarios", "weekly-markdown")
    (mine / "weekly-markdown" / "event.json").unlink()
    _add(sample, "scenarios = 'scenarios'")

    result = run("-m", "contracts")

    result.assert_outcomes(passed=len(GROUPS), failed=1)
    result.stdout.fnmatch_lines(["*::weekly-markdown::golden*", "*record it: contracts fixtures record*"])


def test_an_unused_golden_fails(pytester: pytest.Pytester, run: Run) -> None:
    scenarios(pytester.path / "scenarios", "weekly-markdown")
    (pytester.path / "event.json").write_text("{}")
    pytester.makefile(".toml", contracts="[emitters.fixed]\nuri = 'file:event.json'\nscenarios = 'scenarios'")

    result = run("-k", "goldens")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["no emitter is compared with", "*scenarios/weekly-markdown/event.json"])


def test_a_golden_that_lies_where_no_scenario_is_fails(sample: Path, run: Run) -> None:
    mine = scenarios(sample / "scenarios", "weekly-markdown")
    shutil.copytree(mine / "weekly-markdown", mine / "weekly-markdown" / "old" / "weekly")
    _add(sample, "scenarios = 'scenarios'")

    run("-k", "goldens").assert_outcomes(failed=1)


def test_waivers_hold_until_they_expire_and_must_cover_something(pytester: pytest.Pytester, run: Run) -> None:
    waiver = "[[waivers]]\nrule = '{}'\nreason = 'r'\nowner = 'o'\nexpires = {}\n"
    pytester.makefile(
        ".toml",
        contracts=f"waivers = 'waivers.toml'\n[emitters.late]\nuri = '{emitter('time-with-space')}'",
        waivers=waiver.format("occurred_at/format", "2999-01-01") + waiver.format("cadence/enum", "2020-01-01"),
    )

    result = run()

    result.assert_outcomes(passed=4 * (len(GROUPS) - 1), failed=1)
    result.stdout.fnmatch_lines(["*contracts[[]waivers[]]::used*", "*[[]waiver/expired[]]"])


def test_an_emitter_that_cannot_be_used_here_fails_alone(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makefile(
        ".toml",
        contracts=f"[emitters.bus]\nuri = 'nats://${{BUS}}/x'\n[emitters.late]\nuri = '{emitter('time-with-space')}'",
    )

    result = run("-k", "bus or (weekly-markdown and golden)")

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*contracts[[]bus[]]::configuration*", "*not set: ${BUS}"])


@pytest.mark.parametrize(
    ("text", "arguments", "told"),
    [
        ("[emitters.a]\nurl = 'x'", [], "*unknown key 'emitters.a.url'; did you mean 'uri'[?]"),
        ("[emitters.runner]\nuri = '-'", ["--contracts-emitter", "runer"], "*did you mean 'runner'[?]"),
        ("", ["--contracts-emitter", "runner"], "*no configuration in * names emitters"),
        ("", ["--contracts-config", "none.toml"], "*there is no file *none.toml"),
    ],
)
def test_a_configuration_that_cannot_be_used_says_why(
    pytester: pytest.Pytester, run: Run, text: str, arguments: list[str], told: str
) -> None:
    pytester.makefile(".toml", contracts=text)

    result = run(*arguments)

    assert result.ret != 0
    pytest.LineMatcher([*result.outlines, *result.errlines]).fnmatch_lines([told])
    assert "Traceback" not in result.stdout.str()


def test_a_configuration_elsewhere_is_named(pytester: pytest.Pytester, run: Run) -> None:
    place = pytester.mkdir("ci")
    shutil.copy(EMITTERS.parent / "kaizen.schedule.prepared" / "1" / "valid" / "spec-example.json", place)
    (place / "gate.toml").write_text("[emitters.fixed]\nuri = 'file:spec-example.json'")

    result = run("--contracts-config", "ci/gate.toml")

    result.assert_outcomes(passed=len(GROUPS) - 2)  # no scenario: neither golden nor prepare


def test_every_option_starts_with_the_name_of_the_plugin(run: Run) -> None:
    told = run("--help").stdout.str().partition("contracts of events:")[2].partition("\n\n")[0]

    options = re.findall(r"^  (-\S+)", told, re.MULTILINE)
    assert options
    assert all(option.startswith("--contracts-") for option in options)


@pytest.mark.parametrize(
    ("rule", "group"),
    [
        ("payload/bom", "payload"),
        ("bundle.bytes/minimum", "fields"),
        ("root/absolute", "fields"),
        ("session_close[]/agent", "session_close"),
        ("prepare_command/target", "prepare_command"),
        ("boundary/secret", "boundary"),
        ("emitter/flood", "behaviour"),
        ("subject/event", "behaviour"),
        ("golden/differs", "golden"),
        ("prepare/flags", "prepare"),
    ],
)
def test_a_rule_belongs_to_the_group_that_its_id_says(rule: str, group: str) -> None:
    assert group_of(rule) == group


def _add(sample: Path, entry: str) -> None:
    """Add an entry to the one line of the sample's configuration."""
    path = sample / "pyproject.toml"
    path.write_text(path.read_text().replace('program = "kaizen-agentic" }', f'program = "kaizen-agentic", {entry} }}'))
