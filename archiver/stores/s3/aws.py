"""How this machine reaches S3, as botocore resolves it: environment, profile, services section, defaults."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from archiver.core.setting_text import flaw_in, flaw_in_endpoint
from contracts import BadInput

if TYPE_CHECKING:
    from botocore.session import Session

ENDPOINT: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
REGION: Final = ("AWS_REGION", "AWS_DEFAULT_REGION")
CA_BUNDLE: Final = ("AWS_CA_BUNDLE",)
KEY_ID: Final = ("AWS_ACCESS_KEY_ID",)
SECRET: Final = ("AWS_SECRET_ACCESS_KEY",)
TOKEN: Final = ("AWS_SECURITY_TOKEN", "AWS_SESSION_TOKEN")  # in botocore's order
_PROFILE: Final = ("AWS_DEFAULT_PROFILE", "AWS_PROFILE")  # in botocore's order
_FILES: Final = {"AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials", "AWS_CONFIG_FILE": "~/.aws/config"}
_IN_HEADERS: Final = {*KEY_ID, *SECRET, *TOKEN}
_PLAIN: Final = {*ENDPOINT, *REGION, *CA_BUNDLE, *_IN_HEADERS, *_FILES, "AWS_EC2_METADATA_DISABLED"}
_DEFAULT_REGION: Final = "us-east-1"
_REGION_NAME: Final = re.compile(r"(?![0-9]+$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")  # as botocore has it

_USUAL_REGION: Final = re.compile(
    r"(af|ap|ca|eu|il|me|mx|sa|us)-(north|south|east|west|central|[a-z]+(east|west))-[0-9]+"
)
"""Where S3 is `s3.REGION.amazonaws.com`: not in China, GovCloud and the like."""


class UnusableAws(BadInput):
    """Settings that no store can be reached with; `problems` has a line for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("these AWS settings cannot be used:\n" + "\n".join(f"  {each}" for each in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class AwsSettings:
    """What was resolved, and where each value came from: `origins`, by the field's name.

    `endpoint_url` None means AWS itself in its usual place. `is_custom` means that an endpoint was configured.
    `addressing` is what a profile asks for. Without `access_key_id` the identity is found by botocore, and renewed.
    """

    endpoint_url: str | None = None
    is_custom: bool = False
    region: str = _DEFAULT_REGION
    ca_bundle: Path | None = None
    addressing: Literal["path", "virtual"] | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    origins: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Value:
    """The text of a setting and where it came from; '' where nobody set it."""

    text: str = ""
    origin: str = "default"


_UNSET: Final = _Value()


def read_aws() -> AwsSettings:
    """Resolve how S3 is reached, and check each value that counts.

    An empty variable is as good as none; it is removed from the environment, since botocore takes it for a value.

    Raises:
        UnusableAws: every problem at once, each with its variable or profile; no secret is shown.
    """
    for name in [name for name in os.environ if name.startswith("AWS_") and not os.environ[name]]:
        del os.environ[name]
    problems = [*_flaws_of_names()]
    profile = None if problems or _is_plain() else _Profile.read(problems)
    values = {
        "endpoint_url": _variable(ENDPOINT) if profile is None else profile.endpoint(),
        "region": _variable(REGION, profile, "region"),
        "ca_bundle": _variable(CA_BUNDLE, profile, "ca_bundle"),
        "access_key_id": _variable(KEY_ID),
        "secret_access_key": _variable(SECRET),
        "session_token": _variable(TOKEN),
    }
    problems += _flaws(values)
    if profile is not None and not values["access_key_id"].text:
        problems += profile.flaws_of_keys()
    url = values["endpoint_url"].text or None
    region = values["region"].text or _DEFAULT_REGION
    if profile is not None and not problems:
        url = profile.resolved_endpoint(region, problems)
    if problems:
        raise UnusableAws(problems)
    has_keys = bool(values["access_key_id"].text and values["secret_access_key"].text)
    return AwsSettings(
        endpoint_url=None if url in {f"https://s3.{region}.amazonaws.com", "https://s3.amazonaws.com"} else url,
        is_custom=bool(values["endpoint_url"].text),
        region=region,
        ca_bundle=Path(values["ca_bundle"].text).expanduser() if values["ca_bundle"].text else None,
        addressing=profile.addressing() if profile else None,
        access_key_id=values["access_key_id"].text if has_keys else None,
        secret_access_key=values["secret_access_key"].text if has_keys else None,
        session_token=(values["session_token"].text or None) if has_keys else None,
        origins={name: value.origin for name, value in values.items()},
    )


def _is_plain() -> bool:
    """Return whether botocore would return the environment's values unchanged: no profile, no file, no special region.

    Its import, which costs more than all else at a start, can then wait until it is needed.
    """
    names = {name for name in os.environ if name.startswith("AWS_")}
    region = next((os.environ[name] for name in REGION if name in os.environ), _DEFAULT_REGION)
    is_known = bool(names & {*ENDPOINT}) or _USUAL_REGION.fullmatch(region) is not None
    return is_known and names <= _PLAIN and not any(_path(name).is_file() for name in _FILES)


def _path(variable: str) -> Path:
    return Path(os.path.expandvars(os.environ.get(variable, _FILES[variable]))).expanduser()


def _variable(names: tuple[str, ...], profile: _Profile | None = None, key: str = "") -> _Value:
    for name in names:
        if value := os.environ.get(name):
            return _Value(value, f"environment variable {name}")
    return profile.value(key) if profile else _UNSET


def _flaws_of_names() -> Iterator[str]:
    """Check what decides where other values are looked for."""
    for name in (*_PROFILE, *_FILES):
        if flaw := flaw_in(os.environ.get(name, "")):
            yield f"{name} {flaw}"
    for name in _FILES:
        path = _path(name)
        if path.is_file() and not os.access(path, os.R_OK):
            yield f"{name if name in os.environ else path} names {path}, which cannot be read"


def _flaws(values: Mapping[str, _Value]) -> Iterator[str]:
    for name, value in values.items():
        shown = value.origin.removeprefix("environment variable ")
        if flaw := flaw_in(value.text, is_ascii=name != "ca_bundle"):
            yield f"{shown} {flaw}"
        elif value.text and (why := _CHECKS.get(name, _anything)(value.text)):
            yield f"{shown}: {why}"
    if bool(values["access_key_id"].text) != bool(values["secret_access_key"].text):
        yield f"{KEY_ID[0]} and {SECRET[0]} go together; one of them is not set"
    if not values["ca_bundle"].text:
        file, folders = os.environ.get("SSL_CERT_FILE", ""), os.environ.get("SSL_CERT_DIR", "")
        if flaw := flaw_in(file):
            yield f"SSL_CERT_FILE {flaw}"
        elif file and (why := _why_no_authorities(file)):
            yield f"SSL_CERT_FILE: {why}"
        if folders and not any(Path(each).is_dir() for each in folders.split(":")):
            yield f"SSL_CERT_DIR: no such directory, found {folders!r}"


def _why_no_endpoint(text: str) -> str | None:
    why = flaw_in_endpoint(text)
    return f"{why}, found {text!r}" if why and "@" not in text else why  # before an '@' stands a password


def _why_no_region(text: str) -> str | None:
    return None if _REGION_NAME.fullmatch(text) else f"no region, expected for example us-east-1, found {text!r}"


def _why_no_authorities(text: str) -> str | None:
    path = Path(text).expanduser()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        with path.open("rb"):
            context.load_verify_locations(cafile=path)
    except ssl.SSLError:
        return f"{path} holds no certificate as PEM"
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    return None if context.cert_store_stats()["x509"] else f"{path} holds no certificate as PEM"


def _anything(_: str) -> None:
    return None


_CHECKS: Final = {"endpoint_url": _why_no_endpoint, "region": _why_no_region, "ca_bundle": _why_no_authorities}


@dataclass(frozen=True, slots=True)
class _Profile:
    """The profile in force, as botocore reads it."""

    session: Session
    name: str
    values: Mapping[str, Any]

    @classmethod
    def read(cls, problems: list[str]) -> _Profile | None:
        """Read the files that hold profiles; what is wrong with them goes to `problems`."""
        import botocore.session  # noqa: PLC0415 - 0.3 s of a start
        from botocore.exceptions import BotoCoreError, ConfigParseError, ProfileNotFound  # noqa: PLC0415

        files = " or ".join(str(_path(name)) for name in _FILES)
        session = botocore.session.Session()
        name = session.get_config_variable("profile") or "default"
        try:
            return cls(session, name, session.get_scoped_config())
        except ProfileNotFound:
            variable = next((each for each in _PROFILE if each in os.environ), _PROFILE[-1])
            problems.append(f"{variable} names the profile {name!r}, which is not in {files}")
        except ConfigParseError as error:
            told: Mapping[str, Any] = error.kwargs
            problems.append(f"{told['path']} is no configuration file: {_first_line(told['error'])}")
        except (BotoCoreError, OSError, ValueError) as error:
            problems.append(f"{files} cannot be used: {_first_line(error)}")
        return None

    def value(self, key: str) -> _Value:
        """Return the profile's values, as text."""
        found = self.values.get(key)
        return _Value(found, self._origin(key)) if isinstance(found, str) and found else _UNSET

    def endpoint(self) -> _Value:
        """Return the endpoint that is configured for S3, in the order of botocore's ConfiguredEndpointProvider."""
        if self.session.get_config_variable("ignore_configured_endpoint_urls"):
            return _UNSET
        if (found := _variable(ENDPOINT)).text:
            return found
        services = self.values.get("services")
        of_service = self.session.full_config.get("services", {}).get(services, {}).get("s3", {})
        if isinstance(of_service, dict) and of_service.get("endpoint_url"):
            path = _path("AWS_CONFIG_FILE")
            return _Value(of_service["endpoint_url"], f"endpoint_url of services {services} in {path}")
        return self.value("endpoint_url")

    def resolved_endpoint(self, region: str, problems: list[str]) -> str | None:
        """Return the URL that botocore's own client speaks to."""
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415

        try:
            # The keys are not used; given some, the client does not search for others.
            client = self.session.create_client(
                "s3",
                region_name=region,
                aws_access_key_id="x",
                aws_secret_access_key="x",  # noqa: S106
            )
        except (BotoCoreError, ValueError) as error:
            problems.append(f"profile {self.name} cannot be used: {_first_line(error)}")
            return None
        return str(client.meta.endpoint_url)

    def addressing(self) -> Literal["path", "virtual"] | None:
        """Return how the profile wants buckets to be addressed."""
        found = self.session.get_config_variable("s3") or {}
        style = found.get("addressing_style")
        return style if style in {"path", "virtual"} else None

    def flaws_of_keys(self) -> Iterator[str]:
        """Check the keys that stand in the profile itself."""
        for key in ("aws_access_key_id", "aws_secret_access_key", "aws_session_token"):
            value = self.values.get(key)
            if value is not None and (flaw := flaw_in(str(value), is_ascii=True)):
                yield f"{self._origin(key)} {flaw}"

    def _origin(self, key: str) -> str:
        from botocore.configloader import load_config, raw_config_parse  # noqa: PLC0415
        from botocore.exceptions import ConfigNotFound  # noqa: PLC0415

        where = ""
        for variable in _FILES:
            path = _path(variable)
            try:
                held = (
                    load_config(str(path))["profiles"] if variable == "AWS_CONFIG_FILE" else raw_config_parse(str(path))
                )
            except ConfigNotFound:
                continue
            if key in held.get(self.name, {}):
                where = f" in {path}"
                break
        return f"{key} of profile {self.name}{where}"


def _first_line(error: object) -> str:
    """Return the first line of an error's text: those behind it may quote the file, secrets included."""
    return str(error).partition("\n")[0]
