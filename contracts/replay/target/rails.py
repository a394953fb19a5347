"""Where a replay may go: a target from the allow-list in the configuration, and what is asked of it and its subjects.

Only the rails that need no server are here; those that do are in `contracts.replay.target.liveness`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from contracts.bus.access import NatsAccess
from contracts.config.values import Config, TargetConfig
from contracts.errors import BadInput
from contracts.model.did_you_mean import nearest
from contracts.replay.plan.messages import ReplayRun
from contracts.replay.target.webhook import Webhook

_PREFIX: Final = re.compile(r"(?:[^\s.*>$\x00-\x1f\x7f][^\s.*>\x00-\x1f\x7f]*\.)*")
_FILES: Final = {"creds": "NATS_CREDS", "nkey": "NATS_NKEY_FILE", "ca": "NATS_CA"}
_SHARED: Final = frozenset({*_FILES.values(), "NATS_CERT", "NATS_KEY", "NATS_INBOX_PREFIX", "NATS_TLS_FIRST"})
"""What a target without a context takes from the environment; passwords and tokens are not among it."""


@dataclass(frozen=True, slots=True)
class Target:
    """A place that replays may go to, ready to be used.

    `stream` is the JetStream stream that has to take the messages; `prefix` stands before each subject, and '' is none.
    """

    name: str
    stream: str | None
    prefix: str
    access: NatsAccess | Webhook

    @property
    def place(self) -> str:
        """Its URL without credentials."""
        return self.access.place

    def subject(self, recorded: str) -> str:
        """Return the subject here of an event that was seen on another; one that has the prefix keeps it."""
        return recorded if self.prefix and recorded.startswith(self.prefix) else self.prefix + recorded


def find_target(config: Config, name: str, environment: Mapping[str, str]) -> Target:
    """Return the target of that name, or the one of that URL, from the allow-list.

    Raises:
        BadInput: it is not in the list, or its table cannot be used; shows an example.
    """
    if "://" not in name:
        if name not in config.targets:
            raise _unknown(config, name)
        return _target(config, name, config.target(name, environment), environment)
    wanted = _address(name)
    for known, table in config.targets.items():
        # Only what the environment can fill is compared; a variable that is missing here may be another target's.
        filled = config.target(known, environment) if _can_fill(config, known, environment) else table
        if wanted is not None and _address(filled.url) == wanted:
            return _target(config, known, config.target(known, environment), environment)
    raise _unknown(config, wanted.place if wanted else "this URL")


def same_target(config: Config, run: ReplayRun, environment: Mapping[str, str]) -> Target:
    """Return the target of a run that was begun before.

    Raises:
        BadInput: it is not in the list any more, or is another place now.
    """
    target = find_target(config, run.target, environment)
    if not run.is_for(target.place) or target.stream != run.stream:
        raise BadInput(
            f"the target {run.target!r} is another place now: {target.place}, stream {target.stream};"
            f" the run was begun to {run.url}, stream {run.stream}\n  begin a new replay"
        )
    return target


def refuse_live(target: Target, reasons: Iterable[str], meant: str | None) -> None:
    """Refuse a target that looks live, unless `meant` (the value of --yes-this-is-live) is its name.

    Raises:
        BadInput: it looks live; lists the reasons, and the option that confirms it.
    """
    if meant is not None and meant != target.name:
        raise BadInput(f"--yes-this-is-live {meant} names another target than {target.name}; nothing was sent")
    found = [*(["its subjects have no prefix"] if not target.prefix else []), *reasons]
    if found and meant is None:
        listed = "\n  ".join(found)
        raise BadInput(
            f"the target {target.name} looks live, and nothing was sent:\n  {listed}\n"
            f"  if that is meant: --yes-this-is-live {target.name}"
        )


def _unknown(config: Config, name: str) -> BadInput:
    near = nearest(name, config.targets)
    return BadInput(
        f"{name} is no target in {config.path or 'a configuration file: there is none'}"
        + (f"; did you mean {near!r}?" if near else "")
        + "\n"
        f"  known: {', '.join(config.targets) or 'none'}\n"
        "  replays go nowhere else; to allow it, write into contracts.toml, for example:\n"
        "    [targets.staging]\n"
        '    url = "nats://${STAGING_USER}:${STAGING_PASSWORD}@bus.staging:4222"\n'
        '    stream = "KAIZEN_SCHEDULE"'
    )


def _target(config: Config, name: str, table: TargetConfig, environment: Mapping[str, str]) -> Target:
    where = f"{config.path}: targets.{name}"
    prefix = f"{name}." if table.prefix is None else table.prefix
    if not _PREFIX.fullmatch(prefix):
        raise BadInput(
            f"{where}.prefix: {prefix!r} cannot stand before a subject\n  expected a text such as 'staging.', or ''"
        )
    if _is_webhook(table.url):
        unfit = [key for key in ("stream", "context", *_FILES) if getattr(table, key) is not None]
        if unfit:
            raise BadInput(f"{where} is a webhook, which has no {', '.join(unfit)}\n  remove it, or give a nats:// URL")
        return Target(name, None, prefix, _webhook(where, table))
    if table.headers:
        raise BadInput(f"{where}.headers are for a webhook, and this is none\n  remove them")
    return Target(name, table.stream, prefix, _nats(config, where, table, environment))


def _webhook(where: str, table: TargetConfig) -> Webhook:
    hook = Webhook(table.url, table.headers)
    if not hook.place.startswith(("http://", "https://")):
        raise BadInput(
            f"{where}.url names no host; expected http(s)://host[:port]/path, with / ? # @ : in a user or password"
            " percent-encoded"
        )
    values = {f"{where}.url": table.url} | {f"{where}.headers.{name}": text for name, text in table.headers.items()}
    for place, value in values.items():
        if value != value.strip() or not value.isprintable():
            kind = "ends with a line break or a space" if value.rstrip() != value else "has a control character in it"
            raise BadInput(f"{place} {kind}\n  remove it; the value is not shown")
    return hook


def _nats(config: Config, where: str, table: TargetConfig, environment: Mapping[str, str]) -> NatsAccess:
    """Read the access to a NATS target: a login of the environment's own server is not sent to another one."""
    if table.url.startswith(("nats:///", "tls:///")) and table.context is None:
        raise BadInput(f"{where}.url names no server; expected nats://host:port, or a context")
    files = {variable: getattr(table, key) for key, variable in _FILES.items()}
    own = {variable: str(config.resolve(path)) for variable, path in files.items() if path is not None}
    kept = {
        name: value
        for name, value in environment.items()
        if not name.startswith("NATS_") or (name in _SHARED and table.context is None)
    }
    if table.context is not None:
        own["NATS_CONTEXT"] = table.context
    if not table.url:
        raise BadInput(f"{where}.url is empty; expected nats://host:port, or http(s)://…")
    try:
        access = NatsAccess.from_environment(kept | own, url=table.url)
    except BadInput as error:
        raise BadInput(f"{where}: {error}") from None
    assert access is not None, "the URL, or the context, names a server"
    return access


def _can_fill(config: Config, name: str, environment: Mapping[str, str]) -> bool:
    try:
        config.target(name, environment)
    except BadInput:
        return False
    return True


class _Address(NamedTuple):
    """What distinguishes targets, without credentials; only `place` may be shown."""

    place: str
    path: str


def _address(url: str) -> _Address | None:
    """Return what a URL points at, None where it is none that a target can have."""
    if _is_webhook(url):
        hook = Webhook(url)
        return _Address(hook.place, urlsplit(url).path) if "://" in hook.place else None
    try:
        access = NatsAccess.from_environment({}, url=url)
    except BadInput:
        return None
    return _Address(access.place, "") if access else None


def _is_webhook(url: str) -> bool:
    return url.lower().startswith(("http://", "https://"))
