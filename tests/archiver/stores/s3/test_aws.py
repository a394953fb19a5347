"""How S3 is reached is what botocore resolves, whatever the values come from; each says where it came from."""

from __future__ import annotations

import os
from pathlib import Path

import botocore.session
import pytest

from archiver.stores.s3.aws import UnusableAws, read_aws

SECRET = "do-not-show-me"
MINIO = """
[default]
region = eu-west-1

[profile minio]
region = eu-north-1
endpoint_url = http://minio.example:9000
aws_access_key_id = minio-id
aws_secret_access_key = do-not-show-me

[profile split]
services = local
endpoint_url = http://all.example:1

[profile half]
services = nothing-for-s3
endpoint_url = http://all.example:1

[profile ignoring]
ignore_configured_endpoint_urls = true
endpoint_url = http://all.example:1

[profile virtual]
endpoint_url = http://oss.example
s3 =
  addressing_style = virtual

[profile china]
region = cn-north-1

[profile dual]
region = eu-west-1
use_dualstack_endpoint = true

[services local]
s3 =
  endpoint_url = http://s3.example:2
dynamodb =
  endpoint_url = http://dynamo.example:3

[services nothing-for-s3]
dynamodb =
  endpoint_url = http://dynamo.example:3
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config"
    path.write_text(MINIO)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
    return path


def set_all(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


ENVIRONMENTS: list[dict[str, str]] = [
    {},
    {"AWS_REGION": "", "AWS_PROFILE": "", "AWS_ENDPOINT_URL": "", "AWS_CA_BUNDLE": ""},
    {"AWS_DEFAULT_REGION": "eu-central-1"},
    {"AWS_DEFAULT_REGION": "us-gov-west-1"},
    {"AWS_DEFAULT_REGION": "cn-north-1"},
    {"AWS_ENDPOINT_URL": "http://all.env:1"},
    {"AWS_ENDPOINT_URL": "http://all.env:1", "AWS_ENDPOINT_URL_S3": "http://s3.env:2"},
    {"AWS_ENDPOINT_URL": "http://all.env:1", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
    {"AWS_PROFILE": "minio"},
    {"AWS_DEFAULT_PROFILE": "minio"},
    {"AWS_PROFILE": "minio", "AWS_ENDPOINT_URL": "http://all.env:1"},
    {"AWS_PROFILE": "minio", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
    {"AWS_PROFILE": "minio", "AWS_DEFAULT_REGION": "eu-central-1"},
    {"AWS_PROFILE": "split"},
    {"AWS_PROFILE": "split", "AWS_ENDPOINT_URL": "http://all.env:1"},
    {"AWS_PROFILE": "half"},
    {"AWS_PROFILE": "ignoring"},
    {"AWS_PROFILE": "china"},
    {"AWS_PROFILE": "dual"},
    {"AWS_PROFILE": "dual", "AWS_USE_DUALSTACK_ENDPOINT": "false"},
    {"AWS_DEFAULT_REGION": "us-west-2", "AWS_USE_FIPS_ENDPOINT": "true"},
]


@pytest.mark.parametrize("has_file", [True, False], ids=["with files", "without"])
@pytest.mark.parametrize("variables", ENVIRONMENTS, ids=lambda each: ",".join(f"{k}={v}" for k, v in each.items()))
def test_endpoint_and_region_are_those_of_botocores_own_client(
    monkeypatch: pytest.MonkeyPatch, config: Path, variables: dict[str, str], *, has_file: bool
) -> None:
    if not has_file:
        config.unlink()
        variables = {name: value for name, value in variables.items() if "PROFILE" not in name}
    set_all(monkeypatch, variables)

    found = read_aws()

    session = botocore.session.Session()
    region = session.get_config_variable("region") or "us-east-1"
    client = session.create_client("s3", region_name=region, aws_access_key_id="x", aws_secret_access_key="x")
    assert found.region == region
    usual = {f"https://s3.{region}.amazonaws.com", "https://s3.amazonaws.com"}
    assert found.endpoint_url == (None if client.meta.endpoint_url in usual else client.meta.endpoint_url)
    assert found.is_custom == ("amazonaws" not in client.meta.endpoint_url)


def test_every_region_in_which_s3_is_in_its_usual_place_needs_no_botocore(monkeypatch: pytest.MonkeyPatch) -> None:
    session = botocore.session.Session()
    for partition in session.get_available_partitions():
        for region in session.get_available_regions("s3", partition):
            monkeypatch.setenv("AWS_REGION", region)
            endpoint = read_aws().endpoint_url
            assert (endpoint is None) == (partition in {"aws", "aws-us-gov"}), f"{region}: {endpoint}"


def test_where_each_value_came_from_is_said(monkeypatch: pytest.MonkeyPatch, config: Path) -> None:
    set_all(monkeypatch, {"AWS_PROFILE": "minio", "AWS_REGION": "eu-central-1"})

    origins = read_aws().origins

    assert origins["region"] == "environment variable AWS_REGION"
    assert origins["endpoint_url"] == f"endpoint_url of profile minio in {config}"
    assert origins["ca_bundle"] == "default"
    monkeypatch.setenv("AWS_PROFILE", "split")
    assert read_aws().origins["endpoint_url"] == f"endpoint_url of services local in {config}"


def test_a_value_of_the_credentials_file_counts_before_that_of_the_configuration(
    monkeypatch: pytest.MonkeyPatch, config: Path, tmp_path: Path
) -> None:
    credentials = tmp_path / "credentials"
    credentials.write_text("[minio]\nregion = ap-south-1\n")
    set_all(monkeypatch, {"AWS_PROFILE": "minio", "AWS_SHARED_CREDENTIALS_FILE": str(credentials)})

    found = read_aws()

    assert (found.region, found.origins["region"]) == ("ap-south-1", f"region of profile minio in {credentials}")
    assert found.origins["endpoint_url"] == f"endpoint_url of profile minio in {config}"


@pytest.mark.usefixtures("config")
def test_a_profile_says_how_buckets_are_addressed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "virtual")
    assert read_aws().addressing == "virtual"
    monkeypatch.setenv("AWS_PROFILE", "minio")
    assert read_aws().addressing is None


def test_keys_of_the_environment_are_used_at_once_those_of_a_profile_later(
    monkeypatch: pytest.MonkeyPatch, config: Path
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "minio")
    assert read_aws().access_key_id is None
    set_all(monkeypatch, {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SECURITY_TOKEN": "t"})

    found = read_aws()

    assert (found.access_key_id, found.secret_access_key, found.session_token) == ("id", "s", "t")
    assert found.endpoint_url == "http://minio.example:9000", "the rest is the profile's still"
    assert config.exists()


# What stands in the profile -> what is said of it.
PROFILES = {
    "endpoint_url = minio.example:9000": "endpoint_url of profile minio in {config}: begins with neither http://",
    "endpoint_url = http://minio.example:9000 # local": "endpoint_url of profile minio in {config}: holds a space",
    "endpoint_url = http://minio.example:port": "endpoint_url of profile minio in {config}: has no usable port",
    "endpoint_url = ftp://minio.example": "endpoint_url of profile minio in {config}: begins with neither http://",
    "endpoint_url = http://me:do-not-show-me@minio.example": "holds a login",
    'endpoint_url = "http://minio.example"': "endpoint_url of profile minio in {config} is in quotes",
    "region = eu west": "region of profile minio in {config}: no region",
    "ca_bundle = /nowhere/ca": "ca_bundle of profile minio in {config}: /nowhere/ca cannot be read: No such file",
    "aws_access_key_id = id\n  more": "aws_access_key_id of profile minio in {config} holds a newline",
    'aws_secret_access_key = "do-not-show-me"': "aws_secret_access_key of profile minio in {config} is in quotes",
    "aws_secret_access_key = do-not-show-me\u00e9": "holds a character that is not ASCII",
    "services = nowhere": "profile minio cannot be used: The profile is configured to use the services",
    "s3 =\n  addressing_style": "{config} is no configuration file",
    "do-not-show-me": "{config} is no configuration file",
}


@pytest.mark.parametrize("line", PROFILES)
def test_what_is_wrong_in_a_profile_is_said_with_its_place(
    monkeypatch: pytest.MonkeyPatch, config: Path, line: str
) -> None:
    config.write_text(f"[profile minio]\n{line}\n")
    monkeypatch.setenv("AWS_PROFILE", "minio")

    with pytest.raises(UnusableAws) as refused:
        read_aws()

    assert PROFILES[line].format(config=config) in str(refused.value)
    assert len(refused.value.problems) == 1
    assert SECRET not in str(refused.value)


def test_a_profile_that_is_nowhere_is_said_with_the_files_that_were_read(
    monkeypatch: pytest.MonkeyPatch, config: Path
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")

    with pytest.raises(UnusableAws, match=f"AWS_PROFILE names the profile 'nobody', which is not in .* or {config}"):
        read_aws()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_cannot_be_read_is_no_empty_file(config: Path) -> None:
    config.chmod(0)

    with pytest.raises(UnusableAws, match=r"AWS_CONFIG_FILE names .*, which cannot be read"):
        read_aws()
