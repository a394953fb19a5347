"""boto3's client as we want it, and what it raises as our errors."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import botocore.credentials
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from archiver.stores.s3.aws_chain import aws_session
from archiver.stores.s3.boto3_answers import BEFORE_PARSE, refuse_strangers
from archiver.stores.s3.credentials import RenewingCredentials, may_be_rejected
from archiver.stores.s3.refusals import Refusal, Refused, Stranger, estranged, printable, refused
from archiver.stores.s3.trust import authorities_file
from contracts import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mypy_boto3_s3 import S3Client

    from archiver.stores.s3.access import S3Access
    from archiver.stores.s3.sigv4 import Credentials


@contextmanager
def _usable_settings() -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, ValueError) as error:  # an unknown profile, an endpoint that is no URL
        raise BadInput(f"these AWS settings cannot be used: {error}") from error


def s3_client(access: S3Access, *, sign_bodies: bool = True) -> S3Client:
    """Make a client that reads nothing but `access`, tries once, and adds no checksum.

    A refusal of the credentials is not a failure as long as others exist: the call is then made again with them.

    Without `sign_bodies` a body is not read once more to sign its digest: for calls whose signature covers the
    checksum header.

    Raises:
        BadInput: an unknown profile, an endpoint that is no URL.
    """
    signing = _Signing(RenewingCredentials(access))
    with _usable_settings():
        session = aws_session()
        session.register_component("credential_provider", signing)
        client: S3Client = boto3.Session(botocore_session=session).client(
            "s3",
            endpoint_url=access.endpoint_url,
            region_name=access.region,
            verify=authorities_file(access.ca_bundle) if access.url.startswith("https:") else None,
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
    client.meta.events.register_first("needs-retry.s3", signing.needs_retry)  # type: ignore[arg-type] # its answer counts
    return client


class _Signing(botocore.credentials.Credentials):
    """What botocore asks for credentials: the provider, and the credentials themselves, for any number of threads."""

    def __init__(self, credentials: RenewingCredentials) -> None:
        super().__init__("", "")  # each request is signed with `get_frozen_credentials`
        self._credentials = credentials
        self._used = threading.local()  # boto3 signs, sends and judges a request in one thread

    def load_credentials(self) -> _Signing:
        """See `botocore.credentials.CredentialResolver`."""
        return self

    def get_frozen_credentials(self) -> botocore.credentials.ReadOnlyCredentials:
        """See `botocore.credentials.Credentials`."""
        self._used.last = used = self._credentials.now or self._credentials.renew()
        return botocore.credentials.ReadOnlyCredentials(used.access_key_id, used.secret_access_key, used.token)

    def needs_retry(self, response: tuple[Any, dict[str, Any]] | None, attempts: int, **_: object) -> int | None:
        """Return 0, the seconds to wait, where a refused call is worth another with other credentials."""
        if response is None or attempts > 1:
            return None
        used: Credentials | None = getattr(self._used, "last", None)
        code = response[1].get("Error", {}).get("Code")
        if used is None or not may_be_rejected(response[0].status_code, code):
            return None
        return 0 if self._credentials.renew(used) != used else None


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
    except ParamValidationError:  # our call is one that no store would take: a defect, not an outage
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
        None if code in {"", str(status)} else code,  # botocore's own, without a body
        region=said.get("Region") or headers.get("x-amz-bucket-region", ""),
        endpoint=said.get("Endpoint", ""),
    )
