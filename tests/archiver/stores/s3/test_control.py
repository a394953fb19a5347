"""The control path, in process against moto, which is faithful enough for buckets (not for objects)."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from archiver.core.errors import BucketMissing, StoreUnavailable
from archiver.core.health_checks import LifecycleRule
from archiver.stores.s3.access import S3Access
from archiver.stores.s3.control import BucketControl
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


@pytest.mark.parametrize(
    ("retention", "told"),
    [
        (None, "on"),
        ({"Mode": "GOVERNANCE", "Days": 30}, "GOVERNANCE for 30 days"),
        ({"Mode": "COMPLIANCE", "Years": 7}, "COMPLIANCE for 7 years"),
    ],
    ids=str,
)
def test_object_lock_is_told_with_what_every_new_object_gets(retention: dict[str, object] | None, told: str) -> None:
    client = boto3.client("s3", region_name="us-east-1")
    client.create_bucket(Bucket="archive", ObjectLockEnabledForBucket=True)
    if retention:
        client.put_object_lock_configuration(
            Bucket="archive",
            ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": retention}},
        )

    with closing(BucketControl(access(region="us-east-1"))) as control:
        assert control.object_lock() == told


def test_a_bucket_without_rules_or_lock_says_so() -> None:
    with closing(BucketControl(access())) as control:
        control.create_bucket()

        assert control.object_lock() == "off"
        assert control.lifecycle() == []


def test_only_rules_in_force_that_reach_untagged_objects_are_told() -> None:
    on = {"Status": "Enabled"}
    rules = [
        on | {"ID": "1", "Filter": {"Prefix": "a/"}, "Expiration": {"Days": 3}},
        on | {"ID": "2", "Prefix": "b/", "Expiration": {"Date": "2030-01-02T00:00:00Z"}},
        on | {"ID": "3", "Filter": {}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}},
        on | {"ID": "4", "Filter": {"And": {"Prefix": "c/", "ObjectSizeGreaterThan": 9}}, "Expiration": {"Days": 5}},
        on | {"ID": "5", "Filter": {"Tag": {"Key": "k", "Value": "v"}}, "Expiration": {"Days": 3}},
        {"Status": "Disabled", "ID": "6", "Filter": {"Prefix": "d/"}, "Expiration": {"Days": 3}},
    ]
    with closing(BucketControl(access())) as control:
        control.create_bucket()
        boto3.client("s3", region_name="eu-central-1").put_bucket_lifecycle_configuration(
            Bucket="archive", LifecycleConfiguration={"Rules": rules}
        )

        assert control.lifecycle() == [
            LifecycleRule("a/", "after 3 d"),
            LifecycleRule("b/", "on 2030-01-02"),
            LifecycleRule("", "", parts_after_days=7),
            LifecycleRule("c/", "after 5 d"),
        ]


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
