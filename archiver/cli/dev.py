"""`archiver dev`: the two real servers on loopback, in the foreground."""

from __future__ import annotations

import shlex
import signal
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path

import click

from contracts.toolkit import Exit


@click.command()
@click.option(
    "--data", type=click.Path(path_type=Path), help="Keep the servers' data here.  [default: a temporary directory]"
)
@click.option("--bucket", default="kaizen-artifacts", show_default=True, help="Bucket to create.")
def dev(data: Path | None, bucket: str) -> Exit:
    """Run a nats-server and a SeaweedFS on loopback until Ctrl-C, and print the environment to export.

    \b
    In another terminal:
      eval "$(cat DATA/environment)"    or paste the printed lines
      archiver init && archiver run
    """
    from archiver.dev_servers import NatsServer, S3Server

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with ExitStack() as stack:
        home = data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="archiver-dev-")))
        home.mkdir(parents=True, exist_ok=True)
        spool = home / "spool"
        spool.mkdir(exist_ok=True)
        nats = stack.enter_context(NatsServer(home / "nats"))
        store = stack.enter_context(S3Server(home / "s3", bucket=bucket))
        environment = {
            "NATS_URL": nats.url,
            "AWS_ENDPOINT_URL_S3": store.url,
            "AWS_ACCESS_KEY_ID": store.access_key,
            "AWS_SECRET_ACCESS_KEY": store.secret_key,
            "AWS_REGION": "us-east-1",
            "ARCHIVER_BUCKET": bucket,
            "ARCHIVER_SPOOL": str(spool.absolute()),
        }
        lines = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items())
        exports = home / "environment"
        exports.touch(mode=0o600)
        exports.write_text(lines, "utf-8")
        click.echo(lines, nl=False)
        click.echo(
            f"nats-server (pid {nats.pid}) and SeaweedFS (pid {store.pid}) are running; Ctrl-C stops both", err=True
        )
        # In slices, because Event.wait without a limit does not see signals on every platform.
        while not stop.wait(1.0):
            pass
    return Exit.OK
