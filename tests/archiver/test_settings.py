"""Settings from the environment: every problem at once, and no secret anywhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from archiver.cli.config import config
from archiver.settings import Settings, load_settings, nats_access, shown
from contracts import BadInput

SECRET = "do-not-show-me"
REQUIRED = {"ARCHIVER_BUCKET": "archive"}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch):
    def given(**variables: str) -> None:
        for name, value in (REQUIRED | variables).items():
            monkeypatch.setenv(name, value)

    return given


def problems(environment, **variables: str) -> list[str]:
    environment(**variables)
    with pytest.raises(BadInput) as refused:
        load_settings()
    head, *rest = str(refused.value).splitlines()
    return [line.strip() for line in rest] or [head]


def test_a_bucket_is_all_that_has_to_be_set(environment) -> None:
    environment()

    settings = load_settings()

    assert settings.bucket == "archive"
    assert (settings.stream, settings.consumer, settings.store) == ("KAIZEN_SCHEDULE", "archiver", "direct")
    assert settings.s3.region == "us-east-1"
    assert settings.worker, "made of host and process, so that two workers differ"


def test_every_problem_is_told_at_once(environment, monkeypatch: pytest.MonkeyPatch) -> None:
    found = problems(
        environment,
        ARCHIVER_SLOTS="many",
        ARCHIVER_STORE="minio",
        ARCHIVER_ACK_WAIT_S="0",
        ARCHIVER_BUKET="x",
        AWS_ENDPOINT_URL_S3="localhost:8333",
    )

    for variable in (
        "ARCHIVER_SLOTS",
        "ARCHIVER_STORE",
        "ARCHIVER_ACK_WAIT_S",
        "ARCHIVER_BUKET",
        "AWS_ENDPOINT_URL_S3",
    ):
        assert [line for line in found if line.startswith(variable)], variable
    assert len(found) == 5
    monkeypatch.delenv("ARCHIVER_BUCKET")
    assert "ARCHIVER_BUCKET is not set; expected the bucket that holds blobs and references" in problems_of_now()


def problems_of_now() -> list[str]:
    with pytest.raises(BadInput) as refused:
        load_settings()
    return [line.strip() for line in str(refused.value).splitlines()]


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("ARCHIVER_BUCKET", "ab", "found 'ab'"),
        ("ARCHIVER_BUCKET", "a" * 64, "found 'aaa"),
        ("ARCHIVER_BUCKET", "My_Bucket", "found 'My_Bucket'"),
        ("ARCHIVER_PREFIX", "team//a", "found 'team//a'"),
        ("ARCHIVER_PREFIX", "team/../a", "found 'team/../a'"),
        ("ARCHIVER_STREAM", "KAIZEN.SCHEDULE", "found 'KAIZEN.SCHEDULE'"),
        ("ARCHIVER_CONSUMER", "my archiver", "found 'my archiver'"),
        ("ARCHIVER_SUBJECT_PREFIX", "staging", "found 'staging'"),
        ("ARCHIVER_SUBJECT_PREFIX", "Staging.", "found 'Staging.'"),
        ("ARCHIVER_SUBJECT_PREFIX", "my_staging.", "found 'my_staging.'"),
        ("ARCHIVER_SUBJECT_PREFIX", "staging.*.", "found 'staging.*.'"),
        ("ARCHIVER_SOURCES", "spool,nfs", "found 'nfs'"),
        ("ARCHIVER_SOURCES", "spool,", "found ''"),
        ("ARCHIVER_OBJECT_STORE", "KAIZEN.BUNDLES", "found 'KAIZEN.BUNDLES'"),
        ("ARCHIVER_SLOTS", "0", "found '0'"),
        ("ARCHIVER_SLOTS", "257", "found '257'"),
        ("ARCHIVER_SLOTS", "4.5", "found '4.5'"),
        ("ARCHIVER_STORE", "S3", "found 'S3'"),
        ("ARCHIVER_MAX_BUNDLE_BYTES", "2GiB", "found '2GiB'"),
        ("ARCHIVER_BUNDLE_DEADLINE_S", "-1", "found '-1'"),
        ("ARCHIVER_ACK_WAIT_S", "0.5", "found '0.5'"),
        ("ARCHIVER_GRACE_S", "soon", "found 'soon'"),
        ("ARCHIVER_LOG_FORMAT", "xml", "found 'xml'"),
        ("AWS_ENDPOINT_URL_S3", "localhost:8333", "found 'localhost:8333'"),
        ("AWS_ENDPOINT_URL", "ftp://store", "found 'ftp://store'"),
        ("AWS_ENDPOINT_URL_S3", "http://store:8333/archive", "found 'http://store:8333/archive'"),
    ],
)
def test_a_value_that_cannot_be_used_is_told_with_its_variable(
    environment, variable: str, value: str, told: str
) -> None:
    [problem] = problems(environment, **{variable: value})

    assert variable in problem.partition(": ")[0].split(" or ")
    assert told in problem


@pytest.mark.parametrize(
    ("prefix", "stream"),
    [("staging.", "STAGING_KAIZEN_SCHEDULE"), ("eu-1.staging.", "EU-1_STAGING_KAIZEN_SCHEDULE")],
)
def test_subjects_with_a_prefix_are_in_a_stream_of_their_own_unless_another_is_named(
    environment, prefix: str, stream: str
) -> None:
    environment(ARCHIVER_SUBJECT_PREFIX=prefix)
    assert load_settings().stream == stream

    environment(ARCHIVER_SUBJECT_PREFIX=prefix, ARCHIVER_STREAM="REHEARSAL")
    assert load_settings().stream == "REHEARSAL"


@pytest.mark.parametrize(
    ("misspelt", "meant"),
    [
        ("ARCHIVER_BUKET", "ARCHIVER_BUCKET"),
        ("ARCHIVER_SLOT", "ARCHIVER_SLOTS"),
        ("ARCHIVER_ACK_WAIT", "ARCHIVER_ACK_WAIT_S"),
        ("ARCHIVER_MAX_BUNDLE_SIZE", "ARCHIVER_MAX_BUNDLE_BYTES"),
    ],
)
def test_a_misspelt_setting_is_not_silently_its_default(environment, misspelt: str, meant: str) -> None:
    assert problems(environment, **{misspelt: "4"}) == [f"{misspelt} is not a setting; did you mean {meant}?"]


def test_a_setting_like_no_other_is_told_without_a_guess(environment) -> None:
    assert problems(environment, ARCHIVER_QQQQQQQQQQQQQ="4") == ["ARCHIVER_QQQQQQQQQQQQQ is not a setting"]


@pytest.mark.parametrize("empty", ["ARCHIVER_PREFIX", "ARCHIVER_SLOTS", "ARCHIVER_SPOOL", "AWS_ACCESS_KEY_ID"])
def test_an_empty_value_is_as_good_as_none(environment, empty: str) -> None:
    environment()
    unset = load_settings()
    environment(**{empty: ""})

    assert load_settings() == unset


def test_an_empty_variable_that_is_no_setting_is_still_told(environment) -> None:
    assert problems(environment, ARCHIVER_BUKET="") == [
        "ARCHIVER_BUKET is not a setting; did you mean ARCHIVER_BUCKET?"
    ]


@pytest.mark.parametrize(
    ("variables", "attribute", "value"),
    [
        ({"AWS_DEFAULT_REGION": "eu-west-1"}, "region", "eu-west-1"),
        ({"AWS_REGION": "eu-north-1", "AWS_DEFAULT_REGION": "eu-west-1"}, "region", "eu-north-1"),
        ({"AWS_REGION": "", "AWS_DEFAULT_REGION": "eu-west-1"}, "region", "eu-west-1"),
        ({"AWS_ENDPOINT_URL": "http://all:1"}, "endpoint_url", "http://all:1"),
        ({"AWS_ENDPOINT_URL_S3": "http://s3:2", "AWS_ENDPOINT_URL": "http://all:1"}, "endpoint_url", "http://s3:2"),
        ({"AWS_ENDPOINT_URL_S3": "", "AWS_ENDPOINT_URL": "http://all:1"}, "endpoint_url", "http://all:1"),
    ],
)
def test_the_narrower_variable_wins_as_with_every_s3_tool(
    environment, variables: dict[str, str], attribute: str, value: str
) -> None:
    environment(**variables)

    assert getattr(load_settings().s3, attribute) == value


@pytest.mark.parametrize(
    ("text", "sources"),
    [
        ("", ("spool",)),
        ("object_store", ("object_store",)),
        ("object_store, spool", ("object_store", "spool")),
    ],
)
def test_sources_are_a_list_whose_order_counts(environment, text: str, sources: tuple[str, ...]) -> None:
    environment(ARCHIVER_SOURCES=text)

    settings = load_settings()

    assert settings.sources == sources
    assert ("ARCHIVER_SOURCES", ",".join(sources)) in [line[:2] for line in shown(settings)]


@pytest.mark.parametrize("present", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_half_a_key_pair_is_told(environment, present: str) -> None:
    [problem] = problems(environment, **{present: SECRET})

    assert problem == "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY go together; one of them is not set"


def test_half_a_key_pair_is_told_together_with_the_other_problems(environment) -> None:
    found = problems(environment, AWS_ACCESS_KEY_ID="an id", ARCHIVER_BUKET="x")

    assert len(found) == 2, found


def test_without_keys_the_aws_chain_applies(environment) -> None:
    environment()

    assert load_settings().s3.access_key_id is None


def test_what_the_store_needs_is_taken_over(environment) -> None:
    environment(
        AWS_ACCESS_KEY_ID="an id",
        AWS_SECRET_ACCESS_KEY=SECRET,
        AWS_SESSION_TOKEN="a token",
        ARCHIVER_PREFIX="/team/a/",
        ARCHIVER_SLOTS="32",
    )

    access = load_settings().s3

    assert (access.access_key_id, access.secret_access_key, access.session_token) == ("an id", SECRET, "a token")
    assert access.prefix == "team/a/"
    assert access.connections > 32, "reads back while all slots write"


def test_no_secret_is_shown_by_the_settings_themselves(environment) -> None:
    environment(AWS_ACCESS_KEY_ID="an id", AWS_SECRET_ACCESS_KEY=SECRET, AWS_SESSION_TOKEN=SECRET)
    settings = load_settings()

    assert SECRET not in f"{settings!r} {settings} {settings.s3!r} {list(shown(settings))}"
    assert settings.s3.secret_access_key == SECRET


def test_archiver_config_shows_every_setting_and_no_secret(environment) -> None:
    environment(
        AWS_ACCESS_KEY_ID="an id",
        AWS_SECRET_ACCESS_KEY=SECRET,
        AWS_SESSION_TOKEN=SECRET,
        NATS_URL=f"nats://archiver:{SECRET}@nats.example:4333",
    )

    said = CliRunner().invoke(config, catch_exceptions=False)

    assert said.exit_code == 0
    assert SECRET not in said.output
    assert said.output.count("***") == 2
    assert "nats://nats.example:4333" in said.output
    for name in Settings.model_fields:
        assert name.upper() in said.output


@pytest.mark.parametrize("url", [f"http://user:{SECRET}@store:8333", f"https://{SECRET}@store"])
def test_a_credential_in_the_stores_url_is_refused_and_not_repeated(environment, url: str) -> None:
    [problem] = problems(environment, AWS_ENDPOINT_URL_S3=url)

    assert problem.startswith("AWS_ENDPOINT_URL_S3: ")
    assert SECRET not in problem


def test_a_missing_nats_url_is_told_with_an_example() -> None:
    with pytest.raises(BadInput, match=r"NATS_URL is not set; expected the server, for example nats://"):
        nats_access()


def test_a_credentials_file_that_is_not_there_is_told_with_its_variable(environment, tmp_path) -> None:
    environment(NATS_URL="nats://127.0.0.1:4222", NATS_CREDS=str(tmp_path / "none.creds"))

    with pytest.raises(BadInput, match=r"NATS_CREDS names .*none\.creds, which is not a file"):
        nats_access()


PROXY = "http://me:do-not-show-me@proxy.example:3128"


@pytest.mark.parametrize(
    ("variables", "endpoint", "variable"),
    [
        ({}, "https://store.example", None),
        ({"HTTPS_PROXY": PROXY}, "https://store.example", "HTTPS_PROXY"),
        ({"https_proxy": PROXY}, "", "https_proxy"),
        ({"HTTPS_PROXY": PROXY}, "http://store.example:9000", None),
        ({"ALL_PROXY": PROXY}, "http://store.example:9000", "ALL_PROXY"),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "*.example"}, "https://store.example", None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "amazonaws.com"}, "", None),
    ],
)
def test_the_store_is_reached_through_the_proxy_of_the_environment(
    environment, variables: dict[str, str], endpoint: str, variable: str | None
) -> None:
    environment(AWS_ENDPOINT_URL_S3=endpoint, **variables)

    access = load_settings().s3

    assert (access.proxy.variable if access.proxy else None) == variable
    assert SECRET not in f"{access!r} {access.where}"


# A variable and its value -> what is said of it.
UNUSABLE = [
    ("AWS_SECRET_ACCESS_KEY", "do-not-show-me\n", "AWS_SECRET_ACCESS_KEY ends with a newline"),
    ("AWS_SECRET_ACCESS_KEY", " do-not-show-me", "AWS_SECRET_ACCESS_KEY begins with a space"),
    ("AWS_SECRET_ACCESS_KEY", "do-not-\tshow-me", "AWS_SECRET_ACCESS_KEY holds a tab"),
    ("AWS_SECRET_ACCESS_KEY", "do-not-show-me\u00a0", "AWS_SECRET_ACCESS_KEY ends with white space"),
    ("AWS_SECRET_ACCESS_KEY", "'do-not-show-me'", "AWS_SECRET_ACCESS_KEY is in quotes; leave them out"),
    ("AWS_SECRET_ACCESS_KEY", "do-not-show-me\ufeff", "AWS_SECRET_ACCESS_KEY holds the control character U+FEFF"),
    ("AWS_ACCESS_KEY_ID", "\u00fcber", "AWS_ACCESS_KEY_ID holds a character that is not ASCII"),
    ("AWS_ACCESS_KEY_ID", "id\r", "AWS_ACCESS_KEY_ID ends with a carriage return"),
    ("AWS_ACCESS_KEY_ID", "id\r\n", "AWS_ACCESS_KEY_ID ends with a newline"),
    ("AWS_SESSION_TOKEN", "do-not\nshow-me", "AWS_SESSION_TOKEN holds a newline"),
    ("AWS_REGION", "eu-west-1\n", "AWS_REGION ends with a newline"),
    ("AWS_DEFAULT_REGION", "eu west", "AWS_DEFAULT_REGION: no region, expected for example us-east-1, found 'eu west'"),
    ("AWS_ENDPOINT_URL_S3", "http://store:9000 ", "AWS_ENDPOINT_URL_S3 ends with a space"),
    ("AWS_ENDPOINT_URL", "http://sto re", "AWS_ENDPOINT_URL: holds a space"),
    ("AWS_ENDPOINT_URL", "http://store:99999", "AWS_ENDPOINT_URL: has no usable port"),
    ("AWS_ENDPOINT_URL", "http://store:0", "AWS_ENDPOINT_URL: has no usable port"),
    ("AWS_ENDPOINT_URL", "http://store:", "AWS_ENDPOINT_URL: has no usable port"),
    ("AWS_ENDPOINT_URL", "http://store:90x", "AWS_ENDPOINT_URL: has no usable port"),
    ("AWS_ENDPOINT_URL", "http://[::1", "AWS_ENDPOINT_URL: has no usable port"),
    ("AWS_ENDPOINT_URL", "http://", "AWS_ENDPOINT_URL: names no host"),
    ("AWS_ENDPOINT_URL", "http:store", "AWS_ENDPOINT_URL: begins with neither http:// nor https://"),
    ("AWS_ENDPOINT_URL", "s3://archive", "AWS_ENDPOINT_URL: begins with neither http:// nor https://"),
    ("AWS_ENDPOINT_URL", "http://store?x=1", "AWS_ENDPOINT_URL: has more than host and port"),
    ("AWS_CA_BUNDLE", "/nowhere/ca.pem", "AWS_CA_BUNDLE: /nowhere/ca.pem cannot be read: No such file or directory"),
    ("AWS_CA_BUNDLE", "/", "AWS_CA_BUNDLE: / cannot be read: Is a directory"),
    ("AWS_CA_BUNDLE", __file__, f"AWS_CA_BUNDLE: {__file__} holds no certificate as PEM"),
    ("SSL_CERT_FILE", "/nowhere/ca.pem", "SSL_CERT_FILE: /nowhere/ca.pem cannot be read: No such file or directory"),
    ("SSL_CERT_DIR", "/nowhere/a:b", "SSL_CERT_DIR: no such directory, found '/nowhere/a:b'"),
    ("AWS_PROFILE", "minio\n", "AWS_PROFILE ends with a newline"),
    ("AWS_CONFIG_FILE", "config\n", "AWS_CONFIG_FILE ends with a newline"),
    ("HTTPS_PROXY", "http://me:do-not-show-me@proxy:x", "HTTPS_PROXY names no proxy"),
    ("HTTPS_PROXY", "socks5://me:do-not-show-me@proxy", "HTTPS_PROXY names a proxy of kind socks5://"),
    ("ARCHIVER_BUCKET", "archive\n", "ARCHIVER_BUCKET ends with a newline"),
    ("ARCHIVER_PREFIX", "team\u202ea", "ARCHIVER_PREFIX holds the control character U+202E"),
    ("ARCHIVER_SPOOL", "/spool\r", "ARCHIVER_SPOOL ends with a carriage return"),
    ("ARCHIVER_SLOTS", "4 ", "ARCHIVER_SLOTS ends with a space"),
    ("ARCHIVER_SLOTS", '"4"', "ARCHIVER_SLOTS is in quotes; leave them out"),
    ("ARCHIVER_WORKER", "one\x1b[2J", "ARCHIVER_WORKER holds the control character U+001B"),
    ("ARCHIVER_STORE_TIMEOUT_S", "inf", "ARCHIVER_STORE_TIMEOUT_S: input should be a finite number, found 'inf'"),
    ("ARCHIVER_GRACE_S", "nan", "ARCHIVER_GRACE_S: input should be a finite number, found 'nan'"),
    ("ARCHIVER_GC_SECRET_ACCESS_KEY", "do-not-show-me\n", "ARCHIVER_GC_SECRET_ACCESS_KEY ends with a newline"),
    ("ARCHIVER_GC_ACCESS_KEY_ID", "\u00fcber", "ARCHIVER_GC_ACCESS_KEY_ID holds a character that is not ASCII"),
]


@pytest.mark.parametrize(("variable", "value", "said"), UNUSABLE)
def test_a_value_that_carries_too_much_is_named_with_what_is_wrong(
    environment, variable: str, value: str, said: str
) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "s"}
    keys |= {"ARCHIVER_GC_ACCESS_KEY_ID": "id", "ARCHIVER_GC_SECRET_ACCESS_KEY": "s"}

    [problem] = problems(environment, **keys | {variable: value})

    assert problem.startswith(said)
    assert SECRET not in problem


def test_bytes_that_are_no_text_are_named_and_not_printed(environment, monkeypatch: pytest.MonkeyPatch) -> None:
    environment()
    monkeypatch.setitem(os.environ, "ARCHIVER_SPOOL", os.fsdecode(b"/spool/\xff"))

    assert "ARCHIVER_SPOOL holds bytes that are not UTF-8" in problems_of_now()


def test_problems_of_every_kind_are_reported_together(environment) -> None:
    found = problems(
        environment,
        ARCHIVER_SLOTS="4\n",
        AWS_SECRET_ACCESS_KEY=f"{SECRET}\n",
        AWS_REGION="eu west",
        AWS_ENDPOINT_URL="store:9000",
        AWS_CA_BUNDLE="/nowhere",
    )

    assert len(found) == 6, "half a pair of keys, too"
    assert SECRET not in str(found)


@pytest.mark.parametrize("given", ["", "/", "team/a", "/team/a/"])
def test_a_prefix_has_one_shape_however_it_was_written(environment, given: str) -> None:
    environment(ARCHIVER_PREFIX=given)

    settings = load_settings()

    assert settings.prefix == settings.s3.prefix == ("team/a/" if "team" in given else "")


def test_archiver_config_shows_where_each_value_came_from(environment, tmp_path) -> None:
    (tmp_path / "config").write_text(
        "[profile minio]\nendpoint_url = http://minio.example:9000\n"
        f"aws_access_key_id = minio-id\naws_secret_access_key = {SECRET}\n"
    )
    environment(AWS_PROFILE="minio", AWS_CONFIG_FILE=str(tmp_path / "config"), AWS_REGION="eu-west-1")

    said = CliRunner().invoke(config, catch_exceptions=False).output

    in_profile = f"profile minio in {tmp_path / 'config'}"
    names = (
        "AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL",
        "AWS_REGION",
        "AWS_CA_BUNDLE",
        "AWS_ACCESS_KEY_ID",
        "ARCHIVER_BUCKET",
    )
    rows = {name: line for line in said.splitlines() for name in names if line.strip().startswith(name)}
    assert "http://minio.example:9000" in rows["AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL"]
    assert f"endpoint_url of {in_profile}" in rows["AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL"]
    assert "environment variable AWS_REGION" in rows["AWS_REGION"]
    assert "default" in rows["AWS_CA_BUNDLE"]
    assert "minio-id" in rows["AWS_ACCESS_KEY_ID"]
    assert in_profile in rows["AWS_ACCESS_KEY_ID"]
    assert "environment variable ARCHIVER_BUCKET" in rows["ARCHIVER_BUCKET"]
    assert SECRET not in said


def test_where_nats_is_may_come_from_a_context_of_the_nats_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nats" / "context").mkdir(parents=True)
    context = tmp_path / "nats" / "context" / "prod.json"
    context.write_text('{"url": "tls://bus:4333", "user": "me", "password": "hunter2", "inbox_prefix": "_IN"}')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("NATS_CONTEXT", "prod")

    access = nats_access()

    assert (access.place, access.inbox_prefix) == ("tls://bus:4333", "_IN")
    assert access.login()[1] == {"user": "me", "password": "hunter2"}
    assert access.named_by == "url in the NATS context 'prod'"
