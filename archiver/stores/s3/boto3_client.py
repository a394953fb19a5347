"""boto3's client as we want it, what it raises as our errors, and the credentials that it finds."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from archiver.core.errors import StoreUnavailable
from archiver.stores.s3.boto3_answers import BEFORE_PARSE, refuse_strangers
from archiver.stores.s3.refusals import Refusal, Refused, Stranger, estranged, printable, refused
from contracts import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mypy_boto3_s3 import S3Client

    from archiver.stores.s3.access import S3Access


@contextmanager
def _usable_settings() -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, ValueError) as error:  # an unknown profile, an endpoint that is no URL
        raise BadInput(f"these AWS settings cannot be used: {error}") from error


def s3_client(access: S3Access, *, sign_bodies: bool = True) -> S3Client:
    """Make a client that reads nothing but `access`, tries once, and sends no checksum of its own.

    Without `sign_bodies` a body is not read once more to sign its digest: for calls whose signature covers the
    checksum header.

    Raises:
        BadInput: an unknown profile, an endpoint that is no URL.
    """
    with _usable_settings():
        client = boto3.client(
            "s3",
            endpoint_url=access.endpoint_url,
            region_name=access.region,
            aws_access_key_id=access.access_key_id,
            aws_secret_access_key=access.secret_access_key,
            aws_session_token=access.session_token,
            verify=str(access.ca_bundle) if access.ca_bundle else None,
            config=Config(
                retries={"total_max_attempts": 1},  # the pipeline decides what is tried again
                connect_timeout=access.connect_timeout_s,
                read_timeout=access.read_timeout_s,
                max_pool_connections=access.connections,
                # By default boto3 >= 1.36 writes its own checksum as a trailer into the body, which other
                # stores have kept as part of the object (seaweedfs #6548, boto3 #4435). Ours is a header.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                proxies={urlsplit(access.url).scheme: access.proxy.url} if access.proxy else {},
                ignore_configured_endpoint_urls=True,  # type: ignore[call-arg] # not in the stubs
                s3={
                    "addressing_style": "path" if access.path_style else "virtual",
                    "payload_signing_enabled": sign_bodies,
                },
            ),
        )
    client.meta.events.register(BEFORE_PARSE, refuse_strangers)
    return client


@contextmanager
def refusals(access: S3Access, verb: str, key: str) -> Iterator[None]:
    """Turn what boto3 raises into our errors, in the store's own words."""
    try:
        yield
    except ClientError as error:
        raise refused(access, verb, key, _refusal_in(error.response)) from error
    except Refused as error:
        raise refused(access, verb, key, error.found) from error
    except Stranger as error:
        raise estranged(verb, key, error) from error
    except ParamValidationError:  # a call of ours that no store would take: a defect, not an outage
        raise
    except (BotoCoreError, OSError) as error:
        raise refused(access, verb, key, Refusal(None, _why(error) or "no answer in time")) from error


def _why(error: BaseException) -> str:
    inner: BaseException | None = error
    while inner is not None:
        if "\\x15\\x03" in repr(inner):  # what http.client took for a status line is a TLS alert
            return "what answers speaks TLS"
        inner = inner.__cause__ or inner.__context__
    return str(error)


def _refusal_in(answer: Mapping[str, Any]) -> Refusal:
    said, about = answer["Error"], answer["ResponseMetadata"]
    status, headers = about["HTTPStatusCode"], about.get("HTTPHeaders", {})
    code = said.get("Code")
    return Refusal(
        status,
        printable(said.get("Message", "")),
        None if code in {"", str(status)} else code,  # botocore's, where there is no body to say so
        region=said.get("Region") or headers.get("x-amz-bucket-region", ""),
        endpoint=said.get("Endpoint", ""),
    )


class AwsChain:
    """The credentials that AWS tools find: environment, profile, web identity, container, instance."""

    def __init__(self) -> None:
        with _usable_settings():
            self._session = boto3.Session()

    def credentials(self) -> tuple[str, str, str | None]:
        """Return access key id, secret key and session token, good for at least ten minutes more.

        Blocking: it may ask a metadata service, and renews what is about to end.

        Raises:
            StoreUnavailable: there are none, or they cannot be had now.

        Source: botocore credentials.py: renewal is mandatory ten minutes before the end.
        """
        try:
            found = self._session.get_credentials()
            frozen = found.get_frozen_credentials() if found else None
        except BotoCoreError as error:
            raise StoreUnavailable("be asked", f"no credentials: {error}") from error
        if frozen is None or frozen.access_key is None or frozen.secret_key is None:
            advice = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
            raise StoreUnavailable("be asked", f"no credentials: {advice}")
        return frozen.access_key, frozen.secret_key, frozen.token
