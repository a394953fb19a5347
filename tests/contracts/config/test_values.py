"""The configuration file: found, checked with every problem at once, and weaker than a flag."""

from __future__ import annotations

import json
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from contracts.config.values import SCHEMA_FILE, Config, EmitterConfig, TargetConfig, find_config, parse_config
from contracts.errors import BadInput
from contracts.fixtures.corpus import ROOT
from tests.contracts.conftest import RunContracts

SPEC_EXAMPLE = (ROOT / "kaizen.schedule.prepared" / "1" / "valid" / "spec-example.json").read_bytes()
SCHEMA = json.loads(SCHEMA_FILE.read_bytes())
EVERYTHING = """
contract = "kaizen.schedule.prepared@1"
profile = "emitter"
fail_on = "warning"
select = ["cadence/*"]
ignore = ["*/required"]
waivers = "waivers.toml"
reports = ["text", "junit=out/contracts.xml"]

[emitters.coach]
uri = "nats://${HOST}/kaizen.schedule.prepared"
program = "kaizen-agentic"
trigger = "emit --agent {agent} --note $${HOST}"
count = 2
correlate = "/agent=coach"
timeout = 2.5
scenarios = "scenarios"
env = {TOKEN = "${TOKEN}"}

[targets.staging]
url = "nats://${USER}@bus"
stream = "STAGING"
prefix = ""
creds = "staging.creds"
context = "staging"
nkey = "staging.nk"
ca = "ca.pem"
headers = {Authorization = "Bearer ${TOKEN}"}
"""


def config(text: str, **environment: str) -> Config:
    return parse_config(text, Path("contracts.toml"), environment)


def refusal(text: str, **environment: str) -> str:
    with pytest.raises(BadInput) as caught:
        config(text, **environment)
    return str(caught.value)


def test_every_key_is_read() -> None:
    read = config(EVERYTHING)

    assert (read.contract, read.profile, read.fail_on) == ("kaizen.schedule.prepared@1", "emitter", "warning")
    assert (read.select, read.ignore) == (("cadence/*",), ("*/required",))
    assert (read.waivers, read.reports) == ("waivers.toml", ("text", "junit=out/contracts.xml"))
    assert read.emitter("coach", {"HOST": "h:4222", "TOKEN": "t"}) == EmitterConfig(
        uri="nats://h:4222/kaizen.schedule.prepared",
        program="kaizen-agentic",
        trigger="emit --agent {agent} --note ${HOST}",
        count=2,
        correlate="/agent=coach",
        timeout=2.5,
        scenarios="scenarios",
        env={"TOKEN": "t"},
    )
    assert read.target("staging", {"USER": "w", "TOKEN": "t"}) == TargetConfig(
        url="nats://w@bus",
        stream="STAGING",
        prefix="",
        creds="staging.creds",
        context="staging",
        nkey="staging.nk",
        ca="ca.pem",
        headers={"Authorization": "Bearer t"},
    )


def test_the_schema_for_editors_names_exactly_the_keys_that_are_read() -> None:
    emitter, target = (SCHEMA["properties"][name]["additionalProperties"] for name in ("emitters", "targets"))

    assert set(SCHEMA["properties"]) == {each.name for each in fields(Config)} - {"path"}
    assert set(emitter["properties"]) == {each.name for each in fields(EmitterConfig)}
    assert set(target["properties"]) == {each.name for each in fields(TargetConfig)}
    jsonschema_rs.Draft202012Validator(SCHEMA).validate(tomllib.loads(EVERYTHING))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("contarct = 'x'", "unknown key 'contarct'; did you mean 'contract'?"),
        ("zzz = 1", "unknown key 'zzz'; known: contract, profile,"),
        ("profile = 'emiter'", "profile: found 'emiter', expected one of emitter, consumer; did you mean 'emitter'?"),
        ("select = 'cadence/*'", "select: found 'cadence/*', expected a list"),
        ("select = [1]", "select[0]: found the number 1, expected text"),
        ("[emitters.a]\ncount = 1", "no 'emitters.a.uri'; expected Where it speaks"),
        ("[emitters.a]\nuri = '-'\ncount = 0", "emitters.a.count: found the number 0, expected at least 1"),
        ("[emitters.a]\nuri = '-'\ncount = true", "emitters.a.count: found true, expected a whole number"),
        ("[emitters.a]\nuri = '-'\ncount = 1.5", "emitters.a.count: found the number 1.5, expected a whole number"),
        ("[emitters.a]\nuri = '-'\ntimeout = 0", "emitters.a.timeout: found the number 0, expected more than 0"),
        ("[emitters.a]\nuri = '-'\nenv = {A = 1}", "emitters.a.env.A: found the number 1, expected text"),
        ("[emitters.a]\nuri = '-'\ntime_out = 1", "unknown key 'emitters.a.time_out'; did you mean 'timeout'?"),
        ("emitters = 1", "emitters: found the number 1, expected a table"),
        ("[targets.a]\nstream = 'S'", "no 'targets.a.url'; expected nats://HOST:PORT"),
        ("[targets.a]\nurl = 'nats://bus'\nprefx = ''", "unknown key 'targets.a.prefx'; did you mean 'prefix'?"),
        ("[targets.a]\nurl = 'nats://bus'\nprefix = false", "targets.a.prefix: found false, expected text"),
        ("contract = 1979-05-27", "contract: found the date or time 1979-05-27, expected text"),
        ("select = [07:32:00]", "select[0]: found the date or time 07:32:00, expected text"),
        ("[emitters.a]\nuri = '-'\ntimeout = nan", "emitters.a.timeout: found the number NaN, expected a number"),
        ("[emitters.a]\nuri = '-'\ntimeout = inf", "emitters.a.timeout: found the number Infinity, expected a number"),
        ("profile = 5", "profile: found the number 5, expected text"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_nearest_and_by_the_schema_too(text: str, says: str) -> None:
    assert says in refusal(text)
    assert not jsonschema_rs.Draft202012Validator(SCHEMA).is_valid(
        json.loads(json.dumps(tomllib.loads(text), default=id))
    )


def test_every_problem_is_told_at_once() -> None:
    told = refusal("contarct = 'x'\nfail_on = 'never'\n[emitters.a]\n[emitters.b]\nuri = 3")

    assert told.startswith("contracts.toml cannot be used:\n")
    assert told.count("\n  ") == 5
    assert "contracts schema config" in told


@pytest.mark.parametrize("text", ["contract =", "timeout = " + "9" * 5000, "x = " + "[" * 5000])
def test_a_file_that_is_no_toml_is_refused(text: str) -> None:
    assert "contracts.toml is not TOML" in refusal(text)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("name", ["contracts.toml", "waivers.toml"])
def test_a_byte_order_mark_in_a_toml_file_is_named(
    encoding: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_contracts: RunContracts
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("good.json").write_bytes(SPEC_EXAMPLE)
    Path(name).write_bytes(("\ufeff" * (encoding == "utf-16-be") + "# nothing").encode(encoding))

    status, _, err = run_contracts("check", "good.json", *(["--waivers", name] if "waivers" in name else []))

    assert status == 2
    assert f"{name} starts with a byte order mark (UTF-{encoding[4:6].strip('-')}" in err
    assert "save it as UTF-8 without BOM" in err


def test_variables_that_are_not_set_are_named_all_at_once() -> None:
    told = refusal('waivers = "${DIR}/w.toml"\nreports = ["junit=${OUT}/x.xml", "${DIR}"]')

    assert "${DIR}, ${OUT}" in told


AWKWARD = "hunter2/abc@:?#% é,&=+[]"
ENCODED = "hunter2%2Fabc%40%3A%3F%23%25%20%C3%A9%2C%26%3D%2B%5B%5D"


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("nats://${U}:${P}@bus:4222", f"nats://me:{ENCODED}@bus:4222"),
        ("nats://${P}@bus", f"nats://{ENCODED}@bus"),
        ("tls://${U}:${P}@a:1,tls://${U}:${P}@b:2", f"tls://me:{ENCODED}@a:1,tls://me:{ENCODED}@b:2"),
        ("nats://${U}:${P}@a:1, b:2", f"nats://me:{ENCODED}@a:1, b:2"),
        ("nats://x-${U}:${P}-y@${HOST}:4222/${S}", f"nats://x-me:{ENCODED}-y@bus:4222/a.b"),
        ("https://${U}:${P}@hooks/T/${S}?k=${S}", f"https://me:{ENCODED}@hooks/T/a.b?k=a.b"),
        ("https://hooks/@${S},${U}@x", "https://hooks/@a.b,me@x"),
        ("${URL}", "nats://me:hunter2%40@bus"),
        ("nats://literal:p%40ss@${HOST}", "nats://literal:p%40ss@bus"),
        ("nats://$${U}:${U}@bus", "nats://${U}:me@bus"),
    ],
)
@pytest.mark.parametrize("kind", ["targets", "emitters"])
def test_a_user_or_password_that_is_filled_into_a_url_is_percent_encoded(kind: str, template: str, filled: str) -> None:
    environment = {"U": "me", "P": AWKWARD, "HOST": "bus", "S": "a.b", "URL": "nats://me:hunter2%40@bus"}
    if kind == "targets":
        assert config(f"[targets.a]\nurl = '{template}'").target("a", environment).url == filled
    else:
        assert config(f"[emitters.a]\nuri = '{template}'").emitter("a", environment).uri == filled


def test_a_password_in_a_command_or_a_header_is_filled_in_as_it_is() -> None:
    read = config(
        "[emitters.a]\nuri = 'cmd:curl https://u:${P}@h'\ntrigger = 'x ${P}'\nenv = {A = 'https://u:${P}@h'}\n"
        "[targets.b]\nurl = 'http://h'\nheaders = {Authorization = 'Bearer ${P}'}"
    )
    emitter, target = read.emitter("a", {"P": AWKWARD}), read.target("b", {"P": AWKWARD})
    assert emitter.uri == f"cmd:curl https://u:{AWKWARD}@h"
    assert (emitter.trigger, emitter.env) == (f"x {AWKWARD}", {"A": f"https://u:{AWKWARD}@h"})
    assert target.headers == {"Authorization": f"Bearer {AWKWARD}"}


def test_the_variables_of_an_emitter_are_asked_for_only_when_it_is_observed() -> None:
    read = config(EVERYTHING)

    with pytest.raises(BadInput, match=r"emitters\.coach names variables that are not set: \$\{HOST\}, \$\{TOKEN\}"):
        read.emitter("coach", {})


def test_an_emitter_that_is_not_there_is_told_with_the_nearest() -> None:
    with pytest.raises(BadInput, match=r"no emitter 'coahc' in contracts.toml; did you mean 'coach'\?"):
        config(EVERYTHING).emitter("coahc", {})
    with pytest.raises(BadInput, match="no emitter 'x' in a configuration file: there is none"):
        Config().emitter("x", {})


# --- where it is -----------------------------------------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "repository" / ".git").mkdir(parents=True)
    (tmp_path / "repository" / "sub" / "deep").mkdir(parents=True)
    return tmp_path / "repository"


def found(start: Path) -> Path | None:
    return find_config(start, {}).path


def test_the_nearest_file_counts_up_to_the_root_of_the_repository(repository: Path) -> None:
    deep = repository / "sub" / "deep"
    (repository.parent / "contracts.toml").write_text("not = 'ours'")
    assert found(deep) is None
    (repository / "contracts.toml").write_text("")
    assert found(deep) == repository / "contracts.toml"
    (repository / "sub" / "pyproject.toml").write_text("[tool.contracts]\nprofile = 'consumer'")
    assert find_config(deep, {}).profile == "consumer"
    (repository / "sub" / "contracts.toml").write_text("")
    assert found(deep) == repository / "sub" / "contracts.toml"


def test_outside_a_repository_only_the_working_directory_counts(tmp_path: Path) -> None:
    (tmp_path / "contracts.toml").write_text("")
    (tmp_path / "sub").mkdir()

    assert found(tmp_path) == tmp_path / "contracts.toml"
    assert found(tmp_path / "sub") is None


@pytest.mark.parametrize("text", ["[project]\nname = 'contracts'", "[tool.other]\ncontracts = 1", "tool = 'contracts'"])
def test_a_project_that_says_nothing_to_us_is_passed_over(text: str, repository: Path) -> None:
    (repository / "pyproject.toml").write_text(text)

    assert found(repository / "sub") is None


def test_paths_are_seen_from_the_folder_of_the_file(repository: Path) -> None:
    (repository / "contracts.toml").write_text("waivers = 'w.toml'")

    assert find_config(repository / "sub", {}).resolve("w.toml") == repository / "w.toml"


# --- on the command line ---------------------------------------------------------------------------------------------


@pytest.fixture
def checkout(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(repository / "sub")
    Path("event.json").write_bytes(SPEC_EXAMPLE.replace(b"weekly", b"hourly").replace(b"12Z", b"12+00:00"))
    return repository


def configure(checkout: Path, **values: Any) -> None:
    text = "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
    (checkout / "contracts.toml").write_text(text, "utf-8")


def test_what_a_team_would_type_is_taken_from_the_file(checkout: Path, run_contracts: RunContracts) -> None:
    configure(checkout, ignore=["cadence/*"], fail_on="warning", reports=["ndjson=../out.ndjson", "text"])

    status, out, _ = run_contracts("check", "event.json")

    assert status == 1
    assert "cadence/enum" not in out
    (finding, _) = (checkout.parent / "out.ndjson").read_text().splitlines()
    assert json.loads(finding)["rule"] == "occurred_at/utc"


def test_a_flag_wins_over_the_file(checkout: Path, run_contracts: RunContracts) -> None:
    configure(
        checkout, ignore=["occurred_at/*"], fail_on="warning", reports=["json"], contract="no.such", profile="consumer"
    )

    arguments = ("--ignore", "cadence/*", "--fail-on", "error", "--report", "text", "--profile", "emitter")
    status, out, _ = run_contracts("check", "event.json", "--contract", "kaizen.schedule.prepared", *arguments)

    assert status == 0
    assert out.endswith("1 of 1 payload pass: 0 errors, 1 warning\n")
    assert run_contracts("check", "event.json")[0] == 2


def test_the_profile_of_the_file_is_used_and_shown_in_the_command(checkout: Path, run_contracts: RunContracts) -> None:
    configure(checkout, profile="consumer", contract="kaizen.schedule.prepared@1")
    Path("event.json").write_bytes(SPEC_EXAMPLE.replace(b'"version"', b'"new": 1, "version"').replace(b"weekly", b"x"))

    _, out, _ = run_contracts("check", "event.json", "--report", "json")

    (finding,) = json.loads(out)["results"][0]["findings"]
    assert finding["rule"] == "cadence/enum"
    assert finding["reproduce"].endswith("--contract kaizen.schedule.prepared@1 --profile consumer")


def test_a_file_that_cannot_be_used_is_wrong_usage(checkout: Path, run_contracts: RunContracts) -> None:
    configure(checkout, contarct="x")

    status, out, err = run_contracts("check", "event.json")

    assert (status, out) == (2, "")
    assert "did you mean 'contract'?" in err


def test_the_waivers_of_the_file_are_used_from_any_folder(checkout: Path, run_contracts: RunContracts) -> None:
    configure(checkout, waivers="waivers.toml")
    _, ready, _ = run_contracts("explain", "cadence/enum", "--waiver")
    (checkout / "waivers.toml").write_text(ready.replace('""', '"x"'))

    assert run_contracts("check", "event.json")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "title"),
    [
        (("report",), "contracts --report json"),
        (("config",), SCHEMA["title"]),
        (("contract", "kaizen.schedule.prepared"), None),
    ],
)
def test_schemas_are_printed_as_json_schema(
    arguments: tuple[str, ...], title: str | None, run_contracts: RunContracts
) -> None:
    status, out, _ = run_contracts("schema", *arguments)

    schema = json.loads(out)
    assert status == 0
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert title in {schema.get("title"), None}
    jsonschema_rs.Draft202012Validator(schema)
