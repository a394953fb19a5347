"""The control path, in process against moto, which is faithful enough for buckets (not for objects)."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from archiver.adapters.s3_control import BucketControl
from archiver.core.s3_access import S3Access
from archiver.errors import BucketMissing, StoreUnavailable
from contracts import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator


def access(bucket: str = "archive", region: str = "eu-central-1") -> S3Access:
    return S3Access(bucket=bucket, region=region, access_key_id="id", secret_access_key="secret")


@pytest.fixture(autouse=True)
def _no_aws() -> Iterator[None]:
    with mock_aws():
        yield


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
def test_a_bucket_is_made_in_the_region_that_was_asked_for(region: str) -> None:
    with closing(BucketControl(access(region=region))) as control:
        assert control.create_bucket() is True

    place = boto3.client("s3", region_name=region).get_bucket_location(Bucket="archive")
    assert (place["LocationConstraint"] or "us-east-1") == region


def test_a_bucket_of_ours_that_is_there_already_is_left_as_it_is() -> None:
    with closing(BucketControl(access())) as control:
        control.create_bucket()

        assert control.create_bucket() is False


def test_a_bucket_name_that_the_store_refuses_is_told_in_its_words() -> None:
    with (
        closing(BucketControl(access(bucket="ab"))) as control,
        pytest.raises(StoreUnavailable, match="make bucket 'ab': 400 InvalidBucketName"),
    ):
        control.create_bucket()


@pytest.mark.parametrize("status", ["Enabled", "Suspended"])
def test_versioning_is_told_as_the_bucket_has_it(status: str) -> None:
    with closing(BucketControl(access())) as control:
        control.create_bucket()
        assert control.versioning() == "Off"

        boto3.client("s3", region_name="eu-central-1").put_bucket_versioning(
            Bucket="archive", VersioningConfiguration={"Status": status}
        )

        assert control.versioning() == status


def test_the_versioning_of_a_missing_bucket_says_how_to_make_it() -> None:
    with (
        closing(BucketControl(access())) as control,
        pytest.raises(BucketMissing, match="archiver init --create-bucket"),
    ):
        control.versioning()


def test_an_unknown_profile_is_a_setting_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)

    with pytest.raises(BadInput, match="nobody"):
        BucketControl(S3Access(bucket="archive"))
