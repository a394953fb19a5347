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

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from archiver.core.subjects import SCHEDULE_STREAM, stream_name
from archiver.core.values import MAX_BUNDLE_BYTES
from archiver.stores.s3.access import S3Access
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


class Settings(BaseSettings):
    """What the archiver can be told. Sizes are bytes, times are seconds."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, env_ignore_empty=True, extra="ignore", frozen=True)

    bucket: Annotated[
        str, Field(min_length=3, max_length=63, pattern=_BUCKET, description="bucket that holds blobs and references")
    ]
    prefix: Annotated[
        str, Field(max_length=400, pattern=_FOLDERS, description="part of the bucket that the archive lives in")
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
    slots: Annotated[int, Field(ge=1, le=256, description="messages that one worker has in hand at most")] = 64
    store_timeout_s: Annotated[float, Field(gt=0, description="silence after which a call to the store failed")] = 20.0
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
        float, Field(ge=0, description="how long a bundle is looked for; only time in which a worker looks counts")
    ] = 900.0
    empty_sources: Annotated[
        Literal["suspect", "accept"],
        Field(description="no expected bundle is found: suspect (not ready, events wait) or accept (dead-letter them)"),
    ] = "suspect"
    ack_wait_s: Annotated[float, Field(ge=1, description="silence after which NATS delivers again")] = 60.0
    grace_s: Annotated[float, Field(ge=0, description="time to finish at SIGTERM")] = 25.0
    log_format: Annotated[Literal["auto", "text", "json"], Field(description="auto: text on a terminal")] = "auto"
    worker: Annotated[
        str, Field(description="name of this worker in references", default_factory=_worker, min_length=1)
    ]

    access_key_id: Annotated[str | None, Field(validation_alias="AWS_ACCESS_KEY_ID")] = None
    secret_access_key: Annotated[SecretStr | None, Field(validation_alias="AWS_SECRET_ACCESS_KEY")] = None
    session_token: Annotated[SecretStr | None, Field(validation_alias="AWS_SESSION_TOKEN")] = None
    gc_access_key_id: Annotated[str | None, Field(description="key id of an identity that may delete, for gc")] = None
    gc_secret_access_key: Annotated[SecretStr | None, Field(description="its secret key")] = None
    region: Annotated[str, Field(validation_alias=AliasChoices("AWS_REGION", "AWS_DEFAULT_REGION"))] = "us-east-1"
    endpoint_url: Annotated[
        str | None,
        Field(validation_alias=AliasChoices("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"), pattern=r"^https?://[^/@]+/?$"),
    ] = None
    ca_bundle: Annotated[Path | None, Field(validation_alias="AWS_CA_BUNDLE")] = None

    @property
    def s3(self) -> S3Access:
        """How to reach the bucket."""
        access = S3Access(
            bucket=self.bucket,
            prefix=self.prefix,
            endpoint_url=self.endpoint_url,
            region=self.region,
            access_key_id=self.access_key_id,
            secret_access_key=_bare(self.secret_access_key),
            session_token=_bare(self.session_token),
            ca_bundle=self.ca_bundle,
            read_timeout_s=self.store_timeout_s,
            connections=self.slots + 4,
        )
        return replace(access, proxy=proxy_for(access.url, os.environ))

    @property
    def for_gc(self) -> Settings:
        """The same settings with the credentials of gc, if it has its own."""
        if self.gc_access_key_id is None:
            return self
        own = {"access_key_id": self.gc_access_key_id, "secret_access_key": self.gc_secret_access_key}
        return self.model_copy(update=own | {"session_token": None})


def load_settings() -> Settings:
    """Read the settings from the environment.

    Raises:
        BadInput: every problem at once, each with the variable and what is expected.
    """
    problems = list(_unknown(os.environ))
    settings = None
    try:
        settings = Settings()  # type: ignore[call-arg] # filled from the environment
    except ValidationError as error:
        # A default that is made of other settings is no problem of its own.
        problems += [_told(each) for each in error.errors() if each["type"] != "default_factory_not_called"]
    for start in ("AWS_", f"{_PREFIX}GC_"):
        pair = f"{start}ACCESS_KEY_ID", f"{start}SECRET_ACCESS_KEY"
        if bool(os.environ.get(pair[0])) != bool(os.environ.get(pair[1])):
            problems.append(f"{pair[0]} and {pair[1]} go together; one of them is not set")
    if settings is None or problems:
        raise BadInput("the settings cannot be used:\n" + "\n".join(f"  {problem}" for problem in problems))
    return settings


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


def shown(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """List (variable, value, meaning) of every setting; secrets as ***."""
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        yield (
            _variable(name),
            "***" if isinstance(value, SecretStr) else _text(value),
            (field.description or ""),
        )


def _text(value: object) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value if value is not None else "")


def _bare(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


def _variable(name: str) -> str:
    alias = Settings.model_fields[name].validation_alias if name in Settings.model_fields else None
    if isinstance(alias, AliasChoices):
        return " or ".join(str(choice) for choice in alias.choices)
    return alias if isinstance(alias, str) else f"{_PREFIX}{name.upper()}"


def _unknown(environ: Mapping[str, str]) -> Iterator[str]:
    known = [_variable(name) for name in Settings.model_fields]
    for name in sorted(environ):
        if name.startswith(_PREFIX) and name not in known:
            near = nearest(name, known)
            yield f"{name} is not a setting" + (f"; did you mean {near}?" if near else "")


def _told(error: object) -> str:
    assert isinstance(error, dict)
    name = str(error["loc"][0])
    variable = next((each for each in map(_variable, Settings.model_fields) if name in each.split(" or ")), "")
    variable = variable or _variable(name)
    if error["type"] == "missing":
        return f"{variable} is not set; expected the {Settings.model_fields[name].description}"
    # Before the '@' of a URL stands a password.
    is_secret = "SECRET" in variable or "TOKEN" in variable or "@" in str(error["input"])
    found = "" if is_secret else f", found {str(error['input'])!r}"
    return f"{variable}: {error['msg'][0].lower()}{error['msg'][1:]}{found}"
