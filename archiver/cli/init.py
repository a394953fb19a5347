"""`archiver init`: create bucket, streams and consumer; change existing settings only with --apply."""

from __future__ import annotations

import asyncio

import click

from archiver.core.errors import BucketMissing
from archiver.settings import Settings, load_settings, nats_access
from contracts.toolkit import Exit, NatsAccess, close_nats, connect_nats


@click.command()
@click.option("--create-bucket", is_flag=True, help="Create the bucket if it does not exist.")
@click.option("--apply", is_flag=True, help="Change settings of streams and consumer that differ.")
def init(*, create_bucket: bool, apply: bool) -> Exit:
    """Check the bucket, and create the streams and the consumer where they are missing.

    Settings that differ are reported with their consequence, and changed only with --apply. Exit
    status 1: something differs.
    """
    settings = load_settings()
    access = nats_access()
    # Looked for first: who may write to a bucket may not always make one.
    found = "there"
    if create_bucket and asyncio.run(_is_missing(settings)):
        from archiver.stores.s3.control import BucketControl

        control = BucketControl(settings.s3)
        try:
            control.create_bucket()
        finally:
            control.close()
        found = "created"
    return asyncio.run(_init(settings, access, found, apply=apply))


async def _is_missing(settings: Settings) -> bool:
    from archiver.wiring import open_store

    try:
        async with open_store(settings):
            return False
    except BucketMissing:
        return True


async def _init(settings: Settings, access: NatsAccess, bucket: str, *, apply: bool) -> Exit:
    from archiver.bundles.nats_object_store import ensure_object_store
    from archiver.bus.setup import set_up
    from archiver.wiring import open_store

    async with open_store(settings):
        click.echo(f"bucket {settings.bucket}: {bucket}")
    client = await connect_nats(access, name="archiver init")
    try:
        parts = await set_up(
            client,
            stream=settings.stream,
            consumer=settings.consumer,
            ack_wait_s=settings.ack_wait_s,
            apply=apply,
            subject_prefix=settings.subject_prefix,
        )
        if "object_store" in settings.sources:
            made = await ensure_object_store(client, settings.object_store)
            click.echo(f"object store {settings.object_store}: {'created' if made else 'there'}")
    finally:
        await close_nats(client)
    for part in parts:
        click.echo(f"{part.name}: {part.state}")
        for each in part.differences:
            click.echo(f"    {each}")
    if any(part.state == "differs" for part in parts):
        click.echo("what differs was left as it is; archiver init --apply changes it", err=True)
        return Exit.BROKEN
    return Exit.OK
