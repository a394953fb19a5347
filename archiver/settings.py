"""Settings from the environment: AWS_* as every S3 tool reads them, NATS_*, and ARCHIVER_* for the rest.

All problems are reported at once. An ARCHIVER_ variable that nothing reads is a problem too: a misspelt
setting must not silently be its default.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from archiver.core.errors import StoreUnavailable
from archiver.core.setting_text import flaw_in
from archiver.core.subjects import SCHEDULE_STREAM, stream_name
from archiver.core.values import MAX_BUNDLE_BYTES
from archiver.stores.s3.access import S3Access
from archiver.stores.s3.aws import (
    CA_BUNDLE,
    ENDPOINT,
    KEY_ID,
    REGION,
    SECRET,
    TOKEN,
    AwsSettings,
    UnusableAws,
    read_aws,
)
from contracts import BadInput
from contracts.toolkit import NatsAccess, nearest, proxy_for

_PREFIX = "ARCHIVER_"
_NATS_NAME = r"^[^\s.*>/\\]+$"  # of streams and consumers; nats-py raises ValueError for others
_SUBJECT_PREFIX = r"^([a-z0-9-]+\.)*$"  # so that no two of them name the same stream
_OBJECT_STORE = r"^[A-Za-z0-9_-]+$"  # as every client of the NATS Object Store has it
_BUCKET = r"^[a-z0-9][a-z0-9.-]+[a-z0-9]$"  # as contract kaizen.schedule.archived@1 has it
_FOLDERS = r"^/?([^/.\s][^/\s]*/)*([^/.\s][^/\s]*)?$"  # no empty segment, no '.' and '..'


def _worker() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


def _stream(told: Mapping[str, Any]) -> str:
    return stream_name(SCHEDULE_STREAM, told.get("subject_prefix", ""))  # missing where it cannot be used


def _words(value: object) -> object:
    return [word.strip() for word in value.split(",")] if isinstance(value, str) else value


def _as_prefix(folders: str) -> str:
    """Return folders as keys begin: with a slash at the end, or ''."""
    bare = folders.strip("/")
    return f"{bare}/" if bare else ""


class Settings(BaseSettings):
    """The settings of the archiver. Sizes are bytes, times are seconds."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, env_ignore_empty=True, extra="ignore", frozen=True)

    bucket: Annotated[
        str, Field(min_length=3, max_length=63, pattern=_BUCKET, description="bucket that holds blobs and references")
    ]
    prefix: Annotated[
        str,
        Field(max_length=400, pattern=_FOLDERS, description="part of the bucket that the archive lives in"),
        AfterValidator(_as_prefix),
    ] = ""
    sources: Annotated[
        tuple[Literal["spool", "object_store"], ...],
        NoDecode,
        BeforeValidator(_words),
        Field(description="where emitters leave bundles, in the order in which they are asked: spool,object_store"),
    ] = ("spool",)
    spool: Annotated[Path | None, Field(description="directory of the source spool, which `run` then needs")] = None
    object_store: Annotated[str, Field(pattern=_OBJECT_STORE, description="bucket of the source object_store")] = (
        "KAIZEN_BUNDLES"
    )
    subject_prefix: Annotated[
        str, Field(max_length=100, pattern=_SUBJECT_PREFIX, description="before every subject, such as staging.")
    ] = ""
    stream: Annotated[
        str,
        Field(pattern=_NATS_NAME, description="stream that holds the events", default_factory=_stream),
    ]
    consumer: Annotated[str, Field(pattern=_NATS_NAME, description="durable consumer that all workers share")] = (
        "archiver"
    )
    store: Annotated[Literal["direct", "boto3"], Field(description="driver of the data path")] = "direct"
    slots: Annotated[int, Field(ge=1, le=256, description="messages in progress in one worker, at most")] = 64
    store_timeout_s: Annotated[
        float, Field(gt=0, allow_inf_nan=False, description="silence after which a call to the store failed")
    ] = 20.0
    compression: Annotated[
        Literal["auto", "off"], Field(description="auto: a bundle is stored as zstd where that saves a tenth")
    ] = "off"
    replays: Annotated[
        Literal["archive", "ignore", "separate"],
        Field(description="replayed events: archive like any other, ignore, or archive apart under replays/v1/"),
    ] = "archive"
    max_bundle_bytes: Annotated[int, Field(ge=1, description="larger bundles are refused, archived ones included")] = (
        MAX_BUNDLE_BYTES
    )
    bundle_deadline_s: Annotated[
        float,
        Field(
            ge=0,
            allow_inf_nan=False,
            description="how long a bundle is looked for; only time in which a worker looks counts",
        ),
    ] = 900.0
    empty_sources: Annotated[
        Literal["suspect", "accept"],
        Field(description="no expected bundle is found: suspect (not ready, events wait) or accept (dead-letter them)"),
    ] = "suspect"
    ack_wait_s: Annotated[
        float, Field(ge=1, allow_inf_nan=False, description="silence after which NATS delivers again")
    ] = 60.0
    grace_s: Annotated[float, Field(ge=0, allow_inf_nan=False, description="time to finish at SIGTERM")] = 25.0
    log_format: Annotated[Literal["auto", "text", "json"], Field(description="auto: text on a terminal")] = "auto"
    worker: Annotated[
        str, Field(description="name of this worker in references", default_factory=_worker, min_length=1)
    ]

    gc_access_key_id: Annotated[str | None, Field(description="key id of an identity that may delete, for gc")] = None
    gc_secret_access_key: Annotated[SecretStr | None, Field(description="its secret key")] = None

    _aws: AwsSettings | None = None
    _is_for_gc: bool = False

    @property
    def aws(self) -> AwsSettings:
        """How S3 is reached, resolved once.

        Raises:
            UnusableAws: it was not resolved before, and cannot be.
        """
        if self._aws is None:
            self._aws = read_aws()
        return self._aws

    @property
    def s3(self) -> S3Access:
        """How to reach the bucket."""
        aws = self.aws
        addressing = aws.addressing
        if addressing is None and not aws.is_custom and "." not in self.bucket:
            addressing = "virtual"
        access = S3Access(
            bucket=self.bucket,
            prefix=self.prefix,
            endpoint_url=aws.endpoint_url,
            region=aws.region,
            access_key_id=aws.access_key_id,
            secret_access_key=aws.secret_access_key,
            session_token=aws.session_token,
            ca_bundle=aws.ca_bundle,
            addressing=addressing,
            read_timeout_s=self.store_timeout_s,
            connections=self.slots + 4,
        )
        if self._is_for_gc and self.gc_secret_access_key is not None:
            access = replace(
                access,
                access_key_id=self.gc_access_key_id,
                secret_access_key=self.gc_secret_access_key.get_secret_value(),
                session_token=None,
            )
        return replace(access, proxy=proxy_for(access.url, os.environ))

    @property
    def for_gc(self) -> Settings:
        """The same settings with the credentials of gc, if it has its own."""
        if self.gc_access_key_id is None:
            return self
        own = self.model_copy()
        own._is_for_gc = True  # noqa: SLF001 - a copy of our own
        return own


def load_settings(**given: str) -> Settings:
    """Read the settings from the environment, and how S3 is reached from where AWS tools are configured.

    Settings that are `given` count before the environment.

    Raises:
        BadInput: every problem at once, each with the variable or profile and what is wrong with it.
    """
    problems = list(_unknown(os.environ))
    flawed = dict(_flawed(os.environ))
    problems += [f"{name} {flaw}" for name, flaw in flawed.items()]
    settings = None
    try:
        settings = Settings(**given)  # type: ignore[arg-type] # the rest from the environment
    except ValidationError as error:
        # A default derived from other settings is not a separate problem.
        told = [each for each in error.errors() if each["type"] != "default_factory_not_called"]
        problems += [_told(each) for each in told if _variable(str(each["loc"][0])) not in flawed]
    pair = f"{_PREFIX}GC_ACCESS_KEY_ID", f"{_PREFIX}GC_SECRET_ACCESS_KEY"
    if bool(os.environ.get(pair[0])) != bool(os.environ.get(pair[1])):
        problems.append(f"{pair[0]} and {pair[1]} go together; one of them is not set")
    try:
        aws = read_aws()
        if settings is not None:
            settings._aws = aws  # noqa: SLF001 - a part of loading
            proxy_for(settings.s3.url, os.environ)
    except UnusableAws as error:
        problems += error.problems
    except BadInput as error:
        problems.append(str(error))
    if settings is None or problems:
        raise BadInput("the settings cannot be used:\n" + "\n".join(f"  {problem}" for problem in problems))
    return settings


def _flawed(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in map(_variable, Settings.model_fields):
        if flaw := flaw_in(environ.get(name, ""), is_ascii="_KEY" in name):
            yield name, flaw


def nats_access() -> NatsAccess:
    """Read where NATS is from the environment.

    Raises:
        BadInput: nothing names a server, or a variable or context cannot be used.
    """
    access = NatsAccess.from_environment(os.environ)
    if access is None:
        raise BadInput(
            "NATS_URL is not set; expected the server, for example nats://127.0.0.1:4222, or a context in NATS_CONTEXT"
        )
    return access


def shown(settings: Settings) -> Iterator[tuple[str, str, str, str]]:
    """List (variable, value, where it came from, meaning) of every setting; secrets as ***.

    Credentials that no variable holds are looked up, which may run a program or ask a service.
    """
    for name, field in Settings.model_fields.items():
        value, variable = getattr(settings, name), _variable(name)
        yield (
            variable,
            "***" if isinstance(value, SecretStr) else _text(value),
            f"environment variable {variable}" if os.environ.get(variable) else "default",
            field.description or "",
        )
    aws = settings.aws
    values = {
        "endpoint_url": (ENDPOINT, settings.s3.url, "where the store is"),
        "region": (REGION, aws.region, "region that requests are signed for"),
        "ca_bundle": (CA_BUNDLE, _text(aws.ca_bundle), "authorities that the store's certificate is checked against"),
    }
    for name, (variables, text, meaning) in values.items():
        yield " or ".join(variables), text, aws.origins.get(name, "default"), meaning
    proxy = settings.s3.proxy
    yield (
        "HTTP_PROXY, HTTPS_PROXY or ALL_PROXY",
        proxy.place if proxy else "",
        f"environment variable {proxy.variable}" if proxy else "default",
        "proxy that leads to the store",
    )
    yield from _identity(settings.s3)


def _identity(access: S3Access) -> Iterator[tuple[str, str, str, str]]:
    key_id, token, origin = access.access_key_id, access.session_token, f"environment variable {KEY_ID[0]}"
    if key_id is None:
        from archiver.stores.s3.aws_chain import AwsChain  # noqa: PLC0415 - 0.3 s of a start

        chain = AwsChain(access)
        try:
            key_id, _, token = chain.credentials()
            origin = chain.origin
        except StoreUnavailable as error:
            key_id, origin = "", error.why
    for variable, text, meaning in (
        (KEY_ID[0], key_id, "key id of the identity that reads and writes"),
        (SECRET[0], "***" if key_id else "", "its secret key"),
        (TOKEN[1], "***" if token else "", "its session token, if it is a temporary one"),
    ):
        yield variable, text or "", origin if text or not key_id else "default", meaning


def _text(value: object) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value if value is not None else "")


def _variable(name: str) -> str:
    return f"{_PREFIX}{name.upper()}"


def _unknown(environ: Mapping[str, str]) -> Iterator[str]:
    known = [_variable(name) for name in Settings.model_fields]
    for name in sorted(environ):
        if name.startswith(_PREFIX) and name not in known:
            near = nearest(name, known)
            yield f"{name} is not a setting" + (f"; did you mean {near}?" if near else "")


def _told(error: object) -> str:
    assert isinstance(error, dict)
    name = str(error["loc"][0])
    variable = _variable(name)
    if error["type"] == "missing":
        return f"{variable} is not set; expected the {Settings.model_fields[name].description}"
    found = "" if "SECRET" in variable else f", found {str(error['input'])!r}"
    return f"{variable}: {error['msg'][0].lower()}{error['msg'][1:]}{found}"
