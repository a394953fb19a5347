"""boto3's client as we want it, what it raises as our errors, and the credentials that botocore finds."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import botocore.credentials
import botocore.loaders
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from archiver.core.errors import StoreUnavailable
from archiver.core.setting_text import flaw_in
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

_STEPS_S = (600, 240, 120, 60, 30, 10, 4, 2)


@contextmanager
def _usable_settings() -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, ValueError) as error:  # an unknown profile, an endpoint that is no URL
        raise BadInput(f"these AWS settings cannot be used: {error}") from error


def s3_client(access: S3Access, *, sign_bodies: bool = True) -> S3Client:
    """Make a client that reads nothing but `access`, tries once, and sends no checksum of its own.

    A refusal of the credentials is not a failure as long as others exist: the call is then made again with them.

    Without `sign_bodies` a body is not read once more to sign its digest: for calls whose signature covers the
    checksum header.

    Raises:
        BadInput: an unknown profile, an endpoint that is no URL.
    """
    signing = _Signing(RenewingCredentials(access))
    with _usable_settings():
        session = _session()
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


def _session() -> botocore.session.Session:
    """Make a session that has looked nothing up yet; what botocore knows of services is read once a process."""
    session = botocore.session.Session()
    session.register_component("data_loader", _loader())
    session.get_scoped_config()  # an unknown profile is reported now
    return session


@lru_cache(maxsize=1)
def _loader() -> botocore.loaders.Loader:
    return botocore.loaders.create_loader()


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


class AwsChain:
    """The credentials that AWS tools find: environment, profile, web identity, process, container, instance."""

    def __init__(self, access: S3Access) -> None:
        """Read the files that hold profiles; raises as `credentials`."""
        try:
            self._session = _session()
        except (BotoCoreError, ValueError) as error:  # a file that somebody is writing just now
            raise StoreUnavailable("be asked", f"no credentials: {error}") from error
        # For the services that issue credentials: they are checked against the same authorities as the store.
        self._session.set_config_variable("ca_bundle", authorities_file(access.ca_bundle))

    @property
    def origin(self) -> str:
        """Return where `credentials` found them."""
        found, session = self._session.get_credentials(), self._session
        profile = session.get_config_variable("profile") or "default"
        file = session.get_config_variable("config_file")
        if found is not None and found.method == "shared-credentials-file":
            file = session.get_config_variable("credentials_file")
        in_profile = f"profile {profile} in {Path(os.path.expandvars(file)).expanduser()}"
        named = {
            "env": "environment variable AWS_ACCESS_KEY_ID",
            "shared-credentials-file": in_profile,
            "config-file": in_profile,
            "custom-process": f"credential_process of {in_profile}",
            "sso": f"single sign-on of {in_profile}",
            "assume-role": f"assumed role of {in_profile}",
            "assume-role-with-web-identity": "web identity",
            "container-role": "container credentials",
            "iam-role": "instance metadata",
        }
        return named.get(found.method, found.method) if found else ""

    def credentials(self) -> tuple[str, str, str | None]:
        """Return access key id, secret key and session token, good for `good_for_s` more.

        Blocking: it may run a program or ask a service, and renews what is about to end.

        Raises:
            StoreUnavailable: there are none, or they cannot be had now.

        Source: botocore credentials.py: renewal is mandatory ten minutes before the end.
        """
        try:
            found = self._session.get_credentials()
            frozen = found.get_frozen_credentials() if found else None
        except (BotoCoreError, OSError, ValueError, RuntimeError) as error:  # a file half written, no such program
            raise StoreUnavailable("be asked", f"no credentials: {error}") from error
        if frozen is None or frozen.access_key is None or frozen.secret_key is None:
            advice = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
            raise StoreUnavailable("be asked", f"no credentials: {advice}")
        for what, text in (("id", frozen.access_key), ("secret", frozen.secret_key), ("token", frozen.token or "")):
            if flaw := flaw_in(text, is_ascii=True):
                raise StoreUnavailable("be asked", f"no credentials: the {what} from {self.origin} {flaw}")
        return frozen.access_key, frozen.secret_key, frozen.token

    def good_for_s(self) -> float:
        """Return for how long what `credentials` returned can be used: half of what is left, 300 s at most."""
        found = self._session.get_credentials()
        if not isinstance(found, botocore.credentials.RefreshableCredentials):
            return _STEPS_S[0] / 2
        return next((step / 2 for step in _STEPS_S if not found.refresh_needed(step)), 0)
