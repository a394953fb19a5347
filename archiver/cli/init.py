"""`archiver init`: bucket, streams and consumer; says what it found, and changes nothing unasked."""

from __future__ import annotations

import asyncio

import click

from archiver.settings import Settings, load_settings, nats_access
from contracts import Exit, close_nats, connect_nats


@click.command()
@click.option("--create-bucket", is_flag=True, help="Create the bucket if it is not there.")
@click.option("--apply", is_flag=True, help="Change settings of streams and consumer that differ.")
def init(*, create_bucket: bool, apply: bool) -> Exit:
    """Check the bucket, and create the streams and the consumer where they are missing.

    What is there and differs is reported with its consequence, and left alone without --apply. Exit
    status 1 says that something differs.
    """
    settings = load_settings()
    if create_bucket:
        from archiver.adapters.s3 import BucketControl

        control = BucketControl(settings.s3)
        try:
            created = control.create_bucket()
        finally:
            control.close()
        click.echo(f"bucket {settings.bucket}: {'created' if created else 'there'}")
    return asyncio.run(_init(settings, apply=apply, bucket_told=create_bucket))


async def _init(settings: Settings, *, apply: bool, bucket_told: bool) -> Exit:
    from archiver.adapters.jetstream_setup import set_up
    from archiver.wiring import open_store

    access = nats_access()
    async with open_store(settings):
        if not bucket_told:
            click.echo(f"bucket {settings.bucket}: there")
    client = await connect_nats(access, name="archiver init")
    try:
        parts = await set_up(
            client,
            stream=settings.stream,
            consumer=settings.consumer,
            ack_wait_s=settings.ack_wait_s,
            apply=apply,
        )
    finally:
        await close_nats(client)
    for part in parts:
        click.echo(f"{part.name}: {part.state}")
        for each in part.differences:
            click.echo(f"    {each.setting}: found {each.found}, wanted {each.wanted}: {each.consequence}")
    if any(part.state == "differs" for part in parts):
        click.echo("nothing was changed; archiver init --apply changes it", err=True)
        return Exit.BROKEN
    return Exit.OK
