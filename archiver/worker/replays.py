"""What becomes of replayed messages: they are archived like any other, ignored, or archived apart.

Separately means in a part of the archive that is a complete archive, one for each run, as if it had its own bucket:
nothing there is looked up, verified or swept with the rest, and nothing of the rest is touched. Not the bundle
either, where emitters leave it: it is found by the event's identity, and may be what the event itself still needs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from archiver.core.keys import replay_prefix
from archiver.core.outcome import Ignored, Outcome
from archiver.core.replay import run_of
from archiver.core.values import Message
from archiver.stores.prefixed import PrefixedStore
from archiver.worker.pipeline import Pipeline

Treatment = Literal["archive", "ignore", "separate"]
"""The values of the setting ARCHIVER_REPLAYS."""


@dataclass(frozen=True, slots=True)
class Replays:
    """A pipeline that treats replays as configured."""

    pipeline: Pipeline
    treatment: Treatment

    async def process(self, message: Message) -> Outcome:
        """Archive one message, or ignore it, or return why not now or never; see `Pipeline.process`."""
        run = run_of(message)
        if run is None or self.treatment == "archive":
            return await self.pipeline.process(message)
        if self.treatment == "ignore":
            return Ignored()
        return await _apart(self.pipeline, replay_prefix(run)).process(message)


def _apart(pipeline: Pipeline, prefix: str) -> Pipeline:
    archive = pipeline.archive
    identity = replace(archive.identity, prefix=archive.identity.prefix + prefix)
    apart = replace(archive, store=PrefixedStore(archive.store, prefix), identity=identity)
    return replace(pipeline, archive=apart, release=False)
