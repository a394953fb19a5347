"""A process that carries out a run and is killed at a chosen moment, by SIGKILL, as nothing can prepare for it.

Reads one order a line, `FOLDER URL KIND COUNT`, carries each out in a child of its own, and answers with how that
ended: `-9` is killed. KIND says what is counted until the kill: messages handed to the driver (`published`), outcomes
that are not written yet (`settled`), outcomes that are (`written`).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nats.aio.client import Client

from contracts.bus.access import NatsAccess
from contracts.replay.send.journal import Journal
from contracts.replay.send.run import execute

KINDS = ("published", "settled", "written")


def main() -> None:
    for order in sys.stdin:
        folder, url, kind, count = order.split()
        child = os.fork()
        if not child:
            carry_out(Path(folder), url, kind, int(count))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def carry_out(folder: Path, url: str, kind: str, count: int) -> None:
    strike = Strike(count)
    if kind == "published":
        publish = Client.publish

        async def counted(*message: Any, **how: Any) -> None:
            await publish(*message, **how)
            strike(1)

        Client.publish = counted  # type: ignore[method-assign]
    if kind == "settled":
        settle = Journal.settle

        def noted(*what: Any) -> None:
            settle(*what)
            strike(1)

        Journal.settle = noted  # type: ignore[method-assign]
    progress: Callable[[int], object] = strike if kind == "written" else lambda _: None
    asyncio.run(execute(folder, access=NatsAccess(url), concurrency=64, progress=progress))
    os._exit(0)


class Strike:
    def __init__(self, at: int) -> None:
        self._left = at

    def __call__(self, more: int) -> None:
        self._left -= more
        if self._left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
