"""The bundles of rewritten events. The spool names a bundle by its event's key, which a rewrite changes."""

from __future__ import annotations

from pathlib import Path

from contracts.emit.spool import Spool
from contracts.replay.plan.messages import read_messages


def copy_bundles(folder: Path, spool: Spool) -> tuple[int, int]:
    """Give each bundle of a run its second name in the spool; may be repeated. Returns how many there are, and are not.

    Raises:
        BadInput: the spool cannot be written.
    """
    copied = missing = 0
    for message in read_messages(folder):
        if message.bundle_from is None:
            continue
        if spool.copy(message.bundle_from, message.event_key + Path(message.bundle_from).suffix):
            copied += 1
        else:
            missing += 1
    return copied, missing
