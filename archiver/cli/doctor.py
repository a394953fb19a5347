"""`archiver doctor`: compare what exists with what is needed, and report the consequence of each difference."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import click

from archiver.core.errors import BucketMissing, StoreRefuses
from archiver.core.health_checks import (
    Check,
    CheckState,
    capability_checks,
    clock_check,
    judged,
    lifecycle_checks,
    lock_check,
    versioning_check,
)
from archiver.settings import Settings, load_settings, nats_access
from contracts import KitError
from contracts.toolkit import Exit, NatsAccess, close_nats, connect_nats

Checks = dict[str, list[Check]]

_LIBRARIES = ("nats-py", "boto3")
_MISSING = Check(CheckState.DIFFERS, "state", "missing", "created", "no worker can start; archiver init creates it")
_SYNC = Check(
    CheckState.UNKNOWN,
    "sync_interval",
    "not visible to a client",
    "always",
    "the default is 2 minutes, and a power failure takes what was confirmed since",
)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One check a line, as JSON.")
def doctor(*, as_json: bool) -> Exit:
    """Compare streams, consumer, bucket, store and spool with what is needed, and change nothing.

    Each line is ok, differs, unknown (not visible to a client) or failed (not reachable), with what
    was found and, where that is not as wanted, its consequence. To see what the store does, three objects are
    written under probe/v1/ and deleted again.

    Exit status 1: something differs. 4: something could not be reached; the rest is reported anyway.
    """
    settings, access = load_settings(), nats_access()
    checks = {f"bucket {settings.bucket} at {settings.s3.where}": _store(settings)}
    checks |= asyncio.run(_bus(settings, access))
    if "spool" in settings.sources:
        checks["spool"] = list(_spool(settings.spool, settings.max_bundle_bytes))
    checks["versions"] = [Check(CheckState.OK, name, version(name)) for name in ("kaizen-event-kit", *_LIBRARIES)]
    _print(checks, as_json=as_json)
    verdicts = {check.verdict for group in checks.values() for check in group}
    if CheckState.FAILED in verdicts:
        return Exit.UNREACHABLE
    return Exit.BROKEN if CheckState.DIFFERS in verdicts else Exit.OK


def _store(settings: Settings) -> list[Check]:
    from archiver.stores.s3.control import BucketControl, NotOffered

    checks: list[Check] = []

    def look(name: str, ask: Callable[[], Iterable[Check]]) -> bool:
        """Add what is found; return whether it makes sense to ask for more."""
        try:
            checks.extend(ask())
        except NotOffered as error:
            checks.append(Check(CheckState.UNKNOWN, name, error.why))
        except StoreRefuses as error:
            if isinstance(error, BucketMissing) or name == "probe":
                checks.append(_failed(name, error))
                return False
            checks.append(Check(CheckState.UNKNOWN, name, "this identity may not ask", consequence=error.why))
        except KitError as error:
            checks.append(_failed(name, error))
            return False
        return True

    def probe(control: BucketControl) -> Iterator[Check]:
        found = control.probe()
        yield from capability_checks(found)
        yield clock_check(found.clock_skew_s, "from 15 minutes on the store refuses every request")

    prefix = settings.s3.full_key("")
    with closing(BucketControl(settings.s3)) as control:
        # In this order: some stores make a missing bucket at the first write of an identity that may.
        if look("versioning", lambda: [versioning_check(control.versioning())]):
            look("object lock", lambda: [lock_check(control.object_lock())])
            look("lifecycle", lambda: lifecycle_checks(control.lifecycle(), prefix))
            look("probe", lambda: probe(control))
    return checks


async def _bus(settings: Settings, access: NatsAccess) -> Checks:
    from archiver.bus.setup import clock_skew_s, examine

    group = f"NATS at {access.place}"
    try:
        client = await connect_nats(access, name="archiver doctor")
    except KitError as error:
        return {group: [_failed("connection", error)]}
    server = client.connected_server_version
    checks = [Check(CheckState.OK, "nats-server", f"{server.major}.{server.minor}.{server.patch}"), _SYNC]
    found = {group: checks}
    try:
        skew_s = await clock_skew_s(client, settings.stream)
        checks.append(clock_check(skew_s, "times in references, dead letters and logs do not agree"))
        for part in await examine(
            client,
            stream=settings.stream,
            consumer=settings.consumer,
            ack_wait_s=settings.ack_wait_s,
            store_timeout_s=settings.s3.connect_timeout_s + settings.s3.read_timeout_s,
            subject_prefix=settings.subject_prefix,
        ):
            found[part.name] = list(part.checks) or [_MISSING]
    except KitError as error:
        checks.append(_failed("JetStream", error))
    finally:
        await close_nats(client)
    return found


def _spool(spool: Path | None, largest_bundle_bytes: int) -> Iterator[Check]:
    if spool is None or not spool.is_dir():
        place = "ARCHIVER_SPOOL is not set" if spool is None else f"no directory {spool}"
        yield Check(
            CheckState.DIFFERS, "directory", place, "the one where emitters leave bundles", "no bundle is found"
        )
        return
    yield Check(CheckState.OK, "directory", str(spool))
    for name, right, consequence in (
        ("readable", os.R_OK | os.X_OK, "no bundle can be read, and their events wait"),
        ("writable", os.W_OK | os.X_OK, "archived bundles cannot be taken away, and the disk fills up; or run --keep"),
    ):
        allowed = os.access(spool, right)
        yield judged(name, "yes" if allowed else "no", "yes", consequence, is_well=allowed)
    free = shutil.disk_usage(spool).free
    yield judged(
        "free space",
        _size(free),
        f"at least {_size(largest_bundle_bytes)}, the largest bundle",
        "emitters cannot leave bundles",
        is_well=free >= largest_bundle_bytes,
    )


def _failed(name: str, error: KitError) -> Check:
    return Check(CheckState.FAILED, name, " ".join(str(error).split()))


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"


def _print(checks: Checks, *, as_json: bool) -> None:
    for group, found in checks.items():
        if not as_json:
            click.echo(group)
        for each in found:
            if as_json:
                record = {name: getattr(each, name) for name in ("verdict", "name", "found", "wanted", "consequence")}
                click.echo(json.dumps({"group": group, **record}, ensure_ascii=False))
            else:
                click.echo(_wrapped(each))


def _wrapped(check: Check) -> str:
    """One line in a pipe, so that it can be searched; as many as needed on a terminal."""
    line = f"  {check.verdict:8} {check}"
    if not sys.stdout.isatty():
        return line
    return textwrap.fill(line, shutil.get_terminal_size().columns, subsequent_indent=" " * 11, break_long_words=False)
