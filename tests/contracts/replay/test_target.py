"""Replays go where the configuration allows it, under a name and a prefix, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.bus.access import NatsAccess
from contracts.config.values import parse_config
from contracts.errors import BadInput
from contracts.replay.plan.messages import ReplayRun
from contracts.replay.plan.planner import is_subject
from contracts.replay.target.rails import Target, find_target, refuse_live, same_target
from contracts.replay.target.webhook import Webhook

CONFIG = """
[targets.staging]
url = "nats://${STAGING_USER}:${STAGING_PASSWORD}@bus.staging"
stream = "STAGING_KAIZEN_SCHEDULE"

[targets.hook]
url = "https://me:${STAGING_PASSWORD}@hooks.staging/prepared?key=${STAGING_PASSWORD}"
headers = { Authorization = "Bearer ${STAGING_PASSWORD}" }

[targets.bare]
url = "nats://bus.bare:4333"
prefix = ""

[targets.other]
url = "nats://${NOBODY_SETS_THIS}@bus.other"
creds = "other.creds"
"""
ENVIRONMENT = {"STAGING_USER": "w", "STAGING_PASSWORD": "hunter2hunter2"}


def find(name: str, text: str = CONFIG, environment: dict[str, str] | None = None) -> Target:
    environment = ENVIRONMENT if environment is None else environment
    return find_target(parse_config(text, Path("/etc/kit/contracts.toml"), {}), name, environment)


def test_a_target_is_found_by_its_name_with_its_credentials_from_the_environment() -> None:
    staging = find("staging")

    assert (staging.name, staging.stream, staging.prefix) == ("staging", "STAGING_KAIZEN_SCHEDULE", "staging.")
    assert staging.access == NatsAccess("nats://w:hunter2hunter2@bus.staging")


@pytest.mark.parametrize(
    "url",
    ["nats://bus.staging:4222", "nats://bus.staging", "nats://somebody:else@bus.staging:4222", "nats://BUS.staging"],
)
def test_a_url_that_is_in_the_list_is_the_target_of_that_url(url: str) -> None:
    assert find(url) == find("staging")


def test_a_webhook_is_a_target_too() -> None:
    hook = find("https://hooks.staging/prepared")

    assert hook == find("hook")
    assert isinstance(hook.access, Webhook)
    assert hook.access.headers == {"Authorization": "Bearer hunter2hunter2"}


@pytest.mark.parametrize("name", ["staging", "hook"])
def test_no_credentials_are_shown(name: str) -> None:
    target = find(name)

    assert "hunter2" not in repr(target) + target.place


@pytest.mark.parametrize(
    "name",
    [
        "production",
        "Staging",
        "",
        "nats://bus.production:4222",
        "nats://bus.staging:4223",
        "tls://bus.staging:4222",
        "nats://bus.staging.example:4222",
        "nats://bus.staging,bus.production",
        "https://hooks.staging/other",
        "http://hooks.staging/prepared",
        "https://hooks.staging@evil.example/prepared",
        "file:///etc/passwd",
        "nats://:::",
    ],
)
def test_what_is_not_in_the_list_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="is no target in") as caught:
        find(name)

    assert "known: staging, hook, bare, other" in str(caught.value)


def test_the_refusal_of_a_url_shows_no_credentials_of_it() -> None:
    with pytest.raises(BadInput) as caught:
        find("nats://w:hunter2hunter2@bus.production")

    assert "hunter2" not in str(caught.value)


def test_without_a_configuration_there_is_no_target() -> None:
    with pytest.raises(BadInput, match="known: none"):
        find("staging", "")


def test_variables_that_are_not_set_are_named_for_the_target_that_is_asked_for_only() -> None:
    with pytest.raises(BadInput, match=r"targets\.other names variables that are not set: \$\{NOBODY_SETS_THIS\}"):
        find("other")

    assert find("bare", environment={}).name == "bare"


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ('url = "nats://bus"\nprefix = "staging"', "cannot stand before a subject"),
        ('url = "nats://bus"\nprefix = "a.*."', "cannot stand before a subject"),
        ('url = "nats://bus"\nprefix = ".."', "cannot stand before a subject"),
        ('url = "nats://bus"\nprefix = "$JS."', "cannot stand before a subject"),
        ('url = "nats://bus"\nheaders = {a = "b"}', "headers are for a webhook"),
        ('url = "https://hook"\nstream = "S"\nca = "x"', "is a webhook, which has no stream, ca"),
        ('url = "https://"', "names no host"),
        ('url = "ftp://bus"', "names no server"),
        ('url = ""', "url is empty"),
        ('url = "nats://bus"\ncreds = "missing.creds"', "which is not a file"),
    ],
)
def test_a_table_that_cannot_be_used_says_why(table: str, complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint):
        find("x", f"[targets.x]\n{table}")


def test_the_files_of_a_target_go_before_those_of_the_environment(tmp_path: Path) -> None:
    for name in ("staging.creds", "production.creds", "ca.pem"):
        (tmp_path / name).touch()
    text = '[targets.x]\nurl = "nats://bus"\ncreds = "staging.creds"'
    environment = {"NATS_CREDS": str(tmp_path / "production.creds"), "NATS_CA": str(tmp_path / "ca.pem")}

    access = find_target(parse_config(text, tmp_path / "contracts.toml", {}), "x", environment).access

    assert access == NatsAccess("nats://bus", creds_file=tmp_path / "staging.creds", ca_file=tmp_path / "ca.pem")


@pytest.mark.parametrize(
    ("name", "recorded", "expected"),
    [
        ("staging", "kaizen.schedule.prepared", "staging.kaizen.schedule.prepared"),
        ("staging", "staging.kaizen.schedule.prepared", "staging.kaizen.schedule.prepared"),
        ("staging", "stagingx.kaizen", "staging.stagingx.kaizen"),
        ("bare", "kaizen.schedule.prepared", "kaizen.schedule.prepared"),
    ],
)
def test_a_subject_gets_the_prefix_once(name: str, recorded: str, expected: str) -> None:
    assert find(name).subject(recorded) == expected


@pytest.mark.parametrize(
    "subject", ["", ".", "a.", ".a", "a..b", "a b", "a.*", "a.>", "a\r\nPUB x 1", "$JS.API.STREAM.PURGE.S", "_INBOX.x"]
)
def test_nothing_is_published_to_what_is_no_plain_subject(subject: str) -> None:
    assert not is_subject(subject)
    assert is_subject("kaizen.schedule.prepared")


def test_a_target_without_a_prefix_looks_live_until_it_is_meant_by_its_name() -> None:
    with pytest.raises(BadInput, match="looks live, and nothing was sent:\n  its subjects have no prefix"):
        refuse_live(find("bare"), [], None)

    refuse_live(find("bare"), [], "bare")
    refuse_live(find("staging"), [], None)


def test_a_target_that_looks_live_to_its_server_is_refused_with_every_reason() -> None:
    with pytest.raises(BadInput, match="looks live") as caught:
        refuse_live(find("bare"), ["others publish"], None)

    assert "no prefix\n  others publish\n  if that is meant: --yes-this-is-live bare" in str(caught.value)
    refuse_live(find("bare"), ["others publish"], "bare")


@pytest.mark.parametrize("name", ["staging", "bare"])
def test_to_mean_one_target_is_not_to_mean_another(name: str) -> None:
    with pytest.raises(BadInput, match="names another target than"):
        refuse_live(find(name), [], "production")


@pytest.mark.parametrize(
    "changes", [{"url": "nats://bus.elsewhere:4222"}, {"stream": "OTHER"}, {"stream": None}, {"target": "gone"}]
)
def test_a_run_is_resumed_only_to_the_place_that_it_was_begun_to(changes: dict[str, str | None]) -> None:
    config = parse_config(CONFIG, Path("contracts.toml"), {})
    begun = {"target": "staging", "url": "nats://bus.staging:4222", "stream": "STAGING_KAIZEN_SCHEDULE"}
    others = {"run_id": "r", "messages": 1, "lasts_s": 0.0, "created_at": "2026-06-17T12:00:00Z"}

    assert same_target(config, ReplayRun(**begun, **others), ENVIRONMENT).name == "staging"  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=r"is another place now|is no target"):
        same_target(config, ReplayRun(**(begun | changes), **others), ENVIRONMENT)  # type: ignore[arg-type]


SECRET_PLACES = [
    "https://hooks.example/T000/B000/SECRETSECRET",
    "https://hooks.example/?token=SECRETSECRET",
    "https://u:SECRETSECRET@hooks.example/T000?a=SECRETSECRET#SECRETSECRET",
]


@pytest.mark.parametrize("url", SECRET_PLACES)
def test_of_a_webhook_only_scheme_host_and_port_are_shown(url: str) -> None:
    hook = find("x", f"[targets.x]\nurl = '{url}'")
    assert hook.place == "https://hooks.example"
    assert "SECRET" not in repr(hook) + hook.place


def test_two_webhooks_of_one_host_are_told_apart_by_their_path() -> None:
    text = "[targets.a]\nurl = 'https://h/SECRET1'\n[targets.b]\nurl = 'https://h/SECRET2?x=1'"
    assert find("https://h/SECRET2", text).name == "b"
    with pytest.raises(BadInput) as caught:
        find("https://h/SECRET3", text)
    assert str(caught.value).startswith("https://h is no target in")
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ('url = "https://me:hunter2/x@hooks"', "names no host"),
        ('url = "https://me:12/hunter2@hooks"', "names no host"),
        ('url = "https://me:12#hunter2@hooks"', "names no host"),
        ('url = "https://[::1"', "names no host"),
        ('url = "https://hooks:hunter2"', "names no host"),
        ('url = "https://hooks/hunter2\\n"', "url ends with a line break"),
        ('url = "https://hooks/hun\\nter2"', "url has a control character"),
        (
            'url = "https://hooks"\nheaders = {Authorization = "Bearer hunter2\\n"}',
            "Authorization ends with a line break",
        ),
        ('url = "https://hooks"\nheaders = {X = "hunter2\\r\\nEvil: 1"}', "X has a control character"),
        ('url = "nats://me:hunter2/x@bus"', "an '@' behind its first host"),
        ('url = "nats://me:12/hunter2@bus"', "an '@' behind its first host"),
        ('url = "ws://me:hunter2@bus"', "is a WebSocket URL, which is not supported"),
        ('url = "nats:///"', "names no server"),
        ('url = "nats://bus"\ncontext = "nowhere"', "no NATS context 'nowhere'"),
        ('url = "https://bus"\ncontext = "x"', "is a webhook, which has no context"),
    ],
)
def test_a_url_whose_password_would_be_read_as_something_else_is_refused(table: str, complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint) as caught:
        find("x", f"[targets.x]\n{table}")
    assert "hunter2" not in str(caught.value)


def test_a_password_of_the_environments_own_server_is_not_sent_to_a_target(tmp_path: Path) -> None:
    (tmp_path / "nats" / "context").mkdir(parents=True)
    for name in ("production", "staging"):
        text = f'{{"url": "nats://bus.{name}", "user": "w", "password": "of-{name}", "inbox_prefix": "_IN"}}'
        (tmp_path / "nats" / "context" / f"{name}.json").write_text(text)
    (tmp_path / "nats" / "context.txt").write_text("production")
    environment = {
        "NATS_URL": "nats://w:hunter2@bus.production",
        "NATS_USER": "w",
        "NATS_PASSWORD": "hunter2",
        "NATS_TOKEN": "hunter2",
        "NATS_CONTEXT": "production",
        "NATS_INBOX_PREFIX": "_OURS",
        "XDG_CONFIG_HOME": str(tmp_path),
    }
    plain = find("x", '[targets.x]\nurl = "nats://bus.staging"', environment).access
    named = find("x", '[targets.x]\nurl = "nats://bus.staging"\ncontext = "staging"', environment).access

    assert plain == NatsAccess("nats://bus.staging", inbox_prefix="_OURS")
    assert named == NatsAccess("nats://bus.staging", user="w", password="of-staging", inbox_prefix="_IN")


def test_a_run_to_a_webhook_that_an_earlier_release_began_is_resumed() -> None:
    run = ReplayRun("r", "x", "https://hooks.example/T000", None, 1, 0.0, "2026-06-17T12:00:00Z")
    config = parse_config("[targets.x]\nurl = 'https://hooks.example/T000'", Path("contracts.toml"), {})
    assert same_target(config, run, {}).name == "x"
